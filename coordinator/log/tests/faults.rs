//! A broker that goes away and comes back, under load. Always on an embedded broker, since the tests stop it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{SOON, create, number, soon};
use tidewright_broker::{Broker, BrokerConfig, Storage};
use tidewright_log::{
    Entry, GroupConsumer, GroupEvent, GroupOptions, HistoryProducer, KafkaConfig, LogReader, Producer, ReaderOptions,
    Record, StartAt, TopicKind,
};

/// A broker that keeps its port and its directory from one life to the next.
struct Site {
    directory: tempfile::TempDir,
    address: SocketAddr,
    broker: Option<Broker>,
}

impl Site {
    async fn new() -> Self {
        let mut site =
            Self { directory: tempfile::tempdir().unwrap(), address: "127.0.0.1:0".parse().unwrap(), broker: None };
        site.start().await;
        site
    }

    async fn start(&mut self) {
        let storage = Storage::Directory(self.directory.path().to_owned());
        let config = BrokerConfig { listen: self.address, storage, ..BrokerConfig::default() };
        let broker = soon("broker", async {
            loop {
                match Broker::start(config.clone()).await {
                    Ok(broker) => return broker,
                    // The port or the directory is being let go of.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let broker = broker.await;
        self.address = broker.address();
        self.broker = Some(broker);
    }

    async fn stop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.shutdown().await.unwrap();
        }
    }

    fn config(&self) -> KafkaConfig {
        KafkaConfig::new(self.address.to_string()).with_client_id("log-faults")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_has_no_gap_and_no_repetition_when_the_broker_restarts() {
    let mut site = Site::new().await;
    let config = site.config();
    create(&config, "history", TopicKind::History, 1).await;
    let producer = HistoryProducer::new(&config).unwrap();
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let mut log = reader.open("history", 0, StartAt::Beginning).await.unwrap();

    let appending = tokio::spawn(async move {
        let mut appends = Vec::new();
        for batch in 0..300_u32 {
            let entries = (0..5).map(|i| Entry {
                key: Some(b"k".to_vec()),
                value: Some((batch * 5 + i).to_string().into_bytes()),
                headers: Vec::new(),
            });
            appends.push(producer.append("history", 0, entries.collect()).await);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let mut offsets = Vec::new();
        for append in appends {
            offsets.extend(append.await.unwrap());
        }
        offsets
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        site.stop().await;
        site.start().await;
    }
    let offsets = soon("appends", appending).await.unwrap();
    assert_eq!(offsets, (0..1_500).collect::<Vec<u64>>());
    let mut numbers = Vec::new();
    while numbers.len() < 1_500 {
        let batch = soon("records", log.next_batch(500, 1 << 20)).await.unwrap();
        numbers.extend(batch.records.iter().map(number));
    }
    assert_eq!(numbers, (0..1_500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_while_the_broker_is_away_arrives() {
    let mut site = Site::new().await;
    let config = site.config();
    create(&config, "tasks", TopicKind::Tasks, 1).await;
    let producer = Producer::new(&config).unwrap();
    producer.send(Record::to("tasks").value("0")).await.await.unwrap();
    site.stop().await;
    let mut deliveries = Vec::new();
    for number in 1..100_u32 {
        deliveries.push(producer.send(Record::to("tasks").value(number.to_string())).await);
    }
    site.start().await;
    for (offset, delivery) in (1..).zip(deliveries) {
        assert_eq!(soon("delivery", delivery).await.unwrap().offset, offset);
    }
}

async fn until_assigned(member: &mut GroupConsumer) {
    soon("assignment", async {
        loop {
            if let Ok(GroupEvent::Assigned(_)) = member.next(1, 1).await {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_not_heard_loses_its_partitions_and_gets_them_again() {
    let mut site = Site::new().await;
    let config = site.config();
    create(&config, "commands", TopicKind::Commands, 2).await;
    let mut options = GroupOptions::new("commands", ["commands"]).membership_only();
    options.session_timeout = Duration::from_secs(1);
    let mut member = GroupConsumer::join(&config, &options).unwrap();
    until_assigned(&mut member).await;
    let partition = member.assigned().remove(0);

    site.stop().await;
    let stopped = Instant::now();
    let confirmed = member.confirm_assigned(&partition, Duration::from_millis(200)).await;
    assert!(confirmed.is_err(), "nobody can confirm it: {confirmed:?}");
    soon("loss", async { while !matches!(member.next(1, 1).await, Ok(GroupEvent::Lost(lost)) if lost.len() == 2) {} })
        .await;
    println!("lost after {:?}", stopped.elapsed());
    assert!(member.last_contact().is_none_or(|contact| contact <= stopped + Duration::from_millis(100)));
    assert!(!member.confirm_assigned(&partition, SOON).await.unwrap());
    assert!(!member.commit(&partition, 1));

    site.start().await;
    until_assigned(&mut member).await;
    assert!(member.confirm_assigned(&partition, SOON).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_where_it_was_when_the_broker_restarts() {
    let mut site = Site::new().await;
    let config = site.config();
    create(&config, "tasks", TopicKind::Tasks, 2).await;
    let producer = Producer::new(&config).unwrap();
    let mut member = GroupConsumer::join(&config, &GroupOptions::new("tasks", ["tasks"])).unwrap();
    until_assigned(&mut member).await;
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..3_u32 {
        let mut deliveries = Vec::new();
        for number in round * 50..round * 50 + 50 {
            deliveries.push(producer.send(Record::to("tasks").partition(number % 2).value(number.to_string())).await);
        }
        site.stop().await;
        site.start().await;
        for delivery in deliveries {
            soon("delivery", delivery).await.unwrap();
        }
        soon("records", async {
            while seen.len() < (round as usize + 1) * 50 {
                if let Ok(GroupEvent::Records(records)) = member.next(100, 1 << 20).await {
                    seen.extend(records.iter().map(number));
                }
            }
        })
        .await;
    }
    soon("close", member.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_broker_that_stays_away_can_be_closed() {
    let mut site = Site::new().await;
    let config = site.config();
    create(&config, "tasks", TopicKind::Tasks, 1).await;
    let mut member = GroupConsumer::join(&config, &GroupOptions::new("tasks", ["tasks"])).unwrap();
    until_assigned(&mut member).await;
    let partition = member.assigned().remove(0);
    let reader = LogReader::new(&config, &ReaderOptions::default()).unwrap();
    let log = reader.open("tasks", 0, StartAt::Beginning).await.unwrap();
    let history = HistoryProducer::new(&config).unwrap();
    site.stop().await;
    let append = history.append("tasks", 0, vec![Entry::default()]).await;
    member.commit(&partition, 1);
    drop((log, reader));
    drop(history);
    soon("the append's end", append).await.unwrap_err();
    soon("close", member.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_leaves_even_if_its_broker_is_gone() {
    let mut site = Site::new().await;
    create(&site.config(), "left", TopicKind::Tasks, 1).await;
    let mut member = GroupConsumer::join(&site.config(), &GroupOptions::new("left", ["left"])).unwrap();
    let assigned = soon("an assignment", async {
        loop {
            if let Ok(GroupEvent::Assigned(partitions)) = member.next(1, 1).await {
                return partitions;
            }
        }
    });
    let assigned = assigned.await;
    site.stop().await;
    assert!(member.commit(&assigned[0].partition, 1));
    soon("the end of the membership", member.close()).await;
}
