//! Making and verifying topics.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{config, send_numbers, soon, topic, unique};
use tidewright_log::{Admin, KafkaConfig, LogError, Producer, Severity, TopicKind, TopicSpec, Watermarks};

const KINDS: [TopicKind; 8] = [
    TopicKind::Commands,
    TopicKind::History,
    TopicKind::Tasks,
    TopicKind::Replies,
    TopicKind::Control,
    TopicKind::DeadLetters,
    TopicKind::Workers,
    TopicKind::Cluster,
];

#[tokio::test]
async fn topics_are_made_once_and_are_as_wanted() {
    let admin = Admin::new(&config()).unwrap();
    let wanted = KINDS.map(|kind| TopicSpec::new(unique(&format!("{kind:?}")), kind, 2));
    let report = soon("creation", admin.ensure_topics(&wanted)).await.unwrap();
    assert_eq!(report.created.len(), KINDS.len(), "{report:?}");
    assert!(report.is_usable());
    let report = soon("verification", admin.ensure_topics(&wanted)).await.unwrap();
    assert_eq!((report.created.len(), report.missing.len()), (0, 0));
    assert_eq!(report.differences, [], "what was made is as wanted");
}

#[tokio::test]
async fn what_a_large_cluster_is_asked_for_is_honoured_by_any() {
    let admin = Admin::new(&config()).unwrap();
    let wanted = KINDS.map(|kind| {
        let mut spec = TopicSpec::new(unique(&format!("large.{kind:?}")), kind, 1);
        spec.overrides = spec.settings(3);
        spec
    });
    assert!(wanted.iter().all(|spec| spec.overrides.contains_key("min.insync.replicas")));
    assert!(soon("creation", admin.ensure_topics(&wanted)).await.unwrap().is_usable());
    let report = soon("verification", admin.ensure_topics(&wanted)).await.unwrap();
    assert_eq!((report.created.len(), report.missing.len()), (0, 0));
    assert_eq!(report.differences, []);
}

#[tokio::test]
async fn what_differs_is_named() {
    let admin = Admin::new(&config()).unwrap();
    let name = unique("differs");
    let mut other = TopicSpec::new(&name, TopicKind::Commands, 2);
    other.overrides.insert("retention.ms".to_owned(), "1000".to_owned());
    admin.ensure_topics(&[other]).await.unwrap();
    let report = admin.ensure_topics(&[TopicSpec::new(&name, TopicKind::Commands, 4)]).await.unwrap();
    let mut found: Vec<_> = report.differences.iter().map(|d| (d.setting.as_str(), d.found.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, [("partitions", "2"), ("retention.ms", "1000")]);
    assert!(report.differences.iter().all(|difference| difference.severity == Severity::Harmful));
    assert!(!report.is_usable());
}

#[tokio::test]
async fn a_topic_made_anew_has_another_id() {
    let config = config();
    let admin = Admin::new(&config).unwrap();
    let name = topic(&config, "anew", TopicKind::Tasks, 3).await;
    assert_eq!(admin.partition_count(&name).await.unwrap(), Some(3));
    let first = admin.topic_id(&name).await.unwrap();
    assert!(first.is_some());
    admin.delete_topics(&[&name]).await.unwrap();
    soon("deletion", async {
        while admin.partition_count(&name).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(admin.topic_id(&name).await.unwrap(), None);
    common::create(&config, &name, TopicKind::Tasks, 1).await;
    assert_ne!(admin.topic_id(&name).await.unwrap(), first);
    match admin.add_partitions(&name, 2).await {
        // Not every broker can.
        Err(LogError::Refused { .. }) => return,
        added => added.unwrap(),
    }
    soon("the new partition", async {
        while admin.partition_count(&name).await.unwrap() != Some(2) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn records_are_deleted_below_an_offset() {
    let config = config();
    let topic = topic(&config, "delete", TopicKind::Commands, 2).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 1, 0..10).await;
    let admin = Admin::new(&config).unwrap();
    admin.delete_records(&topic, 1, 6).await.unwrap();
    assert_eq!(admin.watermarks(&topic, 1).await.unwrap(), Watermarks { low: 6, high: 10 });
    assert_eq!(admin.watermarks(&topic, 0).await.unwrap(), Watermarks { low: 0, high: 0 });
    let error = admin.delete_records(&topic, 1, 99).await.unwrap_err();
    assert!(matches!(error, LogError::Refused { .. }), "{error:?}");
    let error = admin.watermarks(&unique("nowhere"), 0).await.unwrap_err();
    assert!(matches!(error, LogError::TopicMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn a_group_that_never_committed_has_no_offsets() {
    let config = config();
    let topic = topic(&config, "committed", TopicKind::Tasks, 2).await;
    let committed = Admin::new(&config).unwrap().committed(&topic, &topic, &[0, 1]).await.unwrap();
    assert!(committed.is_empty());
}

#[tokio::test]
async fn a_property_that_does_not_exist_is_an_error() {
    let config = KafkaConfig::new("127.0.0.1:1").with_property("no.such.property", "1");
    let error = Producer::new(&config).err();
    assert!(matches!(&error, Some(LogError::Config(text)) if text.contains("no.such.property")), "{error:?}");
}
