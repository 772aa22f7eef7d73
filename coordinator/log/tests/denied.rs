//! What clients say when the ACLs forbid something. Needs a broker with an authorizer; for instance
//!
//! ```sh
//! port=21292
//! KAFKA_EXTRA="
//! listeners=SASL_PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
//! advertised.listeners=SASL_PLAINTEXT://127.0.0.1:$port
//! listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
//! inter.broker.listener.name=SASL_PLAINTEXT
//! sasl.enabled.mechanisms=PLAIN
//! sasl.mechanism.inter.broker.protocol=PLAIN
//! listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
//!   username=\"admin\" password=\"secret\" user_admin=\"secret\" user_guest=\"secret\";
//! authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
//! super.users=User:admin;User:ANONYMOUS" scripts/kafka.sh start $port /tmp/kafka-denied
//! TIDEWRIGHT_TEST_SASL_BROKERS=127.0.0.1:$port cargo test -p tidewright-log --test denied -- --ignored
//! ```
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{create, soon, unique};
use tidewright_log::{
    Admin, Entry, GroupConsumer, GroupError, GroupOptions, HistoryProducer, KafkaConfig, LogError, LogReader, Producer,
    ReadError, ReaderOptions, Record, SendErrorKind, StartAt, TopicKind, TopicSpec,
};

fn user(name: &str) -> KafkaConfig {
    KafkaConfig::new(std::env::var("TIDEWRIGHT_TEST_SASL_BROKERS").unwrap())
        .with_property("security.protocol", "SASL_PLAINTEXT")
        .with_property("sasl.mechanism", "PLAIN")
        .with_property("sasl.username", name)
        .with_property("sasl.password", "secret")
}

#[tokio::test]
#[ignore = "needs a broker with an authorizer"]
async fn who_may_do_nothing_is_told_so() {
    let topic = unique("denied");
    create(&user("admin"), &topic, TopicKind::Tasks, 1).await;
    let guest = user("guest");

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
    let error = admin.ensure_topics(&[TopicSpec::new(unique("new"), TopicKind::Tasks, 1)]).await;
    println!("{error:?}");
    let error = Admin::new(&guest.with_property("sasl.password", "wrong")).unwrap().describe_topics(&[&topic]).await;
    println!("{error:?}");
}
