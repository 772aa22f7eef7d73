//! Administration: topics and their settings, offsets, deletion of records.
//!
//! Requests that librdkafka only offers as blocking calls run on tokio's blocking threads.

mod describe;
mod ensure;
mod inspect;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::config::{KafkaConfig, property};
use crate::error::{LogError, client_error, coded_log_error, log_error};
use crate::record::{kafka_offset, kafka_partition, unsigned_offset};

pub use ensure::{MissingTopic, TopicReport};
pub use inspect::{ClusterInfo, Operation, TopicSeen};
pub use settings::{Difference, Severity, TopicKind, TopicSpec};

/// How long a broker has for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that the log holds.
    pub low: u64,
    /// The offset after the last one.
    pub high: u64,
}

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id, which a topic made anew under the same name does not share; none from a broker without topic ids.
    pub id: Option<String>,
    /// How many partitions it has.
    pub partitions: u32,
    /// The smallest number of replicas that one of its partitions has.
    pub replicas: u32,
    /// Whether each partition has a leader.
    pub has_leaders: bool,
}

/// Administrative requests. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    config: KafkaConfig,
    handle: Arc<Handle>,
}

/// A context for clients whose own events nobody polls: they are set up to have none.
struct Quiet;

impl rdkafka::ClientContext for Quiet {}
impl rdkafka::consumer::ConsumerContext for Quiet {}

/// The client, whose end takes a tenth of a second and therefore gets a thread.
struct Handle(Option<AdminClient<Quiet>>);

impl Drop for Handle {
    fn drop(&mut self) {
        let client = self.0.take();
        // Without a thread it ends right here: the closure is dropped with what it holds.
        let _ = std::thread::Builder::new().name("tw-admin-end".to_owned()).spawn(move || drop(client));
    }
}

impl Handle {
    fn client(&self) -> Result<&AdminClient<Quiet>, LogError> {
        // Only the drop takes it out.
        self.0.as_ref().ok_or_else(|| LogError::Config("the client is closed".to_owned()))
    }
}

impl Admin {
    /// Makes the client; it connects in the background.
    pub fn new(config: &KafkaConfig) -> Result<Self, LogError> {
        let quiet = quiet_client(config)?;
        let client = quiet.create_with_context(Quiet).map_err(|error| client_error(&error))?;
        Ok(Self { config: config.clone(), handle: Arc::new(Handle(Some(client))) })
    }

    fn client(&self) -> Result<&AdminClient<Quiet>, LogError> {
        self.handle.client()
    }

    /// Creates the topics that are missing, verifies those that are there, and tells what differs. It fails only if
    /// Kafka cannot or may not be asked.
    pub async fn ensure_topics(&self, wanted: &[TopicSpec]) -> Result<TopicReport, LogError> {
        ensure::ensure(self, wanted).await
    }

    /// What is known of topics; those that do not exist are left out.
    pub async fn describe_topics(&self, names: &[&str]) -> Result<Vec<TopicInfo>, LogError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let what = format!("describing topics {names:?}");
        let handle = Arc::clone(&self.handle);
        blocking(what.clone(), move || {
            describe::topics(handle.client()?.inner(), &names, REQUEST_TIMEOUT)
                .map_err(|(code, message)| coded_log_error(&what, code, &message))
        })
        .await
    }

    /// How many partitions a topic has; none if it does not exist.
    pub async fn partition_count(&self, topic: &str) -> Result<Option<u32>, LogError> {
        Ok(self.describe_topics(&[topic]).await?.pop().map(|info| info.partitions))
    }

    /// A topic's id (R15); none if the topic does not exist or the brokers have no topic ids.
    pub async fn topic_id(&self, topic: &str) -> Result<Option<String>, LogError> {
        Ok(self.describe_topics(&[topic]).await?.pop().and_then(|info| info.id))
    }

    /// How many brokers the cluster has.
    pub async fn broker_count(&self) -> Result<usize, LogError> {
        Ok(self.cluster().await?.brokers.len())
    }

    /// Where a partition begins and ends, records of open transactions included.
    pub async fn watermarks(&self, topic: &str, partition: u32) -> Result<Watermarks, LogError> {
        let what = format!("asking for the ends of {topic}/{partition}");
        let (handle, name) = (Arc::clone(&self.handle), topic.to_owned());
        let ends = blocking(what.clone(), move || {
            let ends = handle.client()?.inner().fetch_watermarks(&name, kafka_partition(partition), REQUEST_TIMEOUT);
            let (low, high) = ends.map_err(|error| log_error(&what, &error))?;
            Ok(Watermarks { low: unsigned_offset(low), high: unsigned_offset(high) })
        });
        let ends = ends.await;
        if matches!(ends, Err(LogError::TopicMissing { .. })) {
            // librdkafka calls a partition unknown that may not be seen; this says which of both it is.
            self.describe_topics(&[topic]).await?;
        }
        ends
    }

    /// Deletes the records of a partition below an offset.
    pub async fn delete_records(&self, topic: &str, partition: u32, before_offset: u64) -> Result<(), LogError> {
        let what = format!("deleting the records of {topic}/{partition} below {before_offset}");
        let number = kafka_partition(partition);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, number, Offset::Offset(kafka_offset(before_offset)))
            .map_err(|error| log_error(&what, &error))?;
        let done =
            self.client()?.delete_records(&list, &admin_options()).await.map_err(|error| log_error(&what, &error))?;
        match done.find_partition(topic, number).map(|element| element.error()) {
            Some(Err(error)) => Err(log_error(&what, &error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Raises a topic's number of partitions.
    pub async fn add_partitions(&self, topic: &str, total: u32) -> Result<(), LogError> {
        let what = format!("raising topic {topic} to {total} partitions");
        let wanted = NewPartitions::new(topic, usize::try_from(total).unwrap_or(usize::MAX));
        let done = self.client()?.create_partitions([&wanted], &admin_options()).await;
        each_topic(&what, done.map_err(|error| log_error(&what, &error))?)
    }

    /// Deletes topics with all that is in them.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<(), LogError> {
        let what = format!("deleting topics {names:?}");
        let done = self.client()?.delete_topics(names, &admin_options()).await;
        each_topic(&what, done.map_err(|error| log_error(&what, &error))?)
    }

    /// The offsets that a group has committed for a topic's partitions; those without one are left out.
    pub async fn committed(
        &self,
        group: &str,
        topic: &str,
        partitions: &[u32],
    ) -> Result<BTreeMap<u32, u64>, LogError> {
        let what = format!("asking for what group {group} has committed of {topic}");
        let mut config = quiet_client(&self.config)?;
        config.set("group.id", group).set("enable.auto.commit", "false").remove("message.max.bytes");
        let (topic, partitions) = (topic.to_owned(), partitions.to_vec());
        blocking(what.clone(), move || {
            let client: BaseConsumer<Quiet> =
                config.create_with_context(Quiet).map_err(|error| client_error(&error))?;
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for &partition in &partitions {
                list.add_partition(&topic, kafka_partition(partition));
            }
            let list = client.committed_offsets(list, REQUEST_TIMEOUT).map_err(|error| log_error(&what, &error))?;
            let committed = partitions.into_iter().filter_map(|partition| {
                match list.find_partition(&topic, kafka_partition(partition))?.offset() {
                    Offset::Offset(offset) => Some((partition, unsigned_offset(offset))),
                    _ => None,
                }
            });
            Ok(committed.collect())
        })
        .await
    }
}

/// A client without events of its own. librdkafka would queue its log lines for ever, so it writes none: what goes wrong
/// is in the answer to the request.
fn quiet_client(config: &KafkaConfig) -> Result<ClientConfig, LogError> {
    let mut client = config.client(&[], &[property("statistics.interval.ms", 0)])?;
    client.set_log_level(RDKafkaLogLevel::Emerg);
    Ok(client)
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

fn each_topic(what: &str, results: Vec<rdkafka::admin::TopicResult>) -> Result<(), LogError> {
    for result in results {
        result.map_err(|(topic, code)| coded_log_error(&format!("{what} ({topic})"), Some(code), &code.to_string()))?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    what: String,
    ask: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(ask).await {
        Ok(answer) => answer,
        Err(gone) => Err(LogError::Unavailable { what, message: gone.to_string() }),
    }
}
