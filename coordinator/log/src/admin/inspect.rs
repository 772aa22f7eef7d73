//! Looking without changing anything: who is in the cluster, what this client may do, how things are set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rdkafka::admin::{NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;

use super::{Admin, Difference, REQUEST_TIMEOUT, TopicInfo, TopicSpec, admin_options, blocking, describe, ensure};
use crate::error::{Class, LogError, classify, coded_log_error, log_error};

/// Who is in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The ids of the brokers that are up.
    pub brokers: Vec<i32>,
    /// The broker that clients send changes to; none if nobody is.
    pub controller: Option<i32>,
}

/// What an ACL allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Fetch records; be a member of a group.
    Read,
    /// Produce.
    Write,
    /// Delete records.
    Delete,
    /// See that it exists, ask for offsets.
    Describe,
    /// See how it is set.
    DescribeConfigs,
}

impl Operation {
    /// Its name for `kafka-acls.sh`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Delete => "Delete",
            Self::Describe => "Describe",
            Self::DescribeConfigs => "DescribeConfigs",
        }
    }
}

/// A topic as this client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicSeen {
    /// It exists.
    There {
        /// What is known of it.
        info: TopicInfo,
        /// What this client may do there; none if the broker does not say.
        operations: Option<BTreeSet<Operation>>,
    },
    /// It does not exist.
    Missing,
    /// It cannot be told.
    Failed {
        /// Why.
        code: RDKafkaErrorCode,
        /// What the broker said.
        message: String,
    },
}

impl TopicSeen {
    /// Whether this client may not even see whether it exists.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Failed { code, .. } if classify(*code) == Class::Denied)
    }
}

impl Admin {
    /// Who is in the cluster.
    pub async fn cluster(&self) -> Result<ClusterInfo, LogError> {
        let what = "asking who is in the cluster".to_owned();
        let handle = Arc::clone(&self.handle);
        blocking(what.clone(), move || {
            describe::cluster(handle.client()?.inner(), REQUEST_TIMEOUT)
                .map_err(|(code, message)| coded_log_error(&what, code, &message))
        })
        .await
    }

    /// A topic as this client sees it.
    pub async fn look_at_topic(&self, name: &str) -> Result<TopicSeen, LogError> {
        let what = format!("looking at topic {name}");
        let (handle, names) = (Arc::clone(&self.handle), vec![name.to_owned()]);
        blocking(what.clone(), move || {
            let seen = describe::look_at(handle.client()?.inner(), &names, REQUEST_TIMEOUT);
            let mut seen = seen.map_err(|(code, message)| coded_log_error(&what, code, &message))?;
            let none = || LogError::Unavailable { what, message: "the answer is empty".to_owned() };
            seen.pop().map(|(_, seen)| seen).ok_or_else(none)
        })
        .await
    }

    /// What this client may do with a consumer group; none if the broker does not say, an empty set if it may not even
    /// see it.
    pub async fn group_operations(&self, group: &str) -> Result<Option<BTreeSet<Operation>>, LogError> {
        let what = format!("looking at group {group}");
        let (handle, group) = (Arc::clone(&self.handle), group.to_owned());
        blocking(what.clone(), move || {
            match describe::group_operations(handle.client()?.inner(), &group, REQUEST_TIMEOUT) {
                Ok(operations) => Ok(operations),
                Err((Some(code), _)) if classify(code) == Class::Denied => Ok(Some(BTreeSet::new())),
                Err((code, message)) => Err(coded_log_error(&what, code, &message)),
            }
        })
        .await
    }

    /// Whether this client may create a topic: asked of the broker, which creates nothing.
    pub async fn may_create(&self, spec: &TopicSpec) -> Result<bool, LogError> {
        let what = format!("asking whether topic {} may be created", spec.name);
        let topic = NewTopic::new(&spec.name, 1, TopicReplication::Fixed(1));
        let options = admin_options().validate_only(true);
        let asked = self.client()?.create_topics([&topic], &options).await;
        match asked.map_err(|error| log_error(&what, &error))?.pop() {
            Some(Err((_, code))) if classify(code) == Class::Denied => Ok(false),
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(true),
            Some(Err((_, code))) => Err(coded_log_error(&what, Some(code), &code.to_string())),
            None => Err(LogError::Unavailable { what, message: "the answer is empty".to_owned() }),
        }
    }

    /// Names and partition counts of the topics whose names begin so, as far as this client may see them.
    pub async fn topics_with_prefix(&self, prefix: &str) -> Result<BTreeMap<String, usize>, LogError> {
        let what = format!("listing the topics {prefix}*");
        let (handle, prefix) = (Arc::clone(&self.handle), prefix.to_owned());
        blocking(what.clone(), move || {
            let metadata = handle.client()?.inner().fetch_metadata(None, REQUEST_TIMEOUT);
            let metadata = metadata.map_err(|error| log_error(&what, &error))?;
            let ours = metadata.topics().iter().filter(|topic| topic.name().starts_with(&prefix));
            Ok(ours.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
        })
        .await
    }

    /// Compares a topic that is there with what is wanted, on a cluster of so many brokers.
    pub async fn verify_topic(
        &self,
        spec: &TopicSpec,
        found: &TopicInfo,
        brokers: usize,
    ) -> Result<Vec<Difference>, LogError> {
        ensure::verify(self, spec, found, brokers).await
    }

    /// How a topic is set, the brokers' defaults included.
    pub async fn topic_settings(&self, name: &str) -> Result<BTreeMap<String, String>, LogError> {
        self.settings_of(&ResourceSpecifier::Topic(name), &format!("reading the settings of topic {name}")).await
    }

    /// How a broker is set.
    pub async fn broker_settings(&self, broker: i32) -> Result<BTreeMap<String, String>, LogError> {
        self.settings_of(&ResourceSpecifier::Broker(broker), &format!("reading the settings of broker {broker}")).await
    }

    async fn settings_of(
        &self,
        resource: &ResourceSpecifier<'_>,
        what: &str,
    ) -> Result<BTreeMap<String, String>, LogError> {
        let asked = self.client()?.describe_configs([resource], &admin_options()).await;
        let resource = asked.map_err(|error| log_error(what, &error))?.pop();
        let none = || LogError::Unavailable { what: what.to_owned(), message: "the answer is empty".to_owned() };
        let settings =
            resource.ok_or_else(none)?.map_err(|code| coded_log_error(what, Some(code), &code.to_string()))?;
        Ok(settings.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }
}
