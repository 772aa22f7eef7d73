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

/// A value of the user's: plain JSON, carried byte for byte, or any other encoding with its metadata.
///
/// On the wire a JSON payload is the JSON itself. An encoded one is
/// `{"$encoded": {"metadata": {"encoding": "binary/protobuf"}, "data": "<base64>"}}`; user JSON that happens to look
/// like that is wrapped as encoded `json/plain` bytes by [`Payload::from_json`].
#[derive(Debug, Clone)]
pub enum Payload {
    /// JSON text.
    Json(Arc<RawValue>),
    /// Bytes with metadata.
    Encoded(Arc<EncodedPayload>),
}

/// Bytes in some encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPayload {
    /// How the bytes are encoded; the key `encoding` says it in general. Values are bytes, as Temporal's are.
    pub metadata: BTreeMap<String, Vec<u8>>,
    /// The bytes.
    pub data: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct EncodedWire<'a> {
    #[serde(default)]
    metadata: BTreeMap<String, Cow<'a, str>>,
    data: Cow<'a, str>,
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
        if encoded_body(raw.get()).is_none() {
            return Self::Json(Arc::from(raw));
        }
        let metadata = BTreeMap::from([("encoding".to_owned(), b"json/plain".to_vec())]);
        Self::Encoded(Arc::new(EncodedPayload { metadata, data: raw.get().as_bytes().to_vec() }))
    }

    /// Wraps encoded bytes.
    #[must_use]
    pub fn encoded(metadata: BTreeMap<String, Vec<u8>>, data: Vec<u8>) -> Self {
        Self::Encoded(Arc::new(EncodedPayload { metadata, data }))
    }

    /// Reads the payload as a type; JSON only.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let text = self.json_text()?;
        serde_json::from_str(&text).map_err(|source| PayloadError::Deserialize {
            type_name: std::any::type_name::<T>(),
            excerpt: text.chars().take(80).collect(),
            source,
        })
    }

    /// The JSON text of a JSON payload.
    pub fn json_text(&self) -> Result<Cow<'_, str>, PayloadError> {
        match self {
            Self::Json(raw) => Ok(Cow::Borrowed(raw.get())),
            Self::Encoded(encoded) => {
                let encoding = encoded.metadata.get("encoding").map_or("", |e| std::str::from_utf8(e).unwrap_or("?"));
                match (encoding, std::str::from_utf8(&encoded.data)) {
                    ("json/plain", Ok(text)) => Ok(Cow::Borrowed(text)),
                    _ => Err(PayloadError::Encoding(encoding.to_owned())),
                }
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
                encoded.data.len().div_ceil(3) * 4 + metadata + 32
            }
        }
    }
}

/// The body of `{"$encoded": {…}}`, if the text is of that form and nothing else.
fn encoded_body(text: &str) -> Option<EncodedPayload> {
    if !text.starts_with('{') || !text[1..].trim_start().starts_with("\"$encoded\"") {
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
    Some(EncodedPayload { metadata, data: STANDARD.decode(wire.data.as_bytes()).ok()? })
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Json(a), Self::Json(b)) => a.get() == b.get(),
            (Self::Encoded(a), Self::Encoded(b)) => a == b,
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
                let wire = EncodedWire { metadata, data: Cow::Owned(STANDARD.encode(&encoded.data)) };
                BTreeMap::from([(ENCODED_KEY, wire)]).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match encoded_body(raw.get()) {
            Some(encoded) => Self::Encoded(Arc::new(encoded)),
            None => Self::Json(Arc::from(raw)),
        })
    }
}

impl JsonSchema for Payload {
    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Any JSON value, carried byte for byte; or {\"$encoded\": {\"metadata\": {\"encoding\": …}, \"data\": …}} with base64 text for any other encoding."
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
    fn an_object_that_only_starts_like_an_encoded_one_is_json() {
        for text in [r#"{"$encoded":3}"#, r#"{"$encoded":{"data":"AA=="},"more":1}"#, r#"{"$encoded":{"data":"%"}}"#] {
            assert!(matches!(serde_json::from_str::<Payload>(text).unwrap(), Payload::Json(_)), "{text}");
        }
    }
}
