//! The description of the API, held against what nodes answer: every answer of this crate's tests passes through [`check`].

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{FakeNode, Served};
use crate::openapi::PATH;
use crate::pages::error_codes;

/// What is answered where nothing is described.
const NOWHERE: [&str; 2] = ["TW0603", "TW0604"];

async fn description(node: &Served) -> Value {
    reqwest::get(format!("{}{PATH}", node.url)).await.unwrap().json().await.unwrap()
}

/// Every operation as its path, its method and its description.
fn operations(description: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(move |(method, described)| (path.as_str(), method.as_str(), described))
        })
        .collect()
}

/// Holds an answer against the description.
pub(super) async fn check(node: &Served, method: &str, path: &str, status: u16, answer: &Value) {
    let path = path.split('?').next().unwrap_or_default();
    if path.starts_with("/internal/") {
        return;
    }
    let description = description(node).await;
    let fits = |template: &str| {
        let (template, path) = (template.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
        let is_same = |(segment, given): (&&str, &&str)| segment.starts_with('{') || segment == given;
        template.len() == path.len() && template.iter().zip(&path).all(is_same)
    };
    let operation = operations(&description)
        .into_iter()
        .filter(|(template, of, _)| *of == method && fits(template))
        .max_by_key(|(template, ..)| template.split('/').filter(|segment| !segment.starts_with('{')).count());
    let code = answer["code"].as_str();
    let Some((template, _, operation)) = operation else {
        assert!(code.is_some_and(|code| NOWHERE.contains(&code)), "{method} {path} is not described: {answer}");
        return;
    };
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {template} has no {status}: {answer}");
    let media_type = if code.is_some() { "application/problem+json" } else { "application/json" };
    let schema = &response["content"][media_type]["schema"];
    assert!(schema.is_object(), "{method} {template}, {status} has no {media_type}");
    let whole = json!({"allOf": [schema], "components": description["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<_> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{method} {template}, {status}: {answer}: {}", errors.join("; "));
}

/// The codes of an operation's problems, with the status of each.
fn codes(operation: &Value) -> Vec<(String, String)> {
    let responses = operation["responses"].as_object().unwrap();
    let of_response = |(status, response): (&String, &Value)| {
        let codes =
            &response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"];
        let codes = codes.as_array().cloned().unwrap_or_default();
        codes.into_iter().map(|code| (status.clone(), code.as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    responses.iter().flat_map(of_response).collect()
}

#[tokio::test]
async fn every_described_operation_is_served() {
    let node = Served::start(FakeNode::owner_of_all()).await;
    let description = description(&node).await;
    assert_eq!(description["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&description) {
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
            "{method} {path} has no name of its own"
        );
        let filled = path.replace("{namespace}", "default").replace("{partition}", "0");
        let filled = filled.replace("{workflow_id}", "w").replace("{code}", "TW0601");
        let method: reqwest::Method = method.to_uppercase().parse().unwrap();
        let request = reqwest::Client::new().request(method, format!("{}{filled}", node.url));
        let answer = request.send().await.unwrap().text().await.unwrap();
        let code = serde_json::from_str::<Value>(&answer).unwrap_or_default()["code"].clone();
        assert!(code.as_str().is_none_or(|code| !NOWHERE.contains(&code)), "{path}: {answer}");
    }
    let expected = [
        "cancelWorkflow",
        "deleteWorkflow",
        "describeApi",
        "describeWorkflow",
        "explainError",
        "getHealth",
        "getMetrics",
        "getReadiness",
        "getWorkflowHistory",
        "getWorkflowResult",
        "listPartitions",
        "listWorkers",
        "listWorkflows",
        "queryWorkflow",
        "retryPartition",
        "signalWithStartWorkflow",
        "signalWorkflow",
        "skipCommands",
        "startWorkflow",
        "terminateWorkflow",
    ];
    assert!(ids.iter().eq(expected.iter()), "{ids:?}");
}

#[tokio::test]
async fn every_code_of_the_api_is_described_and_every_described_one_has_a_page() {
    let node = Served::start(FakeNode::default()).await;
    let description = description(&node).await;
    let pages: BTreeSet<String> = error_codes().map(str::to_owned).collect();
    let mut described = BTreeSet::new();
    for (path, method, operation) in operations(&description) {
        for (status, code) in codes(operation) {
            assert!(pages.contains(&code), "{method} {path}: docs/errors/{code}.md is missing");
            assert_eq!(crate::problem::status_of(&code).as_str(), status, "{method} {path}: {code}");
            described.insert(code);
        }
    }
    described.extend(NOWHERE.map(str::to_owned));
    let own = pages.into_iter().filter(|code| code.starts_with("TW06"));
    for code in own {
        assert!(described.contains(&code), "{code} is described nowhere");
    }
}

#[tokio::test]
async fn every_reference_of_the_description_leads_somewhere() {
    let node = Served::start(FakeNode::default()).await;
    let description = description(&node).await;
    let mut next = vec![&description];
    let mut references = 0;
    while let Some(value) = next.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference} leads nowhere");
            references += 1;
        }
        match value {
            Value::Object(fields) => next.extend(fields.values()),
            Value::Array(items) => next.extend(items),
            _ => {}
        }
    }
    assert!(references > 50, "{references}");
}

#[tokio::test]
async fn what_is_not_described_is_not_accepted() {
    let node = Served::start(FakeNode::owner_of_all()).await;
    let refused = |answer: Value, status| {
        let node = &node;
        async move {
            let path = "/api/v1/namespaces/default/workflows/w";
            let checked = check(node, "get", path, status, &answer);
            let outcome = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(checked)).await;
            assert!(outcome.is_err(), "{answer} with {status} was accepted");
        }
    };
    let problem =
        |code: &str, status: u16| json!({"type": "", "title": "", "status": status, "code": code, "detail": ""});
    refused(problem("TW0202", 404), 404).await;
    refused(problem("TW0601", 418), 418).await;
    refused(json!({"summary": 1}), 200).await;
    check(&node, "get", "/api/v1/namespaces/default/workflows/w", 404, &problem("TW0601", 404)).await;
}
