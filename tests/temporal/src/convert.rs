//! Messages to our JSON and back, as the table says.

use anyhow::{Context as _, bail};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

use crate::json::{Object, at};
use crate::scalar::{from_json, to_json};
use crate::table::{Rule, Table};

/// Where a message with variants has its type, and where what the type speaks of.
fn places(message: &str) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    Ok(match message {
        "temporal.api.history.v1.HistoryEvent" => (path(&["event_type"]), path(&["attributes"])),
        "temporal.api.failure.v1.Failure" => (path(&["info", "type"]), path(&["info"])),
        "temporal.api.common.v1.Link" | "temporal.api.command.v1.Command" => (path(&["type"]), Vec::new()),
        other => bail!("{other} has variants, and nobody says how ours are told apart"),
    })
}

/// What ours need that Temporal's message does not have.
fn frame(message: &str) -> &'static str {
    let name = message.rsplit('.').next().unwrap_or_default();
    match name {
        "ServerFailureInfo" => r#"{"code":"TW0103"}"#,
        "WorkflowTaskCompletedEventAttributes" => r#"{"completion_id":"c"}"#,
        "RespondWorkflowTaskCompletedRequest" => r#"{"token":"t","completion_id":"c"}"#,
        "PollActivityTaskQueueResponse" => r#"{"token":"t","scheduled_event_id":5}"#,
        "PollWorkflowTaskQueueResponse" => r#"{"token":"t","namespace":"n","scheduled_event_id":5}"#,
        "SignalWithStartWorkflowExecutionRequest" => r#"{"start":{},"signal":{}}"#,
        _ if name.starts_with("Respond") || name.starts_with("Record") => r#"{"token":"t"}"#,
        _ => "{}",
    }
}

/// A message as ours.
pub fn to_ours(table: &Table, message: &DynamicMessage) -> anyhow::Result<String> {
    let name = message.descriptor().full_name().to_owned();
    let rules = table.section(&name)?;
    let mut ours = Object::parse(frame(&name))?;
    for (field, value) in message.fields() {
        if let Some(Rule::Variant(variant)) = rules.get(field.name()) {
            let (tag, content) = places(&name)?;
            ours.set(&content, to_json(table, &field, value)?)?;
            ours.set(&tag, serde_json::to_string(variant)?)?;
        }
    }
    put(table, rules, "", message, &mut ours).with_context(|| format!("in a {name}"))?;
    Ok(ours.text())
}

type Rules = std::collections::BTreeMap<String, Rule>;

/// The fields of a message, or of one inside it whose fields the table names with a prefix.
fn put(table: &Table, rules: &Rules, prefix: &str, message: &DynamicMessage, ours: &mut Object) -> anyhow::Result<()> {
    for (field, value) in message.fields() {
        let name = format!("{prefix}{}", field.name());
        match (rules.get(&name), value) {
            (Some(Rule::Carried { path, .. }), value) => ours.set(path, to_json(table, &field, value)?)?,
            (Some(Rule::Variant(_)), _) => {}
            (None, Value::Message(inner)) => put(table, rules, &format!("{name}."), inner, ours)?,
            (Some(Rule::NotCarried) | None, _) => bail!("{name} is set and not carried"),
        }
    }
    Ok(())
}

/// Ours as a message.
pub fn from_ours(table: &Table, of: &MessageDescriptor, text: &str) -> anyhow::Result<DynamicMessage> {
    let rules = table.section(of.full_name())?;
    let mut message = DynamicMessage::new(of.clone());
    let tag = variant(rules, of, text)?;
    take(table, rules, "", text, tag.as_deref(), &mut message).with_context(|| format!("in a {}", of.full_name()))?;
    Ok(message)
}

fn variant(rules: &Rules, of: &MessageDescriptor, text: &str) -> anyhow::Result<Option<String>> {
    if !rules.values().any(|rule| matches!(rule, Rule::Variant(_))) {
        return Ok(None);
    }
    let tag = at(text, &places(of.full_name())?.0)?.context("it does not say its type")?;
    Ok(Some(serde_json::from_str(&tag)?))
}

fn take(
    table: &Table,
    rules: &Rules,
    prefix: &str,
    text: &str,
    tag: Option<&str>,
    message: &mut DynamicMessage,
) -> anyhow::Result<()> {
    for field in message.descriptor().fields() {
        let name = format!("{prefix}{}", field.name());
        let value = match rules.get(&name) {
            Some(Rule::Carried { path, .. }) => match at(text, path)? {
                Some(text) => Some(from_json(table, &field, &text)?),
                None => None,
            },
            Some(Rule::Variant(variant)) if tag == Some(variant) => {
                let (_, content) = places(message.descriptor().full_name())?;
                let content = at(text, &content)?.context("it has no content")?;
                Some(from_json(table, &field, &content)?)
            }
            Some(_) => None,
            None => inner(table, rules, &name, text, &field)?,
        };
        // A message that is there and empty is not the same as none.
        let says_something = |value: &Value| value.as_message().is_some() || !value.is_default(&field.kind());
        if let Some(value) = value.filter(says_something) {
            message.set_field(&field, value);
        }
    }
    Ok(())
}

/// A message whose fields the table names one by one; none if nothing of it is there.
fn inner(
    table: &Table,
    rules: &Rules,
    name: &str,
    text: &str,
    field: &FieldDescriptor,
) -> anyhow::Result<Option<Value>> {
    let Kind::Message(of) = field.kind() else { bail!("the table does not name {name}") };
    let mut inner = DynamicMessage::new(of);
    take(table, rules, &format!("{name}."), text, None, &mut inner)?;
    let is_there = inner.fields().next().is_some();
    Ok(is_there.then_some(Value::Message(inner)))
}
