//! The API without Kafka: nodes with a backend that is made up, asked over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidewright_runtime::{
    AcceptedLoss, PartitionState, PartitionStatus, PendingPage, QueryError, ReadError, RequestError, SkipRefused,
    WorkerSeen,
};
use tidewright_schemas::api::{
    HistoryPage, Problem, QueriedWorkflow, QueryWorkflow, WorkflowDescription, WorkflowList, WorkflowOutcome,
    WorkflowStatus, WorkflowSummary,
};
use tidewright_schemas::topics::partition_of;
use tidewright_schemas::{
    Answer, Command, EventId, LostCommands, Rejected, RequestAccepted, RunId, WorkflowId, WorkflowStarted,
};
use tokio::sync::{Semaphore, oneshot};

use crate::backend::{Backend, Keyed, Partition, Place};
use crate::server::ApiServer;

mod asking;
mod documented;
mod partitions;
mod querying;
mod workers;

const PARTITIONS: u32 = 3;

/// What the stopped partitions have lost.
const LOST: Option<LostCommands> = Some(LostCommands { from_offset: 17, to_offset: 90 });

/// A partition that holds runs and nothing else about them.
#[derive(Default)]
struct FakePartition {
    runs: BTreeMap<Vec<u8>, WorkflowSummary>,
    /// A permit for each wait that began.
    waits: Option<Arc<Semaphore>>,
}

impl FakePartition {
    fn run(&self, id: &WorkflowId) -> Option<&WorkflowSummary> {
        self.runs.values().find(|run| run.workflow_id == *id)
    }

    async fn wait(&self, wait: Duration) {
        if let Some(waits) = &self.waits {
            waits.add_permits(1);
        }
        tokio::time::sleep(wait).await;
    }
}

#[async_trait]
impl Partition for FakePartition {
    fn describe(
        &self,
        id: &WorkflowId,
        _: Option<&RunId>,
        page: PendingPage,
    ) -> Result<Option<WorkflowDescription>, ReadError> {
        Ok(self.run(id).map(|run| WorkflowDescription {
            summary: run.clone(),
            identity: None,
            request_id: None,
            workflow_execution_timeout_ms: None,
            workflow_run_timeout_ms: None,
            pending_activity_count: page.limit as u32,
            pending_timer_count: 0,
            pending_next_event_id: Some(page.from_event_id),
            history_size_bytes: 1,
            history_digest: String::new(),
            pending_workflow_task: None,
            pending_activities: Vec::new(),
            pending_timers: Vec::new(),
            buffered_events: 0,
            signal_count: 0,
            cancel_requested: false,
            delayed_until_ms: None,
            times_out_ms: None,
            memo: BTreeMap::new(),
        }))
    }

    fn history(
        &self,
        id: &WorkflowId,
        _: Option<&RunId>,
        from: EventId,
        _: usize,
    ) -> Result<Option<HistoryPage>, ReadError> {
        let page = |run: &WorkflowSummary| HistoryPage {
            run_id: run.run_id.clone(),
            status: run.status,
            events: Vec::new(),
            next_event_id: Some(from),
        };
        Ok(self.run(id).map(page))
    }

    async fn history_when_there(
        &self,
        id: &WorkflowId,
        run: Option<&RunId>,
        from: EventId,
        limit: usize,
        wait: Duration,
    ) -> Result<Option<HistoryPage>, ReadError> {
        self.wait(wait).await;
        self.history(id, run, from, limit)
    }

    fn list(&self, from_key: &[u8], limit: usize) -> Result<Keyed, ReadError> {
        let from = self.runs.range(from_key.to_vec()..);
        Ok(from.take(limit).map(|(key, run)| (key.clone(), run.clone())).collect())
    }

    async fn outcome(
        &self,
        id: &WorkflowId,
        _: Option<&RunId>,
        wait: Duration,
    ) -> Result<Option<WorkflowOutcome>, ReadError> {
        self.wait(wait).await;
        let outcome = |run: &WorkflowSummary| WorkflowOutcome {
            run_id: run.run_id.clone(),
            status: run.status,
            result: None,
            failure: None,
        };
        Ok(self.run(id).map(outcome))
    }
}

#[derive(Default)]
struct FakeNode {
    here: BTreeMap<u32, Arc<FakePartition>>,
    elsewhere: Mutex<BTreeMap<u32, String>>,
    is_ready: bool,
    stopped: Mutex<BTreeSet<u32>>,
    asked: Mutex<Vec<(Command, Option<String>)>>,
    /// A permit for each query, which is not answered then.
    unanswered: Option<Arc<Semaphore>>,
}

impl FakeNode {
    fn owner_of_all() -> Self {
        let here = (0..PARTITIONS).map(|number| (number, Arc::new(FakePartition::default()))).collect();
        Self { here, ..Self::default() }
    }

    fn partition(&self, number: u32) -> Place {
        if let Some(partition) = self.here.get(&number) {
            return Place::Local(Arc::clone(partition) as Arc<dyn Partition>);
        }
        match self.elsewhere.lock().unwrap().get(&number) {
            Some(http_url) => Place::Remote { http_url: http_url.clone() },
            None => Place::Unavailable { reason: format!("nobody owns partition {number}") },
        }
    }
}

#[async_trait]
impl Backend for FakeNode {
    fn namespace(&self) -> &str {
        "default"
    }
    fn node(&self) -> &str {
        "fake"
    }
    fn is_ready(&self) -> bool {
        self.is_ready
    }
    fn statuses(&self) -> Vec<PartitionStatus> {
        let state =
            PartitionState::Stopped { code: "TW0404".to_owned(), message: "a hole".to_owned(), lost_commands: LOST };
        let stopped = self.stopped.lock().unwrap().clone().into_iter().chain([7]);
        let status =
            |partition| PartitionStatus { partition, state: state.clone(), applied_offset: 3, effects_in_flight: 0 };
        stopped.map(status).collect()
    }
    fn workers(&self) -> Vec<WorkerSeen> {
        workers::seen()
    }
    fn peers(&self) -> Vec<String> {
        self.elsewhere.lock().unwrap().values().cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
    fn retry(&self, partition: u32) -> bool {
        self.stopped.lock().unwrap().remove(&partition)
    }
    fn skip(&self, partition: u32, accepted: AcceptedLoss) -> Result<(), SkipRefused> {
        let mut stopped = self.stopped.lock().unwrap();
        if Some(accepted.lost) != LOST && stopped.contains(&partition) {
            return Err(SkipRefused::OtherReason { message: "a hole".to_owned() });
        }
        if stopped.remove(&partition) { Ok(()) } else { Err(SkipRefused::NotStopped) }
    }
    async fn commands_end(&self, partition: u32) -> Option<u64> {
        Some(u64::from(partition) + 10)
    }
    fn place(&self, workflow_id: &WorkflowId) -> Place {
        self.partition(partition_of(workflow_id.as_str().as_bytes(), PARTITIONS))
    }
    fn places(&self) -> Vec<(u32, Place)> {
        (0..PARTITIONS).map(|number| (number, self.partition(number))).collect()
    }
    async fn query(&self, workflow_id: &WorkflowId, query: QueryWorkflow) -> Result<QueriedWorkflow, QueryError> {
        if let Some(unanswered) = &self.unanswered {
            unanswered.add_permits(1);
            std::future::pending::<()>().await;
        }
        querying::answer(workflow_id, query)
    }
    async fn request(
        &self,
        _workflow_id: &WorkflowId,
        command: Command,
        traceparent: Option<String>,
    ) -> Result<Answer, RequestError> {
        let rejected = |code: &str| Rejected {
            code: code.to_owned(),
            message: "no".to_owned(),
            run_id: Some(RunId::from_text("r0")),
        };
        let run_id = RunId::from_text("r1");
        let word = match &command {
            Command::StartWorkflow(start) => start.workflow_type.clone(),
            Command::SignalWithStartWorkflow(both) => both.signal.signal_name.clone(),
            Command::SignalWorkflow(signal) => signal.signal_name.clone(),
            Command::RequestCancelWorkflow(cancel) => cancel.reason.clone().unwrap_or_default(),
            Command::TerminateWorkflow(terminate) => terminate.reason.clone().unwrap_or_default(),
            Command::DeleteWorkflow(delete) => delete.reason.clone().unwrap_or_default(),
            other => panic!("nobody asks for {other:?}"),
        };
        let answer = match word.as_str() {
            "Timeout" => return Err(RequestError::Timeout),
            code if code.starts_with("TW") => rejected(code).into(),
            "existing" => WorkflowStarted { run_id, started: false }.into(),
            _ => match &command {
                Command::StartWorkflow(_) | Command::SignalWithStartWorkflow(_) => {
                    WorkflowStarted { run_id, started: true }.into()
                }
                _ => RequestAccepted { run_id }.into(),
            },
        };
        self.asked.lock().unwrap().push((command, traceparent));
        Ok(answer)
    }
}

/// A node that answers until it is dropped.
struct Served {
    url: String,
    node: Arc<FakeNode>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(node: FakeNode) -> Self {
        let server = ApiServer::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}", server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let node = Arc::new(node);
        let backend = Arc::clone(&node);
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.serve_backend(backend, stopped).await.unwrap();
        });
        Self { url, node, stop: Some(stop), task }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let (status, answer) = (response.status(), response.json().await.unwrap());
        documented::check(self, "get", path, status.as_u16(), &answer).await;
        (status, answer)
    }

    async fn problem(&self, path: &str) -> Problem {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        assert_eq!(response.headers().contains_key("retry-after"), status == 503, "{path}");
        let answer: Value = response.json().await.unwrap();
        documented::check(self, "get", path, status, &answer).await;
        let problem: Problem = serde_json::from_value(answer).unwrap();
        assert_eq!(problem.status, status);
        assert_ne!(problem.title, problem.code, "docs/errors/{}.md is missing", problem.code);
        problem
    }

    async fn post(&self, body: &str, content_type: &str) -> (StatusCode, Value) {
        self.post_to("", body, content_type).await
    }

    async fn post_to(&self, below: &str, body: &str, content_type: &str) -> (StatusCode, Value) {
        let path = format!("/api/v1/namespaces/default/workflows{below}");
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .header("content-type", content_type)
            .body(body.to_owned());
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let response = request.header("traceparent", traceparent).send().await.unwrap();
        let (status, answer) = (response.status(), response.json().await.unwrap());
        documented::check(self, "post", &path, status.as_u16(), &answer).await;
        (status, answer)
    }
}

fn run(number: u64, status: WorkflowStatus) -> (Vec<u8>, WorkflowSummary) {
    let summary = WorkflowSummary {
        workflow_id: WorkflowId::new(format!("w{number}")).unwrap(),
        run_id: RunId::from_text(format!("r{number}")),
        workflow_type: if number.is_multiple_of(10) { "Rare" } else { "Usual" }.to_owned(),
        task_queue: "q".to_owned(),
        status,
        start_time_ms: number,
        close_time_ms: None,
        history_length: 3,
    };
    // Newest first.
    let mut key = vec![b's'];
    key.extend_from_slice(&(u64::MAX - number).to_be_bytes());
    (key, summary)
}

/// Two nodes that share a namespace; each knows where the other is.
async fn cluster(runs: u64) -> (Served, Served) {
    let mut partitions: Vec<FakePartition> = (0..PARTITIONS).map(|_| FakePartition::default()).collect();
    for number in 0..runs {
        let (key, summary) = run(number, WorkflowStatus::Running);
        let partition = partition_of(summary.workflow_id.as_str().as_bytes(), PARTITIONS);
        partitions[partition as usize].runs.insert(key, summary);
    }
    let mut nodes = [FakeNode { is_ready: true, ..FakeNode::default() }, FakeNode::default()];
    for (number, partition) in (0..PARTITIONS).zip(partitions) {
        nodes[usize::from(number != 0)].here.insert(number, Arc::new(partition));
    }
    let [a, b] = nodes;
    let (a, b) = (Served::start(a).await, Served::start(b).await);
    *a.node.elsewhere.lock().unwrap() = (1..PARTITIONS).map(|number| (number, b.url.clone())).collect();
    *b.node.elsewhere.lock().unwrap() = BTreeMap::from([(0, a.url.clone())]);
    (a, b)
}

fn path(rest: &str) -> String {
    format!("/api/v1/namespaces/default/workflows{rest}")
}

#[tokio::test]
async fn any_node_answers_for_any_workflow() {
    let (a, b) = cluster(20).await;
    for number in 0..20 {
        for node in [&a, &b] {
            let (status, body) = node.get(&path(&format!("/w{number}"))).await;
            assert_eq!((status, &body["summary"]["run_id"]), (StatusCode::OK, &json!(format!("r{number}"))));
            let (status, body) = node.get(&path(&format!("/w{number}/history?from_event_id=5"))).await;
            assert_eq!((status, &body["next_event_id"]), (StatusCode::OK, &json!(5)));
        }
    }
    let (_, body) = b.get(&path("/w0?pending_from_event_id=7&pending_limit=5000")).await;
    assert_eq!((&body["pending_next_event_id"], &body["pending_activity_count"]), (&json!(7), &json!(1_000)));
    for node in [&a, &b] {
        for missing in 100..110 {
            assert_eq!(node.problem(&path(&format!("/w{missing}/result"))).await.code, "TW0601");
        }
    }
}

#[tokio::test]
async fn nodes_that_point_at_each_other_do_not_ask_for_ever() {
    let (a, b) = (Served::start(FakeNode::default()).await, Served::start(FakeNode::default()).await);
    *a.node.elsewhere.lock().unwrap() = (0..PARTITIONS).map(|number| (number, b.url.clone())).collect();
    *b.node.elsewhere.lock().unwrap() = (0..PARTITIONS).map(|number| (number, a.url.clone())).collect();
    assert_eq!(a.problem(&path("/w")).await.code, "TW0609");
    assert_eq!(a.problem(&path("")).await.code, "TW0610");
}

#[tokio::test]
async fn an_owner_that_is_gone_is_named() {
    let a = Served::start(FakeNode::default()).await;
    assert_eq!(a.problem(&path("/w")).await.code, "TW0609");
    let nowhere = "http://127.0.0.1:1".to_owned();
    *a.node.elsewhere.lock().unwrap() = (0..PARTITIONS).map(|number| (number, nowhere.clone())).collect();
    let problem = a.problem(&path("/w")).await;
    assert_eq!(problem.code, "TW0610");
    assert!(problem.detail.contains("http://127.0.0.1:1"), "{}", problem.detail);
}

async fn pages(node: &Served, query: &str) -> (Vec<u64>, usize) {
    let (mut found, mut count, mut token) = (Vec::new(), 0, String::new());
    loop {
        let (status, body) = node.get(&path(&format!("?{query}{token}"))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let list: WorkflowList = serde_json::from_value(body).unwrap();
        found.extend(list.workflows.iter().map(|run| run.start_time_ms));
        count += 1;
        match list.next_page_token {
            Some(next) => token = format!("&page_token={next}"),
            None => return (found, count),
        }
    }
}

#[tokio::test]
async fn a_list_is_newest_first_over_all_partitions_and_pages() {
    let (a, b) = cluster(57).await;
    let newest_first: Vec<u64> = (0..57).rev().collect();
    for (node, page_size) in [(&a, 1), (&a, 7), (&b, 10), (&b, 1_000)] {
        assert_eq!(pages(node, &format!("page_size={page_size}")).await.0, newest_first, "{page_size}");
    }
    assert_eq!(pages(&a, "page_size=2&workflow_type=Rare").await.0, [50, 40, 30, 20, 10, 0]);
    assert_eq!(pages(&a, "status=Failed").await.0, Vec::<u64>::new());
    assert_eq!(a.problem(&path("?status=Sleeping")).await.code, "TW0608");
    assert_eq!(a.problem(&path("?stauts=Failed")).await.code, "TW0608");
    assert_eq!(a.problem(&path("?page_token=%25")).await.code, "TW0608");
}

#[tokio::test]
async fn a_filter_that_hardly_matches_is_looked_for_in_bounded_steps() {
    let node = FakeNode::default();
    let mut partition = FakePartition::default();
    partition.runs.extend((1..=12_000).map(|number| run(number, WorkflowStatus::Running)));
    partition.runs.extend([run(0, WorkflowStatus::Failed)]);
    let mut node = node;
    node.here = (0..PARTITIONS).map(|number| (number, Arc::new(FakePartition::default()))).collect();
    node.here.insert(1, Arc::new(partition));
    let node = Served::start(node).await;
    assert_eq!(pages(&node, "status=Failed").await, (vec![0], 3));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let node = Served::start(FakeNode::default()).await;
    assert_eq!(node.problem("/nope").await.code, "TW0603");
    assert_eq!(node.problem("/api/v1/namespaces/other/workflows").await.code, "TW0602");
    assert_eq!(node.problem(&path("/a%00b")).await.code, "TW0608");
    assert_eq!(node.problem(&path("/w?run_id=")).await.code, "TW0608");
    let response = reqwest::Client::new().delete(format!("{}/healthz", node.url)).send().await.unwrap();
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    assert_eq!(response.json::<Problem>().await.unwrap().code, "TW0604");
}

#[tokio::test]
async fn probes_say_how_the_node_is() {
    let (ready, not_ready) = cluster(0).await;
    assert_eq!(ready.get("/healthz").await.0, StatusCode::OK);
    let (status, body) = ready.get("/readyz").await;
    assert_eq!((status, &body["ready"]), (StatusCode::OK, &json!(true)));
    assert_eq!(body["partitions"][0]["problem"], json!({"code": "TW0404", "detail": "a hole"}));
    assert_eq!(not_ready.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let metrics = reqwest::get(format!("{}/metrics", ready.url)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("tidewright_http_requests_total"), "{metrics}");
    let page = reqwest::get(format!("{}/errors/TW0601", ready.url)).await.unwrap().text().await.unwrap();
    assert!(page.starts_with("# TW0601 WorkflowNotFound"), "{page}");
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_the_end() {
    let waits = Arc::new(Semaphore::new(0));
    let (key, summary) = run(1, WorkflowStatus::Running);
    let partition = partition_of(summary.workflow_id.as_str().as_bytes(), PARTITIONS);
    let held = FakePartition { runs: BTreeMap::from([(key, summary)]), waits: Some(Arc::clone(&waits)) };
    let owner = FakeNode { here: BTreeMap::from([(partition, Arc::new(held))]), ..FakeNode::default() };
    let (mut owner, other) = (Served::start(owner).await, Served::start(FakeNode::default()).await);
    *other.node.elsewhere.lock().unwrap() = BTreeMap::from([(partition, owner.url.clone())]);
    let urls = [&owner.url, &other.url].map(|url| format!("{url}/api/v1/namespaces/default/workflows/w1"));
    let urls = [format!("{}/result?wait_ms=60000", urls[0]), format!("{}/history?wait_ms=60000", urls[1])];
    let polls = urls
        .map(|url| tokio::spawn(async move { reqwest::get(url).await.unwrap().json::<Problem>().await.unwrap().code }));
    let _both_wait = waits.acquire_many(2).await.unwrap();
    owner.stop.take().unwrap().send(()).unwrap();
    owner.task.await.unwrap();
    for poll in polls {
        assert_eq!(poll.await.unwrap(), "TW0613");
    }
}
