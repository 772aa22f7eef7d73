//! Temporal's API against the table, and the table against our types.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use temporal::convert::{from_ours, to_ours};
use temporal::fill::Filler;
use temporal::scalar::is_plain;
use temporal::table::{Rule, Table};
use temporal::{api, message};
use tidewright_schemas::*;

/// How many messages of each kind are made.
const MESSAGES: u64 = 200;

#[test]
fn every_field_of_the_api_is_in_the_table_and_every_row_is_of_the_api() -> Result<()> {
    let (pool, table) = (api()?, Table::read()?);
    for (name, rules) in &table.sections {
        let mut named = BTreeSet::new();
        check(&table, rules, &message(&pool, name)?, "", &mut named)
            .with_context(|| format!("docs/temporal.md: {name}"))?;
        let more: Vec<_> = rules.keys().filter(|field| !named.contains(*field)).collect();
        ensure!(more.is_empty(), "docs/temporal.md: {name} has rows of {more:?}, and the API has no such fields");
    }
    Ok(())
}

fn check(
    table: &Table,
    rules: &BTreeMap<String, Rule>,
    of: &MessageDescriptor,
    prefix: &str,
    named: &mut BTreeSet<String>,
) -> Result<()> {
    for field in of.fields() {
        let name = format!("{prefix}{}", field.name());
        let is_prefix = rules.keys().any(|key| key.starts_with(&format!("{name}.")));
        match (rules.get(&name), field.kind()) {
            (Some(rule), kind) => {
                named.insert(name.clone());
                if let (Rule::Carried { .. } | Rule::Variant(_), Kind::Message(inner)) = (rule, kind)
                    && !is_plain(&inner)
                {
                    table.section(inner.full_name()).with_context(|| format!("`{name}` is carried"))?;
                }
            }
            (None, Kind::Message(inner)) if is_prefix => check(table, rules, &inner, &format!("{name}."), named)?,
            _ => bail!("there is no row for the field `{name}`"),
        }
    }
    Ok(())
}

/// JSON through one of our types.
fn through<T: DeserializeOwned + Serialize>(json: &str) -> Result<String> {
    let ours: T = serde_json::from_str(json).with_context(|| format!("ours cannot read {json}"))?;
    Ok(serde_json::to_string(&ours)?)
}

/// The message as its receiver has it: what is empty is not there.
fn as_sent(message: &DynamicMessage) -> Result<DynamicMessage> {
    Ok(DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice())?)
}

/// Messages of a kind come back as they were, through a type of ours.
fn come_back<T: DeserializeOwned + Serialize>(name: &str) -> Result<()> {
    let (pool, table) = (api()?, Table::read()?);
    let of = message(&pool, &format!("temporal.api.{name}"))?;
    for seed in 0..MESSAGES {
        let sent = Filler::new(&table, seed).message(&of)?;
        let json = to_ours(&table, &sent)?;
        let read = as_sent(&from_ours(&table, &of, &through::<T>(&json)?)?)?;
        let sent = as_sent(&sent)?;
        ensure!(read == sent, "seed {seed}: {sent}\ncame back as\n{read}\nthrough {json}");
    }
    Ok(())
}

#[test]
fn events_come_back() -> Result<()> {
    come_back::<HistoryEvent>("history.v1.HistoryEvent")
}

#[test]
fn failures_come_back() -> Result<()> {
    come_back::<Failure>("failure.v1.Failure")
}

#[test]
fn decisions_come_back() -> Result<()> {
    come_back::<Decision>("command.v1.Command")
}

#[test]
fn requests_of_clients_come_back() -> Result<()> {
    come_back::<StartWorkflow>("workflowservice.v1.StartWorkflowExecutionRequest")?;
    come_back::<SignalWorkflow>("workflowservice.v1.SignalWorkflowExecutionRequest")?;
    come_back::<SignalWithStartWorkflow>("workflowservice.v1.SignalWithStartWorkflowExecutionRequest")?;
    come_back::<RequestCancelWorkflow>("workflowservice.v1.RequestCancelWorkflowExecutionRequest")?;
    come_back::<TerminateWorkflow>("workflowservice.v1.TerminateWorkflowExecutionRequest")
}

#[test]
fn what_workers_say_comes_back() -> Result<()> {
    come_back::<CompleteWorkflowTask>("workflowservice.v1.RespondWorkflowTaskCompletedRequest")?;
    come_back::<FailWorkflowTask>("workflowservice.v1.RespondWorkflowTaskFailedRequest")?;
    come_back::<CompleteActivity>("workflowservice.v1.RespondActivityTaskCompletedRequest")?;
    come_back::<FailActivity>("workflowservice.v1.RespondActivityTaskFailedRequest")?;
    come_back::<CancelActivity>("workflowservice.v1.RespondActivityTaskCanceledRequest")?;
    come_back::<RecordActivityHeartbeat>("workflowservice.v1.RecordActivityTaskHeartbeatRequest")
}

#[test]
fn tasks_come_back() -> Result<()> {
    come_back::<ActivityTask>("workflowservice.v1.PollActivityTaskQueueResponse")?;
    come_back::<WorkflowTask>("workflowservice.v1.PollWorkflowTaskQueueResponse")
}

/// The comparison can fail: a message that lost a field is another one.
#[test]
fn a_field_that_gets_lost_is_noticed() -> Result<()> {
    let (pool, table) = (api()?, Table::read()?);
    let of = message(&pool, "temporal.api.history.v1.HistoryEvent")?;
    let mut lost = 0;
    for seed in 0..50 {
        let sent = Filler::new(&table, seed).message(&of)?;
        let json = to_ours(&table, &sent)?;
        let read = as_sent(&from_ours(&table, &of, &json.replace("identity", "nobody"))?)?;
        lost += u64::from(read != as_sent(&sent)?);
    }
    ensure!(lost > 20, "only {lost} of 50 messages without an identity were noticed");
    Ok(())
}
