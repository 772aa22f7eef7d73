//! AlterConfigs and IncrementalAlterConfigs: a topic's settings, as a whole or one by one. They hold at once. The node's own
//! settings cannot be changed while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    incremental_alter_configs_response,
};
use kafka_protocol::protocol::StrBytes;

use super::configs::{BROKER, TOPIC};
use super::text;
use crate::state::{NODE_ID, Shared};
use crate::topics::alteration::{AlterError, Edit};
use crate::topics::config::TopicConfig;
use crate::topics::name;

type Fault = (ResponseError, String);
/// A kind of resource and its name.
type Resource = (i8, StrBytes);

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) async fn replace(shared: &Arc<Shared>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let once = named_once(request.resources.iter().map(|one| (one.resource_type, one.resource_name.clone())));
    let (resources, shared) = (request.resources, shared.clone());
    let altering = tokio::task::spawn_blocking(move || {
        let alter = |resource: kafka_protocol::messages::alter_configs_request::AlterConfigsResource| {
            let named = (resource.resource_type, resource.resource_name);
            let outcome = only_once(&once, &named).and_then(|()| {
                let given = resource.configs.iter().map(|config| (config.name.as_str(), config.value.as_deref()));
                let given = given.collect::<Vec<_>>();
                alter(&shared, &named, given.iter().map(|(name, _)| *name), request.validate_only, |_| {
                    all_given(&given).and_then(|given| TopicConfig::new(given).map_err(invalid))
                })
            });
            let (error_code, message) = answer(outcome);
            AlterConfigsResourceResponse::default()
                .with_error_code(error_code)
                .with_error_message(message)
                .with_resource_type(named.0)
                .with_resource_name(named.1)
        };
        resources.into_iter().map(alter).collect::<Vec<_>>()
    });
    // Only a broker that is being dropped cancels its threads.
    AlterConfigsResponse::default().with_responses(altering.await.unwrap_or_default())
}

pub(crate) async fn edit(
    shared: &Arc<Shared>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let once = named_once(request.resources.iter().map(|one| (one.resource_type, one.resource_name.clone())));
    let (resources, shared) = (request.resources, shared.clone());
    let altering = tokio::task::spawn_blocking(move || {
        let alter = |resource: kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource| {
            let named = (resource.resource_type, resource.resource_name);
            let outcome = only_once(&once, &named).and_then(|()| {
                let names = resource.configs.iter().map(|config| config.name.as_str());
                let edits = edits(&resource.configs)?;
                alter(&shared, &named, names, request.validate_only, |config| config.edited(&edits).map_err(invalid))
            });
            let (error_code, message) = answer(outcome);
            incremental_alter_configs_response::AlterConfigsResourceResponse::default()
                .with_error_code(error_code)
                .with_error_message(message)
                .with_resource_type(named.0)
                .with_resource_name(named.1)
        };
        resources.into_iter().map(alter).collect::<Vec<_>>()
    });
    IncrementalAlterConfigsResponse::default().with_responses(altering.await.unwrap_or_default())
}

fn named_once(resources: impl Iterator<Item = Resource>) -> BTreeSet<Resource> {
    let mut named: BTreeMap<Resource, usize> = BTreeMap::new();
    for resource in resources {
        *named.entry(resource).or_default() += 1;
    }
    named.into_iter().filter(|(_, times)| *times == 1).map(|(resource, _)| resource).collect()
}

fn only_once(once: &BTreeSet<Resource>, named: &Resource) -> Result<(), Fault> {
    match once.contains(named) {
        true => Ok(()),
        false => Err((ResponseError::InvalidRequest, "Each resource must appear at most once.".to_owned())),
    }
}

fn invalid(fault: String) -> Fault {
    (ResponseError::InvalidConfig, fault)
}

fn all_given<'a>(given: &[(&'a str, Option<&'a str>)]) -> Result<Vec<(&'a str, &'a str)>, Fault> {
    let nulls: Vec<&str> = given.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    match nulls.is_empty() {
        true => Ok(given.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect()),
        false => Err((ResponseError::InvalidConfig, format!("Null value not supported for: {}", nulls.join(", ")))),
    }
}

fn edits(configs: &[AlterableConfig]) -> Result<Vec<(&str, Edit<'_>)>, Fault> {
    let mut names = BTreeSet::new();
    if let Some(twice) = configs.iter().find(|config| !names.insert(config.name.as_str())) {
        let fault = format!("Error due to duplicate config keys: {}", twice.name.as_str());
        return Err((ResponseError::InvalidRequest, fault));
    }
    configs.iter().map(edit_of).collect()
}

fn edit_of(config: &AlterableConfig) -> Result<(&str, Edit<'_>), Fault> {
    let value = || {
        let fault = || format!("Null value not supported for: {}", config.name.as_str());
        config.value.as_deref().ok_or_else(|| (ResponseError::InvalidRequest, fault()))
    };
    let edit = match config.config_operation {
        SET => Edit::Set(value()?),
        DELETE => Edit::Delete,
        APPEND => Edit::Append(value()?),
        SUBTRACT => Edit::Subtract(value()?),
        other => return Err((ResponseError::InvalidRequest, format!("Unknown config operation {other}"))),
    };
    Ok((config.name.as_str(), edit))
}

fn alter<'a>(
    shared: &Shared,
    (resource_type, resource_name): &Resource,
    names: impl Iterator<Item = &'a str>,
    validate_only: bool,
    change: impl FnOnce(&TopicConfig) -> Result<TopicConfig, Fault>,
) -> Result<(), Fault> {
    match *resource_type {
        TOPIC => alter_topic(shared, resource_name, validate_only, change),
        BROKER => Err(refuse_broker(resource_name, names)),
        other => Err((
            ResponseError::InvalidRequest,
            format!("Unexpected resource type {other}: only topics have settings that can be altered here"),
        )),
    }
}

fn alter_topic(
    shared: &Shared,
    name: &str,
    validate_only: bool,
    change: impl FnOnce(&TopicConfig) -> Result<TopicConfig, Fault>,
) -> Result<(), Fault> {
    if let Some(fault) = name::fault(name) {
        return Err((ResponseError::InvalidTopicException, fault));
    }
    shared.topics.reconfigure(name, validate_only, change).map_err(|error| match error {
        AlterError::Unknown => (ResponseError::UnknownTopicOrPartition, format!("The topic '{name}' does not exist.")),
        AlterError::Refused(fault) => fault,
        AlterError::Io(error) => {
            tracing::error!(topic = name, %error, "cannot record a topic's settings");
            (ResponseError::KafkaStorageError, error.to_string())
        }
    })
}

fn refuse_broker<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Fault {
    let refuse = |fault| (ResponseError::InvalidRequest, fault);
    if !name.is_empty() && name.parse() != Ok(NODE_ID) {
        return refuse(format!("there is no node '{name}', only {NODE_ID}"));
    }
    let names: Vec<&str> = names.collect();
    refuse(format!("Cannot update these configs dynamically: {}; restart the broker with them", names.join(", ")))
}

fn answer(outcome: Result<(), Fault>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (0, None),
        Err((error, fault)) => (error.code(), Some(text(fault))),
    }
}
