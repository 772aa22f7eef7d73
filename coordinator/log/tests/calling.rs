//! Request and reply, and the view of the cluster.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{config, create, soon, unique};
use tidewright_log::{
    Admin, CallError, Caller, CallerOptions, ClusterView, ClusterWriter, LogReader, Producer, ReaderOptions, Record,
    SendErrorKind, StartAt, TopicKind,
};
use tidewright_schemas::topics::{Topics, partition_of};
use tidewright_schemas::{
    Answer, ClusterRecord, Command, NamespaceRecord, PartitionRecord, Reply, ReplyTo, RunId, StartWorkflow, WorkflowId,
    WorkflowStarted,
};

fn start(workflow_id: &WorkflowId, reply_to: ReplyTo) -> Command {
    let start = StartWorkflow::new("T", workflow_id.clone(), "q");
    StartWorkflow { reply_to: Some(reply_to), ..start }.into()
}

async fn namespace_topics() -> Topics {
    let topics = Topics::new(&format!("{}.", &unique("p")[..24]), "default").unwrap();
    create(&config(), &topics.commands(), TopicKind::Commands, 1).await;
    create(&config(), &topics.replies(), TopicKind::Replies, 3).await;
    topics
}

type Seen = Arc<Mutex<HashMap<String, Vec<Vec<u8>>>>>;

/// An engine that answers a command only when it has seen it `deaf` times before.
async fn engine(topics: &Topics, deaf: usize) -> Seen {
    let reader = LogReader::new(&config(), &ReaderOptions::default()).unwrap();
    let mut commands = reader.open(&topics.commands(), 0, StartAt::Beginning).await.unwrap();
    let (producer, replies, seen) = (Producer::new(&config()).unwrap(), topics.replies(), Seen::default());
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok(batch) = commands.next_batch(100, 1 << 20).await {
            for record in batch.records {
                let command = Command::from_value(record.value.as_deref()).unwrap();
                let Command::StartWorkflow(start) = &command else { panic!("{command:?}") };
                let request_id = start.request_id.clone().unwrap();
                let times = {
                    let mut noted = noted.lock().unwrap();
                    let values = noted.entry(request_id.clone()).or_default();
                    values.push(record.value.clone().unwrap());
                    values.len()
                };
                if times <= deaf {
                    continue;
                }
                let reply_to = command.reply_to().unwrap();
                let run_id = RunId::from_text(request_id);
                let reply = Reply {
                    correlation_id: reply_to.correlation_id.clone(),
                    workflow_id: start.workflow_id.clone(),
                    answer: Answer::WorkflowStarted(WorkflowStarted { run_id, started: true }),
                };
                let partition = u32::try_from(reply_to.partition).unwrap();
                let record = Record::to(&replies).partition(partition).value(serde_json::to_vec(&reply).unwrap());
                // Answers may be repeated.
                drop(producer.send(record.clone()).await);
                drop(producer.send(record).await);
            }
        }
    });
    seen
}

async fn caller(topics: &Topics, repeat_after: Duration) -> Caller {
    let options = CallerOptions { repeat_after, ..CallerOptions::new(topics) };
    Caller::start(&config(), Producer::new(&config()).unwrap(), options).await.unwrap()
}

#[tokio::test]
async fn many_calls_each_get_their_own_answer() {
    let topics = namespace_topics().await;
    engine(&topics, 0).await;
    let caller = caller(&topics, Duration::from_secs(5)).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..300 {
        let caller = caller.clone();
        calls.spawn(async move {
            let workflow_id = WorkflowId::new(format!("w-{number}")).unwrap();
            let mut asked = None;
            let answer = caller
                .call(&workflow_id, Vec::new(), common::SOON, |reply_to| {
                    asked = Some(reply_to.correlation_id.clone());
                    start(&workflow_id, reply_to)
                })
                .await
                .unwrap();
            let Answer::WorkflowStarted(started) = answer else { panic!("{answer:?}") };
            assert_eq!(Some(started.run_id.as_str()), asked.as_deref());
            started.run_id.as_str().to_owned()
        });
    }
    let answers: HashSet<String> = calls.join_all().await.into_iter().collect();
    assert_eq!(answers.len(), 300);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_bytes() {
    let topics = namespace_topics().await;
    let seen = engine(&topics, 2).await;
    let caller = caller(&topics, Duration::from_millis(50)).await;
    let workflow_id = WorkflowId::new("w").unwrap();
    let call = caller.call(&workflow_id, Vec::new(), common::SOON, |reply_to| start(&workflow_id, reply_to));
    call.await.unwrap();
    let seen = seen.lock().unwrap();
    let values: Vec<_> = seen.values().collect();
    assert_eq!(values.len(), 1, "one request id");
    assert!(values[0].len() >= 3 && values[0].iter().all(|value| *value == values[0][0]));
}

#[tokio::test]
async fn what_is_asked_elsewhere_is_sent_once_and_answered_alike() {
    let topics = namespace_topics().await;
    let elsewhere = unique("elsewhere");
    create(&config(), &elsewhere, TopicKind::Tasks, 1).await;
    let caller = caller(&topics, Duration::from_millis(50)).await;
    let (producer, replies) = (Producer::new(&config()).unwrap(), topics.replies());
    let workflow_id = WorkflowId::new("w").unwrap();
    let build = |reply_to: ReplyTo| Record::to(&elsewhere).value(serde_json::to_vec(&reply_to).unwrap());
    let asked = caller.ask(&workflow_id, common::SOON, build);
    let answering = async {
        let reader = LogReader::new(&config(), &ReaderOptions::default()).unwrap();
        let mut log = reader.open(&elsewhere, 0, StartAt::Beginning).await.unwrap();
        let batch = soon("the question", async {
            loop {
                let batch = log.next_batch(10, 1 << 20).await.unwrap();
                if !batch.records.is_empty() {
                    return batch;
                }
            }
        });
        let value = batch.await.records.remove(0).value.unwrap();
        let ReplyTo { partition, correlation_id } = serde_json::from_slice(&value).unwrap();
        let answer = Answer::WorkflowStarted(WorkflowStarted { run_id: RunId::from_text("r"), started: true });
        let reply = Reply { correlation_id, workflow_id: workflow_id.clone(), answer };
        let partition = u32::try_from(partition).unwrap();
        let record = Record::to(&replies).partition(partition).value(serde_json::to_vec(&reply).unwrap());
        producer.send(record).await.await.unwrap();
    };
    let (answer, ()) = tokio::join!(asked, answering);
    assert!(matches!(answer, Ok(Answer::WorkflowStarted(_))), "{answer:?}");
    let patience = Duration::from_millis(300);
    let unanswered = caller.ask(&workflow_id, patience, build).await.unwrap_err();
    assert_eq!(unanswered, CallError::Timeout { workflow_id: workflow_id.clone(), waited: patience });
    let admin = Admin::new(&config()).unwrap();
    assert_eq!(admin.watermarks(&elsewhere, 0).await.unwrap().high, 2, "each question is sent once");
    let nowhere = caller.ask(&workflow_id, common::SOON, |_| Record::to(unique("nowhere"))).await.unwrap_err();
    assert!(matches!(nowhere, CallError::NotSent(_)), "{nowhere:?}");
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    let topics = namespace_topics().await;
    let caller = caller(&topics, Duration::from_millis(50)).await;
    let workflow_id = WorkflowId::new("w").unwrap();
    let patience = Duration::from_millis(300);
    let error =
        caller.call(&workflow_id, Vec::new(), patience, |reply_to| start(&workflow_id, reply_to)).await.unwrap_err();
    assert_eq!(error, CallError::Timeout { workflow_id, waited: patience });
}

#[tokio::test]
async fn a_call_that_cannot_be_sent_says_why() {
    let topics = namespace_topics().await;
    let caller = caller(&topics, Duration::from_secs(1)).await;
    Admin::new(&config()).unwrap().delete_topics(&[&topics.commands()]).await.unwrap();
    let workflow_id = WorkflowId::new("w").unwrap();
    let call = caller.call(&workflow_id, Vec::new(), common::SOON, |reply_to| start(&workflow_id, reply_to));
    let error = soon("error", call).await.unwrap_err();
    assert!(matches!(&error, CallError::NotSent(error) if error.kind == SendErrorKind::TopicMissing), "{error:?}");
}

fn namespace(incarnation: &str) -> NamespaceRecord {
    NamespaceRecord {
        namespace: "default".to_owned(),
        incarnation: incarnation.to_owned(),
        partitions: 8,
        key_ids: Vec::new(),
    }
}

#[tokio::test]
async fn of_two_nodes_that_make_a_namespace_one_wins_for_both() {
    let config = config();
    let topic = common::topic(&config, "cluster", TopicKind::Cluster, 1).await;
    let writer = ClusterWriter::new(Producer::new(&config).unwrap(), &topic);
    let one = ClusterView::start(&config, &topic, Some(writer.clone())).await.unwrap();
    let two = ClusterView::start(&config, &topic, None).await.unwrap();
    let (first, second) =
        tokio::join!(writer.put_namespace(&one, namespace("one")), writer.put_namespace(&two, namespace("two")),);
    let first = first.unwrap();
    assert_eq!(first, second.unwrap());
    assert_eq!(soon("again", writer.put_namespace(&two, namespace("three"))).await.unwrap(), first);
}

#[tokio::test]
async fn a_second_record_of_a_namespace_is_put_right() {
    let config = config();
    let topic = common::topic(&config, "right", TopicKind::Cluster, 1).await;
    let writer = ClusterWriter::new(Producer::new(&config).unwrap(), &topic);
    writer.put(&ClusterRecord::NamespaceRecord(namespace("first"))).await.unwrap();
    let view = ClusterView::start(&config, &topic, Some(writer.clone())).await.unwrap();
    assert_eq!(view.namespace("default"), Some(namespace("first")), "a started view is complete");
    let wrong = writer.put(&ClusterRecord::NamespaceRecord(namespace("second"))).await.unwrap();
    assert!(soon("the record that puts it right", view.holds(wrong.offset + 1)).await);
    assert_eq!(view.namespace("default"), Some(namespace("first")));

    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut log = reader.open(&topic, 0, StartAt::Offset(wrong.offset + 1)).await.unwrap();
    let batch = soon("record", log.next_batch(1, 1 << 20)).await.unwrap();
    let record: ClusterRecord = serde_json::from_slice(batch.records[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(record, ClusterRecord::NamespaceRecord(namespace("first")));
}

#[tokio::test]
async fn a_workflow_is_found_at_its_owner() {
    let config = config();
    let topic = common::topic(&config, "route", TopicKind::Cluster, 1).await;
    let writer = ClusterWriter::new(Producer::new(&config).unwrap(), &topic);
    let view = ClusterView::start(&config, &topic, None).await.unwrap();
    writer.put_namespace(&view, namespace("one")).await.unwrap();
    let workflow_id = WorkflowId::new("order-1").unwrap();
    assert_eq!(view.http_url_for("default", &workflow_id), None);
    let owner = ClusterRecord::PartitionRecord(PartitionRecord {
        namespace: "default".to_owned(),
        partition: partition_of(b"order-1", 8),
        node: "n".to_owned(),
        http_url: "http://n:1".to_owned(),
        epoch_offset: 3,
    });
    let acked = writer.put(&owner).await.unwrap();
    assert!(soon("the owner", view.holds(acked.offset)).await);
    assert_eq!(view.http_url_for("default", &workflow_id).as_deref(), Some("http://n:1"));
    assert_eq!(view.http_url_for("other", &workflow_id), None);
    let acked = writer.remove(&owner.key()).await.unwrap();
    assert!(soon("the end of the ownership", view.holds(acked.offset)).await);
    assert_eq!(view.http_url_for("default", &workflow_id), None);
}
