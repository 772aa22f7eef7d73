//! Partitions of all nodes, and those that stopped.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::json;
use tidewright_schemas::api::Problem;

use super::{PARTITIONS, cluster};

#[tokio::test]
async fn partitions_of_all_nodes_are_told_and_a_stopped_one_is_tried_again_wherever_it_is() {
    let (a, b) = cluster(0).await;
    b.node.stopped.lock().unwrap().insert(2);
    let (status, list) = a.get("/api/v1/namespaces/default/partitions").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(list["partitions"].as_array().unwrap().len(), PARTITIONS as usize);
    assert_eq!(list["partitions"][0]["state"], "Unassigned");
    let stopped = &list["partitions"][2];
    assert_eq!((&stopped["state"], &stopped["problem"]["code"]), (&json!("Stopped"), &json!("TW0404")));
    assert_eq!(stopped["commands_end"], 12);
    let skip = async |to_offset: u64| {
        let url = format!("{}/api/v1/namespaces/default/partitions/2/skip", a.url);
        let body = json!({"from_offset": 17, "to_offset": to_offset, "reason": "retention was on"});
        reqwest::Client::new().post(url).json(&body).send().await.unwrap()
    };
    assert_eq!(list["partitions"][2]["problem"]["lost_commands"], json!({"from_offset": 17, "to_offset": 90}));
    let refused = skip(91).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(refused.json::<Problem>().await.unwrap().code, "TW0616");
    assert_eq!(skip(90).await.status(), StatusCode::ACCEPTED);
    assert_eq!(skip(90).await.json::<Problem>().await.unwrap().code, "TW0615");
    b.node.stopped.lock().unwrap().insert(2);
    let retry = async |partition: u32| {
        let url = format!("{}/api/v1/namespaces/default/partitions/{partition}/retry", a.url);
        let request = reqwest::Client::new().post(url).header("content-type", "application/json").body("{}");
        request.send().await.unwrap()
    };
    assert_eq!(retry(2).await.status(), StatusCode::ACCEPTED);
    assert!(b.node.stopped.lock().unwrap().is_empty());
    let refused = retry(2).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(refused.json::<Problem>().await.unwrap().code, "TW0615");
    assert_eq!(retry(99).await.status(), StatusCode::BAD_REQUEST);
    *a.node.elsewhere.lock().unwrap() = BTreeMap::from([(2, "http://127.0.0.1:1".to_owned())]);
    let (_, list) = a.get("/api/v1/namespaces/default/partitions").await;
    assert_eq!(list["unreachable"], json!(["http://127.0.0.1:1"]));
}
