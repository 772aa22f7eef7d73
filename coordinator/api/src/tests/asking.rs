//! Starts, and what is asked of workflows that were started.

use reqwest::StatusCode;
use serde_json::json;
use tidewright_schemas::Command;

use super::{FakeNode, Served};

#[tokio::test]
async fn a_start_is_answered_with_its_run_and_keeps_its_trace() {
    let node = Served::start(FakeNode::default()).await;
    let body =
        r#"{"type":"StartWorkflow","workflow_type":"T","workflow_id":"a b","task_queue":"q","input":{"z":1.50}}"#;
    let (status, answer) = node.post(body, "application/json; charset=utf-8").await;
    assert_eq!((status, answer), (StatusCode::CREATED, json!({"workflow_id": "a b", "run_id": "r1", "started": true})));
    let (Command::StartWorkflow(start), traceparent) = node.node.asked.lock().unwrap().pop().unwrap() else {
        panic!("no start")
    };
    assert!(start.request_id.is_some(), "a start that may be sent again has a request id");
    assert_eq!(start.input.unwrap().json_text().unwrap(), r#"{"z":1.50}"#);
    assert_eq!(traceparent.as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
}

#[tokio::test]
async fn what_is_asked_of_a_workflow_is_passed_on() {
    let node = Served::start(FakeNode::default()).await;
    let accepted = json!({"workflow_id": "w", "run_id": "r1"});
    let last = || node.node.asked.lock().unwrap().pop().unwrap().0;
    let json = "application/json";
    let signal = r#"{"signal_name":"approve","input":{"z":1.50}}"#;
    assert_eq!(node.post_to("/w/signal", signal, json).await, (StatusCode::OK, accepted.clone()));
    let Command::SignalWorkflow(signal) = last() else { panic!("no signal") };
    assert_eq!(signal.input.unwrap().json_text().unwrap(), r#"{"z":1.50}"#);
    assert!(signal.request_id.is_some(), "a signal that may be sent again has a request id");
    assert_eq!(node.post_to("/w/cancel", r#"{"reason":"no"}"#, json).await, (StatusCode::OK, accepted.clone()));
    assert!(matches!(last(), Command::RequestCancelWorkflow(_)));
    assert_eq!(node.post_to("/w/terminate", "{}", json).await, (StatusCode::OK, accepted));
    assert!(matches!(last(), Command::TerminateWorkflow(_)));
    for (name, status, started) in [("go", StatusCode::CREATED, true), ("existing", StatusCode::OK, false)] {
        let both = format!(
            r#"{{"start":{{"workflow_type":"T","workflow_id":"w","task_queue":"q"}},"signal":{{"signal_name":"{name}"}}}}"#
        );
        let answer = json!({"workflow_id": "w", "run_id": "r1", "started": started});
        assert_eq!(node.post_to("/signal-with-start", &both, json).await, (status, answer));
        assert!(matches!(last(), Command::SignalWithStartWorkflow(_)));
    }
}

#[tokio::test]
async fn a_run_is_deleted_by_its_own_method() {
    let node = Served::start(FakeNode::default()).await;
    let delete = async |query: &str| {
        let url = format!("{}/api/v1/namespaces/default/workflows/w?{query}", node.url);
        let response = reqwest::Client::new().delete(url).send().await.unwrap();
        (response.status().as_u16(), response.json::<serde_json::Value>().await.unwrap())
    };
    assert_eq!(delete("run_id=r7&reason=asked").await, (200, json!({"workflow_id": "w", "run_id": "r1"})));
    let Command::DeleteWorkflow(asked) = node.node.asked.lock().unwrap().pop().unwrap().0 else { panic!("no delete") };
    assert_eq!((asked.run_id.as_ref().map(|id| id.as_str()), asked.reason.as_deref()), (Some("r7"), Some("asked")));
    assert!(asked.request_id.is_some(), "a deletion that may be sent again has a request id");
    assert_eq!(delete("reason=TW0206").await.1["code"], "TW0206");
    assert_eq!(delete("force=true").await.1["code"], "TW0608");
}

#[tokio::test]
async fn what_is_asked_in_vain_says_why() {
    let node = Served::start(FakeNode::default()).await;
    let json = "application/json";
    let cases = [
        ("/w/signal", r#"{"signal_name":"TW0206"}"#, 404, "TW0206"),
        ("/w/cancel", r#"{"reason":"TW0207"}"#, 409, "TW0207"),
        ("/w/terminate", r#"{"reason":"Timeout"}"#, 504, "TW0507"),
        ("/w/signal", "{}", 400, "TW0605"),
        ("/signal-with-start", "{}", 400, "TW0605"),
    ];
    for (path, body, status, code) in cases {
        let (answered, problem) = node.post_to(path, body, json).await;
        assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{path}");
    }
}

#[tokio::test]
async fn a_start_that_is_not_done_says_why() {
    let node = Served::start(FakeNode::default()).await;
    let start = |kind: &str| format!(r#"{{"workflow_type":"{kind}","workflow_id":"w","task_queue":"q"}}"#);
    let json = "application/json";
    let cases = [
        (start("TW0201"), json, 400, "TW0201"),
        (start("TW0202"), json, 409, "TW0202"),
        (start("TW0203"), json, 409, "TW0203"),
        (start("TW0204"), json, 413, "TW0204"),
        (start("Timeout"), json, 504, "TW0507"),
        ("{".to_owned(), json, 400, "TW0605"),
        ("{}".to_owned(), json, 400, "TW0605"),
        (start("T"), "text/plain", 415, "TW0607"),
        (" ".repeat(4 * 1024 * 1024), json, 413, "TW0606"),
    ];
    for (body, content_type, status, code) in cases {
        let (answered, problem) = node.post(&body, content_type).await;
        assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)));
        assert_eq!(problem["run_id"] == json!("r0"), code.starts_with("TW02"), "{code}");
    }
}
