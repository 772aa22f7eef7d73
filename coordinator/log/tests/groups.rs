//! Consumer groups: who has which partition, and in which order that is told.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::{SOON, config, number, send_numbers, soon, topic, unique};
use tidewright_log::{
    Admin, GroupConsumer, GroupError, GroupEvent, GroupOptions, Producer, Received, TopicKind, TopicPartition,
};

const BYTES_MAX: usize = 1 << 20;

/// A member that checks the order of what it is told.
struct Member {
    consumer: GroupConsumer,
    assigned: BTreeSet<u32>,
    records: Vec<Received>,
    lost: usize,
}

impl Member {
    fn join(options: &GroupOptions) -> Self {
        let consumer = GroupConsumer::join(&config(), options).unwrap();
        Self { consumer, assigned: BTreeSet::new(), records: Vec::new(), lost: 0 }
    }

    async fn step(&mut self) {
        match self.consumer.next(100, BYTES_MAX).await {
            Ok(GroupEvent::Assigned(partitions)) => {
                for assigned in partitions {
                    assert!(self.assigned.insert(assigned.partition.partition), "assigned twice");
                }
            }
            Ok(GroupEvent::Revoked(partitions)) => self.remove(&partitions),
            Ok(GroupEvent::Lost(partitions)) => {
                self.remove(&partitions);
                self.lost += 1;
            }
            Ok(GroupEvent::Records(records)) => {
                assert!(!records.is_empty());
                for record in &records {
                    assert!(self.assigned.contains(&record.partition), "a record of somebody else's partition");
                }
                self.records.extend(records);
            }
            Err(GroupError::TopicMissing { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn remove(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            assert!(self.assigned.remove(&partition.partition), "revoked without having been assigned");
        }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        soon(what, async {
            while !done(self) {
                self.step().await;
            }
        })
        .await;
    }
}

fn partition(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

#[tokio::test]
async fn a_member_reads_from_the_beginning_and_goes_on_where_it_committed() {
    let config = config();
    let topic = topic(&config, "commit", TopicKind::Tasks, 2).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 0, 0..10).await;
    send_numbers(&producer, &topic, 1, 10..20).await;
    let options = GroupOptions::new(&topic, [&topic]);

    let mut first = Member::join(&options);
    first.until("records", |member| member.records.len() == 20).await;
    assert!(first.consumer.commit(&partition(&topic, 0), 7));
    assert!(!first.consumer.commit(&partition(&topic, 5), 7), "not assigned");
    first.consumer.close().await;
    let committed = Admin::new(&config).unwrap().committed(&topic, &topic, &[0, 1]).await.unwrap();
    assert_eq!(committed, BTreeMap::from([(0, 7)]));

    let mut second = Member::join(&options);
    second.until("records", |member| member.records.len() == 13).await;
    let numbers: BTreeSet<u32> = second.records.iter().map(number).collect();
    assert_eq!(numbers, (7..20).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_member_commits_again_and_again() {
    let config = config();
    let topic = topic(&config, "commits", TopicKind::Tasks, 1).await;
    let mut member = Member::join(&GroupOptions::new(&topic, [&topic]));
    member.until("it has the partition", |member| !member.assigned.is_empty()).await;
    let admin = Admin::new(&config).unwrap();
    for offset in [1, 2, 3] {
        assert!(member.consumer.commit(&partition(&topic, 0), offset));
        let deadline = Instant::now() + SOON;
        while admin.committed(&topic, &topic, &[0]).await.unwrap().get(&0) != Some(&offset) {
            assert!(Instant::now() < deadline, "offset {offset} was not committed while the member runs");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn an_assignment_tells_the_ends() {
    let config = config();
    let topic = topic(&config, "ends", TopicKind::Tasks, 2).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 1, 0..5).await;
    let mut consumer = GroupConsumer::join(&config, &GroupOptions::new(&topic, [&topic])).unwrap();
    let Ok(GroupEvent::Assigned(assigned)) = soon("assignment", consumer.next(1, 1)).await else {
        panic!("something else came first")
    };
    let ends: BTreeMap<_, _> = assigned.into_iter().map(|a| (a.partition.partition, a.end_offset)).collect();
    assert_eq!(ends, BTreeMap::from([(0, Some(0)), (1, Some(5))]));
}

#[tokio::test]
async fn members_share_partitions_and_take_over_at_once() {
    let config = config();
    let topic = topic(&config, "share", TopicKind::Tasks, 4).await;
    let producer = Producer::new(&config).unwrap();
    let options = GroupOptions::new(&topic, [&topic]);
    let mut first = Member::join(&options);
    first.until("all partitions", |member| member.assigned.len() == 4).await;
    let mut second = Member::join(&options);
    let joined = Instant::now();
    soon("sharing", async {
        while first.assigned.len() != 2 || second.assigned.len() != 2 {
            tokio::select! {
                () = first.step() => {}
                () = second.step() => {}
            }
        }
    })
    .await;
    println!("shared after {:?}", joined.elapsed());
    assert!(first.assigned.is_disjoint(&second.assigned));
    for partition in 0..4 {
        send_numbers(&producer, &topic, partition, 0..10).await;
    }
    first.until("records", |member| member.records.len() == 20).await;
    second.until("records", |member| member.records.len() == 20).await;

    let left = Instant::now();
    first.consumer.close().await;
    println!("left within {:?}", left.elapsed());
    // What the first one did not commit comes again.
    second.until("all partitions", |member| member.assigned.len() == 4).await;
    println!("taken over after {:?}", left.elapsed());
    assert!(left.elapsed() < Duration::from_secs(5), "a hand-over does not wait for the session to end");
    second.until("repeated records", |member| member.records.len() == 40).await;
}

#[tokio::test]
async fn no_record_comes_after_its_partition_has_gone() {
    let config = config();
    let topic = topic(&config, "churn", TopicKind::Tasks, 6).await;
    let producer = Producer::new(&config).unwrap();
    let options = GroupOptions::new(&topic, [&topic]);
    let mut steady = Member::join(&options);
    steady.until("all partitions", |member| member.assigned.len() == 6).await;
    for round in 0..4_u32 {
        for partition in 0..6 {
            send_numbers(&producer, &topic, partition, round * 200..round * 200 + 200).await;
        }
        let mut passing = Member::join(&options);
        // `Member` checks every record against what is assigned.
        soon("some partitions", async {
            while passing.assigned.is_empty() {
                tokio::select! {
                    () = steady.step() => {}
                    () = passing.step() => {}
                }
            }
        })
        .await;
        drop(passing);
        steady.until("all partitions", |member| member.assigned.len() == 6).await;
    }
    let seen = |member: &Member| {
        let offsets: BTreeSet<_> = member.records.iter().map(|record| (record.partition, record.offset)).collect();
        offsets.len() == 6 * 800
    };
    steady.until("every record", seen).await;
}

#[tokio::test]
async fn a_paused_partition_yields_nothing_until_it_is_resumed() {
    let config = config();
    let topic = topic(&config, "pause", TopicKind::Tasks, 2).await;
    let producer = Producer::new(&config).unwrap();
    let mut member = Member::join(&GroupOptions::new(&topic, [&topic]));
    member.until("partitions", |member| member.assigned.len() == 2).await;
    member.consumer.pause(&partition(&topic, 0));
    send_numbers(&producer, &topic, 0, 0..5).await;
    send_numbers(&producer, &topic, 1, 5..10).await;
    member.until("the other records", |member| member.records.len() == 5).await;
    assert!(member.records.iter().all(|record| record.partition == 1));
    member.consumer.resume(&partition(&topic, 0));
    member.until("the rest", |member| member.records.len() == 10).await;
}

#[tokio::test]
async fn a_membership_alone_is_confirmed_and_reads_nothing() {
    let config = config();
    let topic = topic(&config, "member", TopicKind::Commands, 2).await;
    let producer = Producer::new(&config).unwrap();
    send_numbers(&producer, &topic, 0, 0..10).await;
    let options = GroupOptions::new(&topic, [&topic]).membership_only();
    let mut member = Member::join(&options);
    member.until("partitions", |member| member.assigned.len() == 2).await;
    let before = Instant::now();
    assert!(member.consumer.confirm_assigned(&partition(&topic, 0), SOON).await.unwrap());
    assert!(!member.consumer.confirm_assigned(&partition(&topic, 9), SOON).await.unwrap());
    println!("confirmed within {:?}", before.elapsed());
    soon("contact", async {
        while member.consumer.last_contact().is_none_or(|contact| contact < before) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(member.consumer.last_contact().unwrap() <= Instant::now());
    assert!(member.consumer.commit(&partition(&topic, 0), 3));
    let silent = tokio::time::timeout(Duration::from_millis(500), member.consumer.next(1, 1)).await;
    assert!(silent.is_err(), "{silent:?}");
    member.consumer.close().await;
    let committed = Admin::new(&config).unwrap().committed(&topic, &topic, &[0]).await.unwrap();
    assert_eq!(committed[&0], 3);
}

#[tokio::test]
async fn a_topic_that_appears_later_is_joined() {
    let config = config();
    let there = topic(&config, "there", TopicKind::Tasks, 1).await;
    let later = unique("later");
    let mut member = Member::join(&GroupOptions::new(&there, [&there, &later]));
    member.until("the first topic", |member| member.assigned.len() == 1).await;
    common::create(&config, &later, TopicKind::Tasks, 3).await;
    soon("the second topic", async {
        while member.consumer.assigned().len() != 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    member.consumer.subscribe([&later]).unwrap();
    soon("only the second topic", async {
        while member.consumer.assigned().len() != 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
