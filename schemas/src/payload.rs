//! Payloads: what users pass in and out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The one key of the JSON object that stands for an encoded payload.
const ENCODED_KEY: &str = "$encoded";
/// The one key of the JSON object that stands for several payloads.
const SEVERAL_KEY: &str = "$payloads";
/// The metadata that names the encoding, and the encoding of plain JSON.
const ENCODING: &str = "encoding";
const JSON_PLAIN: &str = "json/plain";

/// A value of the user's: plain JSON, carried byte for byte, or any other encoding with its metadata; or several of them,
/// as Temporal's SDKs pass several arguments.
///
/// On the wire a JSON payload is the JSON itself. An encoded one is
/// `{"$encoded": {"metadata": {"encoding": "<base64>"}, "data": "<base64>"}}`, several are `{"$payloads": [1, "two"]}`;
/// user JSON that happens to look like that is wrapped as encoded `json/plain` bytes by [`Payload::from_json`].
#[derive(Debug, Clone)]
pub enum Payload {
    /// JSON text.
    Json(Arc<RawValue>),
    /// Bytes with metadata.
    Encoded(Arc<EncodedPayload>),
    /// None, or more than one, of the other two.
    Several(Arc<[Payload]>),
}

/// Bytes in some encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPayload {
    /// How the bytes are encoded; the key `encoding` says it in general. Values are bytes, as Temporal's are.
    pub metadata: BTreeMap<String, Vec<u8>>,
    /// The bytes.
    pub data: Vec<u8>,
    /// Sizes in bytes of what the payload stands for, where that is stored elsewhere.
    pub external_payload_sizes: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct EncodedWire<'a> {
    #[serde(default)]
    metadata: BTreeMap<String, Cow<'a, str>>,
    data: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    external_payload_sizes: Vec<u64>,
}

/// A payload that could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The value cannot be written as JSON.
    #[error("the value cannot be serialised as JSON: {0}")]
    Serialize(#[source] serde_json::Error),
    /// The payload does not fit the type it is read as.
    #[error("the payload is not a {type_name}: {source}; it starts with `{excerpt}`")]
    Deserialize {
        /// The type that was asked for.
        type_name: &'static str,
        /// The first characters of the payload.
        excerpt: String,
        /// What serde said.
        source: serde_json::Error,
    },
    /// The payload is not JSON.
    #[error("the payload has the encoding `{0}`, which this reader does not decode")]
    Encoding(String),
}

impl Payload {
    /// The JSON `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::Json(Arc::from(RawValue::NULL.to_owned()))
    }

    /// Serialises a value as JSON.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        serde_json::value::to_raw_value(value).map(Self::from_raw).map_err(PayloadError::Serialize)
    }

    /// Takes JSON text, which is checked.
    pub fn from_json(text: &str) -> Result<Self, PayloadError> {
        RawValue::from_string(text.to_owned()).map(Self::from_raw).map_err(PayloadError::Serialize)
    }

    fn from_raw(raw: Box<RawValue>) -> Self {
        if encoded_body(raw.get()).is_none() && several_bodies(raw.get()).is_none() {
            return Self::Json(Arc::from(raw));
        }
        Self::Encoded(Arc::new(EncodedPayload::json(raw.get())))
    }

    /// Wraps encoded bytes.
    #[must_use]
    pub fn encoded(metadata: BTreeMap<String, Vec<u8>>, data: Vec<u8>) -> Self {
        Self::from(EncodedPayload { metadata, data, external_payload_sizes: Vec::new() })
    }

    /// Several payloads as one; one alone stays what it is.
    #[must_use]
    pub fn several(payloads: Vec<Payload>) -> Self {
        let all = payloads.iter().flat_map(Payload::each).cloned().collect::<Vec<_>>();
        match <[Payload; 1]>::try_from(all) {
            Ok([one]) => one,
            Err(all) => Self::Several(all.into()),
        }
    }

    /// Each of several; itself if it is one.
    #[must_use]
    pub fn each(&self) -> &[Payload] {
        match self {
            Self::Several(payloads) => payloads,
            one => std::slice::from_ref(one),
        }
    }

    /// The payload as bytes with metadata, which is how Temporal carries all of them; none if it is several.
    #[must_use]
    pub fn as_encoded(&self) -> Option<EncodedPayload> {
        match self {
            Self::Json(raw) => Some(EncodedPayload::json(raw.get())),
            Self::Encoded(encoded) => Some(encoded.as_ref().clone()),
            Self::Several(_) => None,
        }
    }

    /// Reads the payload as a type; JSON only. Several are read as a tuple or a list.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let text = self.json_text()?;
        serde_json::from_str(&text).map_err(|source| PayloadError::Deserialize {
            type_name: std::any::type_name::<T>(),
            excerpt: text.chars().take(80).collect(),
            source,
        })
    }

    /// The JSON text of a JSON payload; of several, an array.
    pub fn json_text(&self) -> Result<Cow<'_, str>, PayloadError> {
        match self {
            Self::Json(raw) => Ok(Cow::Borrowed(raw.get())),
            Self::Encoded(encoded) => {
                let encoding = encoded.metadata.get(ENCODING).map_or("", |e| std::str::from_utf8(e).unwrap_or("?"));
                match (encoding, std::str::from_utf8(&encoded.data)) {
                    (JSON_PLAIN, Ok(text)) => Ok(Cow::Borrowed(text)),
                    _ => Err(PayloadError::Encoding(encoding.to_owned())),
                }
            }
            Self::Several(payloads) => {
                let texts = payloads.iter().map(Self::json_text).collect::<Result<Vec<_>, _>>()?;
                Ok(Cow::Owned(format!("[{}]", texts.join(","))))
            }
        }
    }

    /// About how many bytes the payload takes on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Json(raw) => raw.get().len(),
            Self::Encoded(encoded) => {
                let metadata: usize = encoded.metadata.iter().map(|(k, v)| k.len() + v.len() + 8).sum();
                encoded.data.len().div_ceil(3) * 4 + metadata + encoded.external_payload_sizes.len() * 21 + 32
            }
            Self::Several(payloads) => payloads.iter().map(|payload| payload.size() + 1).sum::<usize>() + 16,
        }
    }
}

impl EncodedPayload {
    /// JSON as bytes that say so.
    fn json(text: &str) -> Self {
        Self { metadata: json_plain(), data: text.as_bytes().to_vec(), external_payload_sizes: Vec::new() }
    }
}

fn json_plain() -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(ENCODING.to_owned(), JSON_PLAIN.as_bytes().to_vec())])
}

impl From<EncodedPayload> for Payload {
    /// JSON that can stand for itself does: the same bytes come out of [`Payload::as_encoded`] again. A `null` does not,
    /// for where a payload may be missing a bare `null` is read as a missing one.
    fn from(encoded: EncodedPayload) -> Self {
        let stands_for_itself = |text: &str| {
            text != "null"
                && text.trim_ascii().len() == text.len()
                && encoded_body(text).is_none()
                && several_bodies(text).is_none()
        };
        if encoded.external_payload_sizes.is_empty()
            && encoded.metadata == json_plain()
            && let Ok(text) = std::str::from_utf8(&encoded.data)
            && stands_for_itself(text)
            && let Ok(raw) = RawValue::from_string(text.to_owned())
        {
            return Self::Json(Arc::from(raw));
        }
        Self::Encoded(Arc::new(encoded))
    }
}

/// Whether a text is an object whose first key is this one; what it holds is not looked at.
fn begins_with_key(text: &str, key: &str) -> bool {
    let rest = text.strip_prefix('{').map(str::trim_start).and_then(|rest| rest.strip_prefix('"'));
    rest.and_then(|rest| rest.strip_prefix(key)).is_some_and(|rest| rest.starts_with('"'))
}

/// The body of `{"$encoded": {…}}`, if the text is of that form and nothing else.
fn encoded_body(text: &str) -> Option<EncodedPayload> {
    if !begins_with_key(text, ENCODED_KEY) {
        return None;
    }
    let outer: BTreeMap<&str, EncodedWire<'_>> = serde_json::from_str(text).ok()?;
    if outer.len() != 1 {
        return None;
    }
    let wire = outer.get(ENCODED_KEY)?;
    let mut metadata = BTreeMap::new();
    for (key, value) in &wire.metadata {
        metadata.insert(key.clone(), STANDARD.decode(value.as_bytes()).ok()?);
    }
    let data = STANDARD.decode(wire.data.as_bytes()).ok()?;
    Some(EncodedPayload { metadata, data, external_payload_sizes: wire.external_payload_sizes.clone() })
}

/// The elements of `{"$payloads": […]}`, if the text is of that form and nothing else. They are none or more than one,
/// and an element is never several itself: so however deep the text is nested, this is not.
fn several_bodies(text: &str) -> Option<Vec<Payload>> {
    if !begins_with_key(text, SEVERAL_KEY) {
        return None;
    }
    let outer: BTreeMap<&str, Vec<Box<RawValue>>> = serde_json::from_str(text).ok()?;
    if outer.len() != 1 {
        return None;
    }
    let one = |raw: Box<RawValue>| match encoded_body(raw.get()) {
        Some(encoded) => Payload::Encoded(Arc::new(encoded)),
        None if begins_with_key(raw.get(), SEVERAL_KEY) => Payload::Encoded(Arc::new(EncodedPayload::json(raw.get()))),
        None => Payload::Json(Arc::from(raw)),
    };
    let payloads: Vec<_> = outer.into_values().flatten().map(one).collect();
    (payloads.len() != 1).then_some(payloads)
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Json(a), Self::Json(b)) => a.get() == b.get(),
            (Self::Encoded(a), Self::Encoded(b)) => a == b,
            (Self::Several(a), Self::Several(b)) => a == b,
            _ => false,
        }
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(raw) => raw.serialize(serializer),
            Self::Encoded(encoded) => {
                let metadata =
                    encoded.metadata.iter().map(|(k, v)| (k.clone(), Cow::Owned(STANDARD.encode(v)))).collect();
                let wire = EncodedWire {
                    metadata,
                    data: Cow::Owned(STANDARD.encode(&encoded.data)),
                    external_payload_sizes: encoded.external_payload_sizes.clone(),
                };
                BTreeMap::from([(ENCODED_KEY, wire)]).serialize(serializer)
            }
            Self::Several(payloads) => BTreeMap::from([(SEVERAL_KEY, payloads)]).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match (encoded_body(raw.get()), several_bodies(raw.get())) {
            (Some(encoded), _) => Self::Encoded(Arc::new(encoded)),
            (None, Some(several)) => Self::Several(several.into()),
            (None, None) => Self::Json(Arc::from(raw)),
        })
    }
}

impl JsonSchema for Payload {
    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Any JSON value, carried byte for byte; or {\"$encoded\": {\"metadata\": {\"encoding\": …}, \"data\": …}} with base64 text for any other encoding; or {\"$payloads\": […]} for several of them."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_carried_byte_for_byte() {
        let text = r#"{"b": 12345678901234567890123, "a":1.0e5,  "b": null}"#;
        let payload: Payload = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&payload).unwrap(), text);
    }

    #[test]
    fn encoded_bytes_round_trip() {
        let metadata = BTreeMap::from([("encoding".to_owned(), b"binary/encrypted".to_vec())]);
        let payload = Payload::encoded(metadata, vec![0, 255, 7]);
        let text = serde_json::to_string(&payload).unwrap();
        assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload);
    }

    #[test]
    fn user_json_that_looks_encoded_is_not_mistaken() {
        let text = r#"{"$encoded":{"metadata":{},"data":"AA=="}}"#;
        let payload = Payload::from_json(text).unwrap();
        let read: serde_json::Value =
            serde_json::from_str::<Payload>(&serde_json::to_string(&payload).unwrap()).unwrap().read().unwrap();
        assert_eq!(read.to_string(), serde_json::from_str::<serde_json::Value>(text).unwrap().to_string());
    }

    #[test]
    fn several_payloads_are_one_on_the_wire_and_read_as_a_tuple() {
        let text = r#"{"$payloads":[1,"two",{"$encoded":{"metadata":{},"data":"AAE="}}]}"#;
        let payload: Payload = serde_json::from_str(text).unwrap();
        assert_eq!(payload.each().len(), 3);
        assert_eq!(serde_json::to_string(&payload).unwrap(), text);
        assert!(matches!(payload.read::<(u8, String, u8)>(), Err(PayloadError::Encoding(_))));
        let two = Payload::several(vec![Payload::new(&1).unwrap(), Payload::new("two").unwrap()]);
        assert_eq!(two.read::<(u8, String)>().unwrap(), (1, "two".to_owned()));
        assert_eq!(Payload::several(vec![Payload::null()]), Payload::null());
        assert_eq!(serde_json::to_string(&Payload::several(Vec::new())).unwrap(), r#"{"$payloads":[]}"#);
    }

    #[test]
    fn several_are_never_nested_however_deep_the_text_is() {
        let depth = 100_000;
        let text = format!("{}1{}", r#"{"$payloads":["#.repeat(depth), "]}".repeat(depth));
        assert!(matches!(Payload::from_json(&text).unwrap(), Payload::Json(_)));
        let text = format!(r#"{{"$payloads":[1,{text}]}}"#);
        let payload: Payload = serde_json::from_str(&text).unwrap();
        assert!(matches!(payload.each(), [Payload::Json(_), Payload::Encoded(_)]));
        let again: Payload = serde_json::from_str(&serde_json::to_string(&payload).unwrap()).unwrap();
        assert_eq!(again, payload);
    }

    #[test]
    fn bytes_that_are_json_stand_for_themselves_and_come_back() {
        let encoded = |text: &str| EncodedPayload {
            metadata: BTreeMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
            data: text.as_bytes().to_vec(),
            external_payload_sizes: Vec::new(),
        };
        for (text, is_json) in
            [("{\"a\": 1}", true), ("[1,\n2]", true), (" 1", false), ("1\n", false), ("{", false), ("null", false)]
        {
            let payload = Payload::from(encoded(text));
            assert_eq!(matches!(payload, Payload::Json(_)), is_json, "{text:?}");
            let wire = serde_json::to_string(&payload).unwrap();
            let read: Payload = serde_json::from_str(&wire).unwrap();
            assert_eq!(read.as_encoded(), Some(encoded(text)), "{text:?}");
        }
    }

    #[test]
    fn an_object_that_only_starts_like_an_encoded_one_is_json() {
        for text in [r#"{"$encoded":3}"#, r#"{"$encoded":{"data":"AA=="},"more":1}"#, r#"{"$encoded":{"data":"%"}}"#] {
            assert!(matches!(serde_json::from_str::<Payload>(text).unwrap(), Payload::Json(_)), "{text}");
        }
    }
}
