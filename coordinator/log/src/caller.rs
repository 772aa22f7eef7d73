//! Request and reply over Kafka (R21).
//!
//! A command goes out with a `reply_to`; the answer comes back on a partition of `replies` that this process reads from
//! its end. Answers may be lost, repeated or late, so the same bytes are sent again after a while, under the same request
//! id, until an answer or the deadline comes. An answer that nobody waits for is ignored.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tidewright_schemas::topics::Topics;
use tidewright_schemas::{Answer, Command, Reply, ReplyTo, WorkflowId, headers};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::admin::Admin;
use crate::config::KafkaConfig;
use crate::error::{LogError, ReadError, SendError, SendErrorKind};
use crate::producer::Producer;
use crate::reader::{LogReader, PartitionReader, ReaderOptions, StartAt};
use crate::record::{Received, Record};

const BATCH_RECORDS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pause before `replies` is read again after an error.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);

/// How to call.
#[derive(Debug, Clone)]
pub struct CallerOptions {
    /// Where commands go.
    pub commands_topic: String,
    /// Where answers come from.
    pub replies_topic: String,
    /// Calls that wait for an answer at the same time; more wait for their turn.
    pub in_flight_max: usize,
    /// How long to wait for an answer before the command is sent again; doubles from one time to the next.
    pub repeat_after: Duration,
    /// Longest such wait.
    pub repeat_after_max: Duration,
}

impl CallerOptions {
    /// Calls to one namespace.
    #[must_use]
    pub fn new(topics: &Topics) -> Self {
        Self {
            commands_topic: topics.commands(),
            replies_topic: topics.replies(),
            in_flight_max: 4_096,
            repeat_after: Duration::from_secs(1),
            repeat_after_max: Duration::from_secs(8),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The deadline came first.
    #[error(
        "no answer about workflow {workflow_id} within {waited:?}; the command may still be carried out, so repeat it \
         under the same request id. Is an engine node up and serving the namespace?"
    )]
    Timeout {
        /// Which workflow was asked.
        workflow_id: WorkflowId,
        /// How long the answer was waited for.
        waited: Duration,
    },
    /// The command was not sent.
    #[error("the command was not sent: {0}")]
    NotSent(#[from] SendError),
    /// The command cannot be written as JSON.
    #[error("the command cannot be written as JSON: {0}")]
    Encoding(String),
    /// Answers cannot be read.
    #[error("answers cannot be read: {0}")]
    Replies(#[from] ReadError),
    /// Kafka cannot be asked about `replies`.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Sends commands and waits for their answers, many at the same time. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    inner: Arc<Inner>,
}

struct Inner {
    producer: Producer,
    options: CallerOptions,
    partition: u32,
    turns: Semaphore,
    waiting: Arc<Waiting>,
    reading: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Who waits for which answer.
#[derive(Default)]
struct Waiting(Mutex<HashMap<String, oneshot::Sender<Answer>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Answer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, record: &Received) {
        #[derive(Deserialize)]
        struct Addressee {
            correlation_id: String,
        }
        let Some(value) = record.value.as_deref() else { return };
        // Most answers on a shared partition are for others, whose payloads need not be read.
        let Ok(Addressee { correlation_id }) = serde_json::from_slice(value) else {
            return tracing::debug!(record.offset, "a reply without a correlation id");
        };
        let Some(asker) = self.lock().remove(&correlation_id) else { return };
        match serde_json::from_slice::<Reply>(value) {
            // The asker may have given up in between.
            Ok(reply) => drop(asker.send(reply.answer)),
            Err(error) => {
                tracing::warn!(correlation_id, "an answer of a kind that this version does not know: {error}");
                self.lock().insert(correlation_id, asker);
            }
        }
    }
}

/// Takes an asker off the list, answered or not.
struct Place<'a> {
    waiting: &'a Waiting,
    correlation_id: &'a str,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(self.correlation_id);
    }
}

impl Caller {
    /// Opens a partition of `replies`, chosen at random, and starts reading it from its end.
    pub async fn start(config: &KafkaConfig, producer: Producer, options: CallerOptions) -> Result<Self, CallError> {
        let topic = &options.replies_topic;
        let partitions = Admin::new(config)?.partition_count(topic).await?;
        let partitions = partitions.ok_or_else(|| ReadError::TopicMissing { topic: topic.clone(), partition: 0 })?;
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        let partition = u32::try_from((high ^ low) % u64::from(partitions.max(1))).unwrap_or(0);
        let reader = LogReader::new(config, &ReaderOptions::default())?;
        let replies = reader.open(topic, partition, StartAt::End).await?;
        let waiting = Arc::new(Waiting::default());
        let reading = tokio::spawn(read(replies, Arc::clone(&waiting)));
        let turns = Semaphore::new(options.in_flight_max.max(1));
        Ok(Self { inner: Arc::new(Inner { producer, options, partition, turns, waiting, reading }) })
    }

    /// Sends the command that `build` makes for the given address, and waits for its answer for at most `patience`.
    ///
    /// `record_headers` are added to those that every command has. A `StartWorkflow` without a request id gets one, since
    /// it may be sent more than once.
    pub async fn call(
        &self,
        workflow_id: &WorkflowId,
        record_headers: Vec<(String, Vec<u8>)>,
        patience: Duration,
        build: impl FnOnce(ReplyTo) -> Command,
    ) -> Result<Answer, CallError> {
        let call = async |reply_to: ReplyTo| {
            let correlation_id = reply_to.correlation_id.clone();
            let record = self.record(workflow_id, record_headers, build(reply_to), &correlation_id)?;
            Err(CallError::from(self.send_again_and_again(record).await))
        };
        self.answered(workflow_id, patience, call).await
    }

    /// Sends, once, the record that `build` makes for the given address, and waits for its answer for at most `patience`.
    /// Whoever drops the call is forgotten.
    pub async fn ask(
        &self,
        workflow_id: &WorkflowId,
        patience: Duration,
        build: impl FnOnce(ReplyTo) -> Record,
    ) -> Result<Answer, CallError> {
        let ask = async |reply_to: ReplyTo| match self.inner.producer.send(build(reply_to)).await.await {
            Ok(_) => std::future::pending().await,
            Err(error) => Err(CallError::from(error)),
        };
        self.answered(workflow_id, patience, ask).await
    }

    /// Waits for the answer to what `send` sends; `send` ends only with an error.
    async fn answered(
        &self,
        workflow_id: &WorkflowId,
        patience: Duration,
        send: impl AsyncFnOnce(ReplyTo) -> Result<Infallible, CallError>,
    ) -> Result<Answer, CallError> {
        let deadline = Instant::now() + patience;
        let timeout = || CallError::Timeout { workflow_id: workflow_id.clone(), waited: patience };
        let turn = tokio::time::timeout_at(deadline, self.inner.turns.acquire()).await;
        let _turn = turn.map_err(|_| timeout())?;
        let correlation_id = uuid::Uuid::new_v4().to_string();
        let reply_to = ReplyTo {
            partition: i32::try_from(self.inner.partition).unwrap_or(i32::MAX),
            correlation_id: correlation_id.clone(),
        };
        let (asker, mut answer) = oneshot::channel();
        self.inner.waiting.lock().insert(correlation_id.clone(), asker);
        let _place = Place { waiting: &self.inner.waiting, correlation_id: &correlation_id };
        tokio::select! {
            // The asker's other end is taken off the list only with an answer, or here.
            Ok(answer) = &mut answer => Ok(answer),
            Err(error) = send(reply_to) => Err(error),
            () = tokio::time::sleep_until(deadline) => Err(timeout()),
        }
    }

    fn record(
        &self,
        workflow_id: &WorkflowId,
        record_headers: Vec<(String, Vec<u8>)>,
        mut command: Command,
        correlation_id: &str,
    ) -> Result<Record, CallError> {
        if let Command::StartWorkflow(start) = &mut command {
            start.request_id.get_or_insert_with(|| correlation_id.to_owned());
        }
        let value = serde_json::to_vec(&command).map_err(|error| CallError::Encoding(error.to_string()))?;
        let mut record = Record::to(&self.inner.options.commands_topic)
            .key(workflow_id.as_str())
            .value(value)
            .header(headers::CONTENT_TYPE, headers::JSON)
            .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION);
        record.headers.extend(record_headers);
        Ok(record)
    }

    /// Ends only with an error that sending again does not help.
    async fn send_again_and_again(&self, record: Record) -> SendError {
        let options = &self.inner.options;
        let mut pause = options.repeat_after;
        loop {
            match self.inner.producer.send(record.clone()).await.await {
                Err(error) if error.kind != SendErrorKind::Unavailable => return error,
                Err(error) => tracing::debug!("a command will be sent again: {error}"),
                Ok(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(options.repeat_after_max);
        }
    }
}

/// Hands out answers. What is lost while `replies` cannot be read is asked for again by the callers.
async fn read(mut replies: PartitionReader, waiting: Arc<Waiting>) {
    loop {
        match replies.next_batch(BATCH_RECORDS_MAX, BATCH_BYTES_MAX).await {
            Ok(batch) => batch.records.iter().for_each(|record| waiting.answer(record)),
            Err(error) => {
                tracing::warn!("answers cannot be read, trying again: {error}");
                reopen(&mut replies).await;
            }
        }
    }
}

async fn reopen(replies: &mut PartitionReader) {
    loop {
        tokio::time::sleep(REOPEN_PAUSE).await;
        match replies.reopen(StartAt::End).await {
            Ok(()) => return,
            Err(error) => tracing::debug!("answers still cannot be read: {error}"),
        }
    }
}
