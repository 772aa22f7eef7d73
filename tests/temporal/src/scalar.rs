//! Values of one field: Temporal's on one side, a JSON text of ours on the other.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, bail};
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};
use serde_json::value::RawValue;
use tidewright_schemas::{EncodedPayload, Payload};

use crate::convert::{from_ours, to_ours};
use crate::json::elements;
use crate::table::Table;

const PAYLOAD: &str = "temporal.api.common.v1.Payload";
const PAYLOADS: &str = "temporal.api.common.v1.Payloads";
/// Maps of payloads, in their only field.
pub(crate) const MAPS: [&str; 2] = ["temporal.api.common.v1.Header", "temporal.api.common.v1.Memo"];
pub(crate) const DURATION: &str = "google.protobuf.Duration";
pub(crate) const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// Whether a message needs no section in the table.
#[must_use]
pub fn is_plain(message: &MessageDescriptor) -> bool {
    [PAYLOAD, PAYLOADS, DURATION, TIMESTAMP].contains(&message.full_name()) || MAPS.contains(&message.full_name())
}

/// A field's value as ours.
pub fn to_json(table: &Table, field: &FieldDescriptor, value: &Value) -> anyhow::Result<String> {
    if let Value::List(list) = value {
        let all = list.iter().map(|one| one_to_json(table, &field.kind(), one)).collect::<anyhow::Result<Vec<_>>>()?;
        return Ok(format!("[{}]", all.join(",")));
    }
    one_to_json(table, &field.kind(), value)
}

fn one_to_json(table: &Table, kind: &Kind, value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::F32(value) => serde_json::to_string(value)?,
        Value::F64(value) => serde_json::to_string(value)?,
        Value::String(value) => serde_json::to_string(value)?,
        Value::EnumNumber(number) => {
            let Kind::Enum(of) = kind else { bail!("a number of no enum") };
            serde_json::to_string(&name_of(of, *number)?)?
        }
        Value::Message(message) => match message.descriptor().full_name() {
            DURATION | TIMESTAMP => milliseconds(message)?.to_string(),
            PAYLOAD => serde_json::to_string(&payload(message)?)?,
            PAYLOADS => serde_json::to_string(&payloads(message)?)?,
            map if MAPS.contains(&map) => map_to_json(message)?,
            _ => to_ours(table, message)?,
        },
        other => bail!("{other:?} has no place in JSON"),
    })
}

/// Ours as a field's value.
pub fn from_json(table: &Table, field: &FieldDescriptor, text: &str) -> anyhow::Result<Value> {
    if field.is_list() {
        let all = elements(text)?;
        let all = all.iter().map(|one| one_from_json(table, &field.kind(), one)).collect::<anyhow::Result<_>>()?;
        return Ok(Value::List(all));
    }
    one_from_json(table, &field.kind(), text)
}

fn one_from_json(table: &Table, kind: &Kind, text: &str) -> anyhow::Result<Value> {
    Ok(match kind {
        Kind::Bool => Value::Bool(text.parse()?),
        Kind::Int32 => Value::I32(text.parse()?),
        Kind::Int64 => Value::I64(text.parse()?),
        Kind::Uint32 => Value::U32(text.parse()?),
        Kind::Float => Value::F32(serde_json::from_str(text)?),
        Kind::Double => Value::F64(serde_json::from_str(text)?),
        Kind::String => Value::String(serde_json::from_str(text)?),
        Kind::Enum(of) => {
            let name: String = serde_json::from_str(text)?;
            let mut values = of.values();
            let found = values.find(|value| name_of(of, value.number()).is_ok_and(|known| known == name));
            Value::EnumNumber(found.with_context(|| format!("{} has no {name}", of.full_name()))?.number())
        }
        Kind::Message(message) => Value::Message(match message.full_name() {
            DURATION | TIMESTAMP => of_milliseconds(message, text.parse()?),
            PAYLOAD => of_payload(message, &serde_json::from_str(text)?)?,
            PAYLOADS => of_payloads(message, &serde_json::from_str(text)?)?,
            map if MAPS.contains(&map) => map_from_json(message, text)?,
            _ => from_ours(table, message, text)?,
        }),
        other => bail!("{other:?} has no place in JSON"),
    })
}

/// `RETRY_STATE_NON_RETRYABLE_FAILURE` of `RetryState` is `NonRetryableFailure`.
fn name_of(of: &EnumDescriptor, number: i32) -> anyhow::Result<String> {
    let value = of.get_value(number).with_context(|| format!("{} has no {number}", of.full_name()))?;
    let prefix = of.name().chars().fold(String::new(), |prefix, letter| {
        let gap = if letter.is_uppercase() && !prefix.is_empty() { "_" } else { "" };
        prefix + gap + &letter.to_uppercase().to_string()
    });
    let rest = value.name().strip_prefix(&(prefix + "_")).unwrap_or(value.name());
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_lowercase();
    Ok(rest.split('_').map(word).collect())
}

fn number(message: &DynamicMessage, field: &str) -> i64 {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::I64(number)) => *number,
        Some(Value::I32(number)) => i64::from(*number),
        _ => 0,
    }
}

fn milliseconds(message: &DynamicMessage) -> anyhow::Result<i64> {
    let nanos = number(message, "nanos");
    anyhow::ensure!(nanos % 1_000_000 == 0, "{nanos} ns are no whole milliseconds");
    Ok(number(message, "seconds") * 1_000 + nanos / 1_000_000)
}

/// A duration or a time.
pub(crate) fn of_milliseconds(of: &MessageDescriptor, milliseconds: i64) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    message.set_field_by_name("seconds", Value::I64(milliseconds / 1_000));
    message.set_field_by_name("nanos", Value::I32((milliseconds % 1_000) as i32 * 1_000_000));
    message
}

fn payload(message: &DynamicMessage) -> anyhow::Result<Payload> {
    let mut encoded =
        EncodedPayload { metadata: BTreeMap::new(), data: Vec::new(), external_payload_sizes: Vec::new() };
    if let Some(Value::Map(metadata)) = message.get_field_by_name("metadata").as_deref() {
        for (key, value) in metadata {
            let (MapKey::String(key), Value::Bytes(value)) = (key, value) else { bail!("no metadata: {key:?}") };
            encoded.metadata.insert(key.clone(), value.to_vec());
        }
    }
    if let Some(Value::Bytes(data)) = message.get_field_by_name("data").as_deref() {
        encoded.data = data.to_vec();
    }
    if let Some(Value::List(details)) = message.get_field_by_name("external_payloads").as_deref() {
        for one in details.iter().filter_map(Value::as_message) {
            encoded.external_payload_sizes.push(number(one, "size_bytes").try_into()?);
        }
    }
    Ok(encoded.into())
}

fn of_payload(of: &MessageDescriptor, payload: &Payload) -> anyhow::Result<DynamicMessage> {
    let encoded = payload.as_encoded().context("several payloads where there is place for one")?;
    let mut message = DynamicMessage::new(of.clone());
    let metadata = encoded.metadata.into_iter().map(|(k, v)| (MapKey::String(k), Value::Bytes(v.into())));
    message.set_field_by_name("metadata", Value::Map(metadata.collect()));
    message.set_field_by_name("data", Value::Bytes(encoded.data.into()));
    let sizes = of.get_field_by_name("external_payloads").context("payloads have external_payloads")?;
    let Kind::Message(of_size) = sizes.kind() else { bail!("external_payloads are no messages") };
    let sized = encoded.external_payload_sizes.into_iter().map(|size| {
        let mut one = DynamicMessage::new(of_size.clone());
        one.set_field_by_name("size_bytes", Value::I64(size as i64));
        Value::Message(one)
    });
    message.set_field(&sizes, Value::List(sized.collect()));
    Ok(message)
}

fn payloads(message: &DynamicMessage) -> anyhow::Result<Payload> {
    let list = message.get_field_by_name("payloads");
    let Some(Value::List(list)) = list.as_deref() else { bail!("payloads without payloads") };
    Ok(Payload::several(list.iter().filter_map(Value::as_message).map(payload).collect::<anyhow::Result<_>>()?))
}

fn of_payloads(of: &MessageDescriptor, payload: &Payload) -> anyhow::Result<DynamicMessage> {
    let field = of.get_field_by_name("payloads").context("payloads have payloads")?;
    let Kind::Message(of_one) = field.kind() else { bail!("payloads are no messages") };
    let each = payload.each().iter().map(|one| Ok(Value::Message(of_payload(&of_one, one)?)));
    let mut message = DynamicMessage::new(of.clone());
    message.set_field(&field, Value::List(each.collect::<anyhow::Result<_>>()?));
    Ok(message)
}

fn map_to_json(message: &DynamicMessage) -> anyhow::Result<String> {
    let mut fields = BTreeMap::new();
    if let Some(Value::Map(map)) = message.get_field_by_name("fields").as_deref() {
        for (key, value) in map {
            let (MapKey::String(key), Value::Message(value)) = (key, value) else { bail!("no payload: {key:?}") };
            fields.insert(key.clone(), payload(value)?);
        }
    }
    Ok(serde_json::to_string(&fields)?)
}

fn map_from_json(of: &MessageDescriptor, text: &str) -> anyhow::Result<DynamicMessage> {
    let field = of.get_field_by_name("fields").context("maps have fields")?;
    let Kind::Message(entry) = field.kind() else { bail!("no map") };
    let Kind::Message(of_value) = entry.map_entry_value_field().kind() else { bail!("no map of payloads") };
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)?;
    let mut map = HashMap::new();
    for (key, value) in fields {
        let payload = of_payload(&of_value, &serde_json::from_str(value.get())?)?;
        map.insert(MapKey::String(key), Value::Message(payload));
    }
    let mut message = DynamicMessage::new(of.clone());
    message.set_field(&field, Value::Map(map));
    Ok(message)
}
