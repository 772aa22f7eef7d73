//! JSON of ours as a tree whose leaves are texts, so that payloads stay byte for byte what they are.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::value::RawValue;

/// An object under construction.
#[derive(Debug, Default)]
pub struct Object(BTreeMap<String, Node>);

#[derive(Debug)]
enum Node {
    Text(String),
    Object(Object),
}

impl Object {
    /// The fields of a JSON object.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let fields: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text).with_context(|| format!("no object: {text}"))?;
        Ok(Self(fields.into_iter().map(|(key, value)| (key, Node::Text(value.get().to_owned()))).collect()))
    }

    /// Puts a JSON text at a place.
    pub fn set(&mut self, path: &[String], text: String) -> anyhow::Result<()> {
        match path {
            [] => {
                for (key, node) in Self::parse(&text)?.0 {
                    self.0.insert(key, node);
                }
                Ok(())
            }
            [last] => {
                self.0.insert(last.clone(), Node::Text(text));
                Ok(())
            }
            [first, rest @ ..] => {
                let node = self.0.remove(first);
                let mut inner = match node {
                    None => Self::default(),
                    Some(Node::Object(inner)) => inner,
                    Some(Node::Text(text)) => Self::parse(&text)?,
                };
                inner.set(rest, text)?;
                self.0.insert(first.clone(), Node::Object(inner));
                Ok(())
            }
        }
    }

    /// The object as JSON.
    #[must_use]
    pub fn text(&self) -> String {
        let fields = self.0.iter().map(|(key, node)| {
            let value = match node {
                Node::Text(text) => text.clone(),
                Node::Object(inner) => inner.text(),
            };
            format!("{}:{value}", serde_json::Value::from(key.as_str()))
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    }
}

/// What stands at a place of a JSON text, if anything does.
pub fn at(text: &str, path: &[String]) -> anyhow::Result<Option<String>> {
    let Some((first, rest)) = path.split_first() else { return Ok(Some(text.to_owned())) };
    let mut fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).with_context(|| format!("no object: {text}"))?;
    match fields.remove(first) {
        Some(value) if value.get() != "null" => at(value.get(), rest),
        _ => Ok(None),
    }
}

/// The elements of a JSON array.
pub fn elements(text: &str) -> anyhow::Result<Vec<String>> {
    let Ok(elements) = serde_json::from_str::<Vec<Box<RawValue>>>(text) else { bail!("no array: {text}") };
    Ok(elements.into_iter().map(|element| element.get().to_owned()).collect())
}
