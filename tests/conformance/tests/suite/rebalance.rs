//! Groups of real clients, eager and cooperative.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use conformance::clients::{PATIENCE, receive};
use conformance::cluster::{Cluster, on_every_broker};
use futures::future::{Either, select};
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::producer::FutureRecord;
use tokio::time::{Instant, timeout_at};

const STRATEGIES: [&str; 2] = ["range", "cooperative-sticky"];

fn partitions(consumer: &StreamConsumer) -> Result<BTreeSet<i32>> {
    Ok(consumer.assignment()?.elements().iter().map(|element| element.partition()).collect())
}

/// Drives consumers until their assignments are as wanted.
async fn until(consumers: &[&StreamConsumer], wanted: impl Fn(&[BTreeSet<i32>]) -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let assigned = consumers.iter().map(|consumer| partitions(consumer)).collect::<Result<Vec<_>>>()?;
        if wanted(&assigned) {
            return Ok(());
        }
        // A client rebalances while it is asked for messages; there are none.
        let ticks = consumers.iter().map(|consumer| Box::pin(consumer.recv()));
        let tick = Box::pin(tokio::time::sleep(std::time::Duration::from_millis(20)));
        let drive = select(futures::future::select_all(ticks), tick);
        match timeout_at(deadline, drive).await.with_context(|| format!("the group stays at {assigned:?}"))? {
            Either::Left(((message, ..), _)) => drop(message.context("a consumer failed")?),
            Either::Right(_) => {}
        }
    }
}

fn all_of(assigned: &[BTreeSet<i32>], partitions: i32) -> bool {
    let together: BTreeSet<i32> = assigned.iter().flatten().copied().collect();
    let count: usize = assigned.iter().map(BTreeSet::len).sum();
    together.len() == partitions as usize && count == together.len() && assigned.iter().all(|one| !one.is_empty())
}

async fn member(cluster: &Cluster, group: &str, topic: &str, strategy: &str) -> Result<StreamConsumer> {
    let settings = [("partition.assignment.strategy", strategy), ("session.timeout.ms", "2000")];
    let consumer = cluster.consumer(group, &settings)?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

#[tokio::test]
async fn members_share_partitions_and_take_over_from_those_that_leave() -> Result<()> {
    on_every_broker(async |cluster| {
        for strategy in STRATEGIES {
            let topic = cluster.topic("shared", 6, &[]).await?;
            let group = cluster.unique(strategy);
            let first = member(cluster, &group, &topic, strategy).await?;
            until(&[&first], |assigned| all_of(assigned, 6)).await?;
            let second = member(cluster, &group, &topic, strategy).await?;
            until(&[&first, &second], |assigned| all_of(assigned, 6)).await?;
            let third = member(cluster, &group, &topic, strategy).await?;
            until(&[&first, &second, &third], |assigned| all_of(assigned, 6)).await?;
            drop(second);
            until(&[&first, &third], |assigned| all_of(assigned, 6)).await?;
            drop(first);
            until(&[&third], |assigned| all_of(assigned, 6)).await.context(strategy)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_successor_goes_on_at_the_committed_offset() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("resume", 1, &[]).await?;
        let producer = cluster.producer(&[])?;
        for n in 0..10 {
            let value = n.to_string();
            let record = FutureRecord::<(), _>::to(&topic).payload(&value);
            producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        }
        let group = cluster.unique("resume");
        let first = member(cluster, &group, &topic, "range").await?;
        for expected in 0..4 {
            let message = receive(&first).await?;
            assert_eq!(message.offset(), expected);
            first.commit_message(&message, CommitMode::Sync)?;
        }
        drop(first);
        let second = member(cluster, &group, &topic, "range").await?;
        for expected in 4..10 {
            assert_eq!(receive(&second).await?.offset(), expected);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_topic_that_appears_later_is_assigned() -> Result<()> {
    on_every_broker(async |cluster| {
        let prefix = cluster.unique("pattern");
        let settings = [("topic.metadata.refresh.interval.ms", "200")];
        let consumer = cluster.consumer(&cluster.unique("pattern"), &settings)?;
        consumer.subscribe(&[&format!("^{}.*", prefix.replace('.', "\\."))])?;
        let name = format!("{prefix}.later");
        let admin = cluster.admin()?;
        let topic = rdkafka::admin::NewTopic::new(&name, 2, rdkafka::admin::TopicReplication::Fixed(1));
        admin.create_topics([&topic], &rdkafka::admin::AdminOptions::new()).await?;
        until(&[&consumer], |assigned| all_of(assigned, 2)).await
    })
    .await
}
