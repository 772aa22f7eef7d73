//! What clients say when the ACLs forbid something. Needs a Kafka with an authorizer, which `scripts/test-kafka` starts and
//! names in `TIDEWRIGHT_TEST_SASL_BROKERS`; without it the test is skipped, with a message.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{SOON, create, soon, unique};
use tidewright_log::{
    Admin, Entry, GroupConsumer, GroupError, GroupOptions, HistoryProducer, KafkaConfig, LogError, LogReader, Producer,
    ReadError, ReaderOptions, Record, SendErrorKind, StartAt, TopicKind, TopicSpec, Unreached, reach,
};

fn user(brokers: &str, name: &str) -> KafkaConfig {
    KafkaConfig::new(brokers)
        .with_property("security.protocol", "SASL_PLAINTEXT")
        .with_property("sasl.mechanism", "PLAIN")
        .with_property("sasl.username", name)
        .with_property("sasl.password", "secret")
}

#[tokio::test]
async fn who_may_do_nothing_is_told_so() {
    let Ok(brokers) = std::env::var("TIDEWRIGHT_TEST_SASL_BROKERS") else {
        eprintln!("skipped: TIDEWRIGHT_TEST_SASL_BROKERS names no Kafka with an authorizer");
        return;
    };
    let topic = unique("denied");
    create(&user(&brokers, "admin"), &topic, TopicKind::Tasks, 1).await;
    let guest = user(&brokers, "guest");

    let error =
        soon("send", Producer::new(&guest).unwrap().send(Record::to(&topic).value("x")).await).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Denied, "{error}");
    let history = HistoryProducer::new(&guest).unwrap();
    let error = soon("append", history.append(&topic, 0, vec![Entry::default()]).await).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Denied, "{error}");
    assert_eq!(soon("failure", history.failed()).await.kind, SendErrorKind::Denied);

    let reader = LogReader::new(&guest, &ReaderOptions::default()).unwrap();
    let error = soon("open", reader.open(&topic, 0, StartAt::Beginning)).await.err();
    assert!(matches!(error, Some(ReadError::Denied { .. })), "{error:?}");

    let mut member = GroupConsumer::join(&guest, &GroupOptions::new(&topic, [&topic])).unwrap();
    let error = soon("join", member.next(1, 1)).await.unwrap_err();
    assert!(matches!(error, GroupError::Denied { .. }), "{error:?}");
    soon("close", member.close()).await;

    let admin = Admin::new(&guest).unwrap();
    let error = admin.watermarks(&topic, 0).await.unwrap_err();
    assert!(matches!(error, LogError::Denied { .. }), "{error:?}");
    let error = admin.describe_topics(&[&topic]).await.unwrap_err();
    assert!(matches!(error, LogError::Denied { .. }), "{error:?}");
    let error = admin.ensure_topics(&[TopicSpec::new(unique("new"), TopicKind::Tasks, 1)]).await.unwrap_err();
    assert!(matches!(error, LogError::Denied { .. }), "{error:?}");
    let stranger = guest.with_property("sasl.password", "wrong");
    Admin::new(&stranger).unwrap().describe_topics(&[&topic]).await.unwrap_err();
    let error = reach(&stranger, SOON).await.unwrap_err();
    assert!(matches!(error, Unreached::Authentication(_)), "{error:?}");
}
