//! A test that acts as the engine: it publishes tasks, reads the commands that come of them, and answers questions.
//!
//! `TIDEWRIGHT_TEST_BROKERS` names brokers to test against; without it an embedded broker is started in this process.

#![allow(clippy::unwrap_used, dead_code, reason = "tests; each file uses a part")]

pub mod log;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use tidewright::{Client, ClientConfig, Worker, WorkerError};
use tidewright_broker::{Broker, BrokerConfig};
use tidewright_log::{
    Admin, LogReader, PartitionReader, Producer, ReaderOptions, Received, Record, StartAt, TopicKind, TopicSpec,
};
use tidewright_schemas::{
    ActivityTask, Answer, Command, ConfirmTask, HistoryEvent, Payload, QueryBasis, QueryTask, Reply, ReplyTo, RunId,
    TaskConfirmed, TaskVerdict, WorkflowId, WorkflowTask, headers,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Longest wait for anything that should happen soon.
pub const SOON: Duration = Duration::from_secs(30);
pub const QUEUE: &str = "orders";

fn brokers() -> String {
    static BROKERS: OnceLock<String> = OnceLock::new();
    let brokers = BROKERS.get_or_init(|| {
        let _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).try_init();
        std::env::var("TIDEWRIGHT_TEST_BROKERS").unwrap_or_else(|_| embedded())
    });
    brokers.clone()
}

/// A broker with a runtime of its own, since a test's runtime ends with the test.
fn embedded() -> String {
    let (address, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = Broker::start(BrokerConfig::default()).await.unwrap();
            address.send(broker.address().to_string()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
}

/// Fails the test if `future` takes longer than [`SOON`].
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what} did not happen within {SOON:?}"))
}

/// A namespace of its own, with the test as its engine.
pub struct Engine {
    pub client: Client,
    producer: Producer,
    commands: PartitionReader,
    inbox: std::collections::VecDeque<Received>,
    run_id: RunId,
}

/// A worker that runs in the background.
pub struct Running {
    stop: oneshot::Sender<()>,
    worker: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    /// Stops it as a process would be stopped, and waits until it has.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        soon("the worker's end", self.worker).await.unwrap().unwrap();
    }

    /// Ends it as a crash would.
    pub async fn kill(self) {
        self.worker.abort();
        let _ = self.worker.await;
    }
}

pub fn run(worker: Worker) -> Running {
    let (stop, stopped) = oneshot::channel();
    Running { stop, worker: tokio::spawn(worker.run_until(stopped)) }
}

impl Engine {
    pub async fn start() -> Self {
        let namespace = format!("t{}", Uuid::new_v4().simple());
        let config = ClientConfig::new(brokers()).namespace(namespace).request_timeout(SOON);
        let client = Client::new(config).unwrap();
        let topics = client.topics();
        let mut wanted = vec![
            TopicSpec::new(topics.commands(), TopicKind::Commands, 1),
            TopicSpec::new(topics.replies(), TopicKind::Replies, 1),
        ];
        for name in [topics.workflow_tasks(QUEUE), topics.activity_tasks(QUEUE)] {
            wanted.push(TopicSpec::new(name, TopicKind::Tasks, 1));
        }
        let kafka = &client.config().kafka;
        let report = Admin::new(kafka).unwrap().ensure_topics(&wanted).await.unwrap();
        assert!(report.missing.is_empty(), "{report:?}");
        let reader = LogReader::new(kafka, &ReaderOptions::default()).unwrap();
        let commands = reader.open(&topics.commands(), 0, StartAt::Beginning).await.unwrap();
        let producer = Producer::new(kafka).unwrap();
        let run_id = RunId::from_text(Uuid::new_v4().to_string());
        Self { client, producer, commands, inbox: Default::default(), run_id }
    }

    pub fn worker(&self) -> Worker {
        Worker::new(&self.client, QUEUE)
    }

    pub fn workflow_id() -> WorkflowId {
        WorkflowId::new("order-1").unwrap()
    }

    pub fn workflow_task(&self, workflow_type: &str, events: Vec<HistoryEvent>) -> WorkflowTask {
        let last = events.last().unwrap();
        WorkflowTask {
            token: format!("token-{}", Uuid::new_v4()),
            namespace: self.client.topics().namespace().to_owned(),
            workflow_id: Self::workflow_id(),
            run_id: self.run_id.clone(),
            workflow_type: workflow_type.to_owned(),
            attempt: 1,
            scheduled_event_id: last.event_id - 1,
            started_event_id: last.event_id,
            started_time_ms: last.event_time_ms,
            workflow_task_timeout_ms: None,
            previous_started_event_id: 0,
            previous_completion_id: None,
            events,
            possible_repeat: false,
            history_url: None,
        }
    }

    pub fn activity_task<T: serde::Serialize>(&self, activity_type: &str, input: &T) -> ActivityTask {
        ActivityTask {
            token: format!("token-{}", Uuid::new_v4()),
            namespace: self.client.topics().namespace().to_owned(),
            workflow_id: Self::workflow_id(),
            run_id: self.run_id.clone(),
            workflow_type: "Test".to_owned(),
            activity_id: "1".to_owned(),
            activity_type: activity_type.to_owned(),
            scheduled_event_id: 5,
            attempt: 1,
            input: Some(Payload::new(input).unwrap()),
            header: BTreeMap::new(),
            priority: None,
            retry_policy: tidewright_schemas::RetryPolicy::default(),
            scheduled_time_ms: 0,
            attempt_scheduled_time_ms: 0,
            start_to_close_timeout_ms: Some(10_000),
            schedule_to_close_timeout_ms: None,
            heartbeat_timeout_ms: None,
            heartbeat_details: None,
            detached: false,
            last_failure: None,
            possible_repeat: false,
            unstarted: 0,
        }
    }

    pub fn run_id(&self) -> &str {
        self.run_id.as_str()
    }

    /// Sends a workflow task and waits until it is in its topic.
    pub async fn send_workflow_task(&self, task: &WorkflowTask) {
        let topic = self.client.topics().workflow_tasks(QUEUE);
        self.send(&topic, serde_json::to_vec(task).unwrap(), &[]).await;
    }

    /// A query about a run that stands after its task 3, and whose history is all of `events`.
    pub fn query_task(&self, workflow_type: &str, query_type: &str, events: Vec<HistoryEvent>) -> QueryTask {
        QueryTask {
            namespace: self.client.topics().namespace().to_owned(),
            workflow_id: Self::workflow_id(),
            run_id: self.run_id.clone(),
            workflow_type: workflow_type.to_owned(),
            query_type: query_type.to_owned(),
            query_args: None,
            header: Default::default(),
            basis: QueryBasis { started_event_id: 3, completion_id: "accepted".to_owned() },
            exact: false,
            last_event_id: events.last().unwrap().event_id,
            events,
            history_url: None,
            expires_at_ms: u64::MAX,
            reply_to: ReplyTo { partition: 0, correlation_id: Uuid::new_v4().to_string() },
        }
    }

    /// Asks a query and waits until it is in its topic.
    pub async fn send_query(&self, query: &QueryTask) {
        let topic = self.client.topics().workflow_tasks(QUEUE);
        let value = serde_json::to_vec(query).unwrap();
        self.send(&topic, value, &[(headers::QUERY, &query.reply_to.correlation_id)]).await;
    }

    /// Asks a query and waits for its answer.
    pub async fn ask(&self, query: &QueryTask) -> Answer {
        self.send_query(query).await;
        self.answer_to(query).await
    }

    /// The answer to a query that was asked.
    pub async fn answer_to(&self, query: &QueryTask) -> Answer {
        let reader = LogReader::new(&self.client.config().kafka, &ReaderOptions::default()).unwrap();
        let mut replies = reader.open(&self.client.topics().replies(), 0, StartAt::Beginning).await.unwrap();
        soon("the answer", async {
            loop {
                for record in replies.next_batch(100, 1 << 24).await.unwrap().records {
                    let reply: Reply = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
                    if reply.correlation_id == query.reply_to.correlation_id {
                        return reply.answer;
                    }
                }
            }
        })
        .await
    }

    /// How many answers there are.
    pub async fn reply_count(&self) -> u64 {
        let admin = Admin::new(&self.client.config().kafka).unwrap();
        admin.watermarks(&self.client.topics().replies(), 0).await.unwrap().high
    }

    /// Sends an activity task and waits until it is in its topic.
    pub async fn send_activity_task(&self, task: &ActivityTask, trace: &str) {
        let topic = self.client.topics().activity_tasks(QUEUE);
        self.send(&topic, serde_json::to_vec(task).unwrap(), &[(headers::TRACEPARENT, trace)]).await;
    }

    pub async fn send(&self, topic: &str, value: Vec<u8>, record_headers: &[(&str, &str)]) {
        let record = record_headers
            .iter()
            .fold(Record::to(topic).key("order-1").value(value), |record, (k, v)| record.header(*k, *v));
        soon("delivery", self.producer.send(record).await).await.unwrap();
    }

    /// The next command.
    pub async fn command(&mut self) -> (Command, Received) {
        soon("a command", async {
            loop {
                if let Some(record) = self.inbox.pop_front() {
                    return (Command::from_value(record.value.as_deref()).unwrap(), record);
                }
                self.inbox.extend(self.commands.next_batch(10, 1 << 20).await.unwrap().records);
            }
        })
        .await
    }

    /// The next command that is no question; questions whether a task may run are answered by yes. (A task that is sent
    /// before the worker has joined its group is a possible repeat.)
    pub async fn outcome(&mut self) -> (Command, Received) {
        loop {
            match self.command().await {
                (Command::ConfirmTask(asked), _) => self.answer(&asked, TaskVerdict::Run).await,
                other => return other,
            }
        }
    }

    /// Waits for something, and answers meanwhile every question whether a task may run by yes.
    pub async fn answering_until<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                biased;
                done = &mut what => return done,
                (command, _) = self.command() => match command {
                    Command::ConfirmTask(asked) => self.answer(&asked, TaskVerdict::Run).await,
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Answers a question.
    pub async fn answer(&self, asked: &ConfirmTask, verdict: TaskVerdict) {
        let reply = Reply {
            correlation_id: asked.reply_to.correlation_id.clone(),
            workflow_id: Self::workflow_id(),
            answer: Answer::TaskConfirmed(TaskConfirmed { verdict }),
        };
        self.send(&self.client.topics().replies(), serde_json::to_vec(&reply).unwrap(), &[]).await;
    }

    /// Waits until the group of a topic has committed an offset.
    pub async fn committed(&self, topic: &str, offset: u64) {
        let admin = Admin::new(&self.client.config().kafka).unwrap();
        soon("the commit", async {
            while admin.committed(topic, topic, &[0]).await.unwrap().get(&0) != Some(&offset) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

/// Events from text: a type and its attributes each, numbered from `first`.
pub fn events(first: u64, texts: &[(&str, &str)]) -> Vec<HistoryEvent> {
    let event = |(index, (kind, attributes)): (usize, &(&str, &str))| {
        let id = first + index as u64;
        let text = format!(
            r#"{{"event_id":{id},"event_time_ms":{},"event_type":"{kind}","attributes":{attributes}}}"#,
            1_000 + id
        );
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    texts.iter().enumerate().map(event).collect()
}

/// The first three events of a run.
pub fn begun(workflow_type: &str, input: &str) -> Vec<HistoryEvent> {
    let started = format!(r#"{{"workflow_type":"{workflow_type}","task_queue":"orders","input":{input}}}"#);
    events(
        1,
        &[
            ("WorkflowExecutionStarted", &started),
            ("WorkflowTaskScheduled", r#"{"task_queue":"orders","attempt":1}"#),
            ("WorkflowTaskStarted", r#"{"scheduled_event_id":2}"#),
        ],
    )
}

/// What follows [`begun`] when the first task scheduled one activity, which gave `result`.
pub fn one_activity_done(completion_id: &str, activity_type: &str, result: &str) -> Vec<HistoryEvent> {
    let completed = format!(r#"{{"scheduled_event_id":2,"started_event_id":3,"completion_id":"{completion_id}"}}"#);
    let scheduled = format!(
        r#"{{"activity_id":"1","activity_type":"{activity_type}","task_queue":"orders","retry_policy":{{}},"workflow_task_completed_event_id":4}}"#
    );
    let done = format!(r#"{{"scheduled_event_id":5,"started_event_id":6,"result":{result}}}"#);
    events(
        4,
        &[
            ("WorkflowTaskCompleted", &completed),
            ("ActivityTaskScheduled", &scheduled),
            ("ActivityTaskStarted", r#"{"scheduled_event_id":5,"attempt":1}"#),
            ("ActivityTaskCompleted", &done),
            ("WorkflowTaskScheduled", r#"{"task_queue":"orders","attempt":1}"#),
            ("WorkflowTaskStarted", r#"{"scheduled_event_id":8}"#),
        ],
    )
}
