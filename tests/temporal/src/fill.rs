//! Messages at random: everything that the table calls carried, mostly there.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use crate::scalar::{DURATION, MAPS, TIMESTAMP, of_milliseconds};
use crate::table::{Rule, Table};

/// How deep messages are nested: causes of causes.
const DEPTH_MAX: u32 = 4;

/// Fills messages.
pub struct Filler<'a> {
    table: &'a Table,
    chance: ChaCha8Rng,
    depth: u32,
}

impl<'a> Filler<'a> {
    /// The same seed fills the same.
    #[must_use]
    pub fn new(table: &'a Table, seed: u64) -> Self {
        Self { table, chance: ChaCha8Rng::seed_from_u64(seed), depth: 0 }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.chance.next_u64() % end
    }

    /// A message of a section, with everything that is carried.
    pub fn message(&mut self, of: &MessageDescriptor) -> anyhow::Result<DynamicMessage> {
        let rules = self.table.section(of.full_name())?;
        self.depth += 1;
        let mut message = DynamicMessage::new(of.clone());
        let variants: Vec<_> =
            of.fields().filter(|field| matches!(rules.get(field.name()), Some(Rule::Variant(_)))).collect();
        let mut tag = None;
        if !variants.is_empty() {
            let chosen = &variants[self.below(variants.len() as u64) as usize];
            tag =
                rules.get(chosen.name()).and_then(|rule| if let Rule::Variant(tag) = rule { Some(tag) } else { None });
            let value = self.one(&chosen.kind(), None)?;
            message.set_field(chosen, value);
        }
        self.fields("", tag.map(String::as_str), &mut message, of.full_name())?;
        self.depth -= 1;
        Ok(message)
    }

    fn fields(
        &mut self,
        prefix: &str,
        tag: Option<&str>,
        message: &mut DynamicMessage,
        section: &str,
    ) -> anyhow::Result<()> {
        let table = self.table;
        let rules = table.section(section)?;
        for field in message.descriptor().fields() {
            let name = format!("{prefix}{}", field.name());
            let value = match rules.get(&name) {
                Some(Rule::Carried { of, except, always, .. }) => {
                    if !of.is_empty() && !tag.is_some_and(|tag| of.iter().any(|one| one == tag)) {
                        continue;
                    }
                    self.carried(&field, except.as_deref(), *always)?
                }
                Some(_) => None,
                None => self.inner(&field, &format!("{name}."), message, section)?,
            };
            if let Some(value) = value {
                message.set_field(&field, value);
            }
        }
        Ok(())
    }

    /// A message whose fields the table names one by one. Of several that exclude each other, one.
    fn inner(
        &mut self,
        field: &FieldDescriptor,
        prefix: &str,
        message: &DynamicMessage,
        section: &str,
    ) -> anyhow::Result<Option<Value>> {
        let Kind::Message(of) = field.kind() else { bail!("the table does not name {prefix}") };
        if let Some(group) = field.containing_oneof() {
            let last = group.fields().last().is_some_and(|last| last == *field);
            let is_chosen = group.fields().any(|other| message.has_field(&other));
            if is_chosen || (!last && self.below(2) == 0) {
                return Ok(None);
            }
        }
        let mut inner = DynamicMessage::new(of);
        self.fields(prefix, None, &mut inner, section)?;
        let is_there = inner.fields().next().is_some();
        Ok(is_there.then_some(Value::Message(inner)))
    }

    fn carried(
        &mut self,
        field: &FieldDescriptor,
        except: Option<&str>,
        always: bool,
    ) -> anyhow::Result<Option<Value>> {
        if field.is_list() {
            let count = self.below(4) + u64::from(always);
            let all = (0..count).map(|_| self.one(&field.kind(), None)).collect::<anyhow::Result<Vec<_>>>()?;
            return Ok((!all.is_empty()).then_some(Value::List(all)));
        }
        let may_be_missing = matches!(field.kind(), Kind::Message(_) | Kind::Bool | Kind::Float);
        let too_deep = self.depth >= DEPTH_MAX;
        if may_be_missing && !always && (too_deep || self.below(4) == 0) {
            return Ok(None);
        }
        Ok(Some(self.one(&field.kind(), except)?))
    }

    fn one(&mut self, kind: &Kind, except: Option<&str>) -> anyhow::Result<Value> {
        Ok(match kind {
            Kind::Bool => Value::Bool(true),
            Kind::Int32 => Value::I32(1 + self.below(2_000_000) as i32),
            Kind::Int64 => Value::I64(1 + self.below(1 << 60) as i64),
            Kind::Uint32 => Value::U32(1 + self.below(4_000_000_000) as u32),
            Kind::Float => Value::F32(1.0 + self.below(1_000_000) as f32 / 3.0),
            Kind::Double => Value::F64(1.0 + self.below(1_000_000) as f64 / 3.0),
            Kind::String => Value::String(self.text()),
            Kind::Enum(of) => {
                let is_wanted = |name: &str| except.is_none_or(|except| !name.ends_with(except));
                let values: Vec<_> =
                    of.values().filter(|value| value.number() != 0 && is_wanted(value.name())).collect();
                let chosen = self.below(values.len() as u64) as usize;
                Value::EnumNumber(values.get(chosen).context("an enum without values")?.number())
            }
            Kind::Message(of) => Value::Message(match of.full_name() {
                DURATION => of_milliseconds(of, 1 + self.below(1 << 40) as i64),
                TIMESTAMP => of_milliseconds(of, 1_790_000_000_000 + self.below(1 << 40) as i64),
                "temporal.api.common.v1.Payload" => self.payload(of)?,
                "temporal.api.common.v1.Payloads" => self.payloads(of)?,
                map if MAPS.contains(&map) => self.map(of)?,
                _ => self.message(of)?,
            }),
            other => bail!("{other:?} is not filled"),
        })
    }

    fn text(&mut self) -> String {
        let texts = ["order", "Überweisung", "a \"b\" \\ c", "日本", "x", "true", "17"];
        let at = self.below(texts.len() as u64) as usize;
        format!("{}-{}", texts[at], self.below(1_000))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(20);
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// JSON that looks like anything, or bytes in some encoding.
    fn payload(&mut self, of: &MessageDescriptor) -> anyhow::Result<DynamicMessage> {
        let texts = [
            "{\"b\": 12345678901234567890123, \"a\":1.50}",
            " [1, 2]\n",
            "{\"$encoded\":{\"metadata\":{},\"data\":\"AA==\"}}",
            "{\"$payloads\":[1,2]}",
            "null",
            "not json",
            "\"ü\"",
            "",
        ];
        let mut metadata = HashMap::new();
        let data = if self.below(2) == 0 {
            metadata.insert(MapKey::String("encoding".to_owned()), Value::Bytes(b"json/plain".to_vec().into()));
            texts[self.below(texts.len() as u64) as usize].as_bytes().to_vec()
        } else {
            for _ in 0..self.below(3) {
                let (key, value) = (self.text(), self.bytes());
                metadata.insert(MapKey::String(key), Value::Bytes(value.into()));
            }
            self.bytes()
        };
        let mut message = DynamicMessage::new(of.clone());
        if !metadata.is_empty() {
            message.set_field_by_name("metadata", Value::Map(metadata));
        }
        if !data.is_empty() {
            message.set_field_by_name("data", Value::Bytes(data.into()));
        }
        if self.below(8) == 0 {
            let field = of.get_field_by_name("external_payloads").context("payloads have external_payloads")?;
            let Kind::Message(of_size) = field.kind() else { bail!("external_payloads are no messages") };
            let mut size = DynamicMessage::new(of_size);
            size.set_field_by_name("size_bytes", Value::I64(1 + self.below(1 << 50) as i64));
            message.set_field(&field, Value::List(vec![Value::Message(size)]));
        }
        Ok(message)
    }

    fn payloads(&mut self, of: &MessageDescriptor) -> anyhow::Result<DynamicMessage> {
        let field = of.get_field_by_name("payloads").context("payloads have payloads")?;
        let Kind::Message(of_one) = field.kind() else { bail!("payloads are no messages") };
        let count = self.below(4);
        let all = (0..count).map(|_| Ok(Value::Message(self.payload(&of_one)?)));
        let all = all.collect::<anyhow::Result<Vec<_>>>()?;
        let mut message = DynamicMessage::new(of.clone());
        if !all.is_empty() {
            message.set_field(&field, Value::List(all));
        }
        Ok(message)
    }

    fn map(&mut self, of: &MessageDescriptor) -> anyhow::Result<DynamicMessage> {
        let field = of.get_field_by_name("fields").context("maps have fields")?;
        let Kind::Message(entry) = field.kind() else { bail!("no map") };
        let Kind::Message(of_value) = entry.map_entry_value_field().kind() else { bail!("no map of payloads") };
        let mut map = HashMap::new();
        for _ in 0..=self.below(3) {
            let (key, value) = (self.text(), self.payload(&of_value)?);
            map.insert(MapKey::String(key), Value::Message(value));
        }
        let mut message = DynamicMessage::new(of.clone());
        message.set_field(&field, Value::Map(map));
        Ok(message)
    }
}
