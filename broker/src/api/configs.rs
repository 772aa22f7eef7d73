//! DescribeConfigs, for topics and for the one node.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::state::{NODE_ID, Shared};
use crate::topics::config::Kind;
use crate::topics::name;

pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;

const DYNAMIC_TOPIC: i8 = 1;
const STATIC_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

/// Where a topic's setting comes from, as a number.
pub(crate) fn source(given: bool) -> i8 {
    if given { DYNAMIC_TOPIC } else { DEFAULT }
}

struct Described {
    name: &'static str,
    value: String,
    default: &'static str,
    kind: i8,
    source: i8,
    read_only: bool,
}

pub(crate) fn handle(shared: &Shared, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let with_synonyms = request.include_synonyms;
    let results = request.resources.into_iter().map(|resource| describe(shared, resource, with_synonyms));
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe(shared: &Shared, resource: DescribeConfigsResource, with_synonyms: bool) -> DescribeConfigsResult {
    let described = match resource.resource_type {
        TOPIC => of_topic(shared, &resource.resource_name),
        BROKER => of_broker(shared, &resource.resource_name),
        other => Err((ResponseError::InvalidRequest, format!("resources of type {other} have no configuration here"))),
    };
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name);
    let wanted = |name: &str, keys: &Option<Vec<StrBytes>>| {
        keys.as_ref().is_none_or(|keys| keys.iter().any(|key| key.as_str() == name))
    };
    match described {
        Err((error, fault)) => result.with_error_code(error.code()).with_error_message(Some(text(fault))),
        Ok(described) => {
            let described = described.into_iter().filter(|one| wanted(one.name, &resource.configuration_keys));
            result.with_configs(described.map(|described| entry(described, with_synonyms)).collect())
        }
    }
}

fn of_topic(shared: &Shared, name: &str) -> Result<Vec<Described>, (ResponseError, String)> {
    if let Some(fault) = name::fault(name) {
        return Err((ResponseError::InvalidTopicException, fault));
    }
    let unknown = || (ResponseError::UnknownTopicOrPartition, format!("there is no topic '{name}'"));
    let topic = shared.topics.by_name(name).ok_or_else(unknown)?;
    let described = topic.config.describe().map(|(setting, value, given)| Described {
        name: setting.name,
        value: value.to_owned(),
        default: setting.default,
        kind: setting.kind.code(),
        source: source(given),
        read_only: false,
    });
    Ok(described.collect())
}

/// Only what this broker has an answer for.
fn of_broker(shared: &Shared, name: &str) -> Result<Vec<Described>, (ResponseError, String)> {
    if !name.is_empty() && name.parse() != Ok(NODE_ID) {
        return Err((ResponseError::InvalidRequest, format!("there is no node '{name}', only {NODE_ID}")));
    }
    let limits = &shared.config.limits;
    let (long, boolean) = (Kind::Long { min: 0 }.code(), Kind::Bool.code());
    let settings: [(&str, &str, i8, String); 10] = [
        ("auto.create.topics.enable", "true", boolean, shared.config.auto_create_topics.to_string()),
        ("default.replication.factor", "1", long, "1".to_owned()),
        ("group.max.session.timeout.ms", "1800000", long, limits.session_timeout_max.as_millis().to_string()),
        ("group.min.session.timeout.ms", "6000", long, limits.session_timeout_min.as_millis().to_string()),
        ("max.connections", "2147483647", long, limits.connections_max.to_string()),
        ("message.max.bytes", "1048588", long, "1048588".to_owned()),
        ("min.insync.replicas", "1", long, "1".to_owned()),
        ("num.partitions", "1", long, shared.config.default_partitions.to_string()),
        ("offsets.retention.minutes", "10080", long, (shared.config.offsets_retention.as_secs() / 60).to_string()),
        ("socket.request.max.bytes", "104857600", long, limits.frame_bytes_max.to_string()),
    ];
    let described = settings.into_iter().map(|(name, default, kind, value)| Described {
        source: if value == default { DEFAULT } else { STATIC_BROKER },
        read_only: true,
        name,
        value,
        default,
        kind,
    });
    Ok(described.collect())
}

fn entry(described: Described, with_synonyms: bool) -> DescribeConfigsResourceResult {
    let synonym = |value: &str, source| {
        DescribeConfigsSynonym::default()
            .with_name(text(described.name))
            .with_value(Some(text(value)))
            .with_source(source)
    };
    let mut synonyms = Vec::new();
    if with_synonyms && described.source != DEFAULT {
        synonyms.push(synonym(&described.value, described.source));
    }
    if with_synonyms {
        synonyms.push(synonym(described.default, DEFAULT));
    }
    DescribeConfigsResourceResult::default()
        .with_name(text(described.name))
        .with_value(Some(text(described.value.as_str())))
        .with_config_source(described.source)
        .with_config_type(described.kind)
        .with_read_only(described.read_only)
        .with_synonyms(synonyms)
}
