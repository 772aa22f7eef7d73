//! Queries: any node is asked, the owner asks a worker.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tidewright_runtime::{QueryError, ReadError};
use tidewright_schemas::api::{QueriedWorkflow, QueryRejectCondition, QueryWorkflow, WorkflowStatus};
use tidewright_schemas::{Failure, Payload, QueryFailed, QueryFailedCause, RunId, WorkflowId};
use tokio::sync::Semaphore;

use super::{FakeNode, Served, cluster};

/// The answer of a made-up worker: the query's type says what becomes of it.
pub(super) fn answer(workflow_id: &WorkflowId, query: QueryWorkflow) -> Result<QueriedWorkflow, QueryError> {
    let run_id = RunId::from_text("r1");
    let failed = |cause| {
        let failure = Failure::application("Boom", "the code says no", false);
        let failed = Box::new(QueryFailed { basis: None, cause, failure: Box::new(failure) });
        Err(QueryError::Failed { run_id: run_id.clone(), failed })
    };
    if query.query_reject_condition.rejects(WorkflowStatus::Failed) {
        return Err(QueryError::Rejected { run_id, status: WorkflowStatus::Failed });
    }
    match query.query_type.as_str() {
        "missing" => Err(QueryError::NotFound),
        "moved" => Err(ReadError::NotOwned.into()),
        "many" => Err(QueryError::TooMany { pending_max: 7 }),
        "slow" => Err(QueryError::NotAnswered { workflow_id: workflow_id.clone(), task_queue: "q".to_owned() }),
        "nobody" => Err(QueryError::NoWorker { task_queue: "q".to_owned() }),
        "failing" => failed(QueryFailedCause::HandlerFailed),
        "unknown" => failed(QueryFailedCause::UnknownQuery),
        "busy" => failed(QueryFailedCause::WorkerBusy),
        _ => Ok(QueriedWorkflow { run_id, as_of_event_id: 3, query_result: query.query_args }),
    }
}

#[tokio::test]
async fn a_query_is_answered_through_any_node_by_the_owner() {
    let (a, b) = cluster(20).await;
    for (node, number) in [&a, &b].into_iter().flat_map(|node| (0..20).map(move |number| (node, number))) {
        let body = r#"{"query_type":"status","query_args":{"z":1.50},"timeout_ms":5000}"#;
        let (status, answer) = node.post_to(&format!("/w{number}/query"), body, "application/json").await;
        let expected = json!({"run_id": "r1", "as_of_event_id": 3, "query_result": {"z": 1.5}});
        assert_eq!((status, answer), (StatusCode::OK, expected));
    }
}

#[tokio::test]
async fn a_query_that_is_not_answered_says_why() {
    let (a, b) = cluster(20).await;
    let cases = [
        ("missing", 404, "TW0601"),
        ("moved", 503, "TW0609"),
        ("many", 429, "TW0632"),
        ("nobody", 409, "TW0630"),
        ("slow", 504, "TW0631"),
        ("failing", 422, "TW0634"),
        ("unknown", 400, "TW0635"),
        ("busy", 429, "TW0632"),
    ];
    for (query_type, status, code) in cases {
        for node in [&a, &b] {
            let body = json!({ "query_type": query_type }).to_string();
            let (answered, problem) = node.post_to("/w1/query", &body, "application/json").await;
            assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{query_type}");
            assert_ne!(problem["title"], problem["code"], "docs/errors/{code}.md is missing");
            let failure = problem.get("failure").map(|failure| failure["message"].clone());
            let has_failed = ["failing", "unknown", "busy"].contains(&query_type);
            assert_eq!(failure, has_failed.then(|| json!("the code says no")));
        }
    }
}

#[tokio::test]
async fn a_query_names_what_it_asks_and_whom_not() {
    let (a, _b) = cluster(20).await;
    let ask = async |body: Value| a.post_to("/w1/query", &body.to_string(), "application/json").await;
    for condition in ["NotOpen", "NotCompletedCleanly"] {
        let (status, problem) = ask(json!({"query_type": "status", "query_reject_condition": condition})).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("TW0633")));
        assert_eq!(problem["run_id"], "r1");
    }
    for body in [json!({}), json!({"query_type": ""}), json!({"query_type": "status", "arguments": 1})] {
        assert_eq!(ask(body).await.1["code"], "TW0605");
    }
    let large = Payload::new(&"x".repeat(2 << 20)).unwrap();
    assert_eq!(ask(json!({"query_type": "status", "query_args": large})).await.1["code"], "TW0606");
}

#[test]
fn which_workflows_a_condition_excludes() {
    use QueryRejectCondition::{None, NotCompletedCleanly, NotOpen};
    let excluded = |condition: QueryRejectCondition| {
        let all = [
            WorkflowStatus::Running,
            WorkflowStatus::Completed,
            WorkflowStatus::Failed,
            WorkflowStatus::Canceled,
            WorkflowStatus::Terminated,
            WorkflowStatus::TimedOut,
        ];
        all.into_iter().filter(|status| condition.rejects(*status)).count()
    };
    assert_eq!([None, NotOpen, NotCompletedCleanly].map(excluded), [0, 5, 4]);
}

#[tokio::test]
async fn a_query_does_not_hold_up_the_end() {
    let unanswered = Arc::new(Semaphore::new(0));
    let node = FakeNode { unanswered: Some(Arc::clone(&unanswered)), ..FakeNode::owner_of_all() };
    let mut node = Served::start(node).await;
    let url = format!("{}/api/v1/namespaces/default/workflows/w1/query", node.url);
    let request = reqwest::Client::new().post(url).json(&json!({"query_type": "status", "timeout_ms": 60_000}));
    let asking = tokio::spawn(request.timeout(Duration::from_secs(300)).send());
    let _asked = unanswered.acquire().await.unwrap();
    node.stop.take().unwrap().send(()).unwrap();
    let problem: Value = asking.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(problem["code"], "TW0613");
    node.task.await.unwrap();
}
