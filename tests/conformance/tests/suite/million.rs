//! A million records of idempotent producers, while their broker is killed again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::process::BrokerProcess;

const RECORDS: usize = 1_000_000;
const PARTITIONS: usize = 4;
const KILLS: usize = 10;
/// A machine may be slow, and each kill costs its clients a reconnection.
const LIMIT: Duration = Duration::from_secs(600);

/// Counts what was acknowledged; a record that was given up fails the test.
#[derive(Clone)]
struct Acknowledged(Arc<watch::Sender<(usize, Option<KafkaError>)>>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.0.send_modify(|(count, failure)| match result {
            Ok(_) => *count += 1,
            Err((error, _)) => *failure = Some(error.clone()),
        });
    }
}

type Acknowledgements = watch::Receiver<(usize, Option<KafkaError>)>;

async fn until_acknowledged(acknowledged: &mut Acknowledgements, wanted: usize) -> Result<()> {
    let reached = acknowledged.wait_for(|(count, failure)| *count >= wanted || failure.is_some());
    let reached = timeout(LIMIT, reached).await.context("records are not acknowledged any more")??;
    ensure!(reached.1.is_none(), "a record was given up: {:?}", reached.1);
    Ok(())
}

/// Every partition gets its own records, numbered from 0.
fn produce(producer: &ThreadedProducer<Acknowledged>, topic: &str, acknowledged: &Acknowledgements) -> Result<()> {
    let runtime = tokio::runtime::Handle::current();
    for n in 0..RECORDS {
        let value = ((n / PARTITIONS) as u64).to_le_bytes();
        let record = BaseRecord::<(), [u8]>::to(topic).partition((n % PARTITIONS) as i32).payload(&value);
        let mut unsent = record;
        loop {
            let before = acknowledged.borrow().0;
            match producer.send(unsent) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => {
                    unsent = record;
                    runtime.block_on(until_acknowledged(&mut acknowledged.clone(), before + 1))?;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn check(broker: &BrokerProcess, topic: &str) -> Result<()> {
    let consumer: BaseConsumer = broker.cluster.config().set("group.id", "check").create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let mut next = [0u64; PARTITIONS];
    let deadline = Instant::now() + LIMIT;
    while next.iter().sum::<u64>() < RECORDS as u64 {
        // The client may return early, or tell of a connection that it makes again: only time tells that nothing comes.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            ensure!(Instant::now() < deadline, "records are missing: there are only {next:?}");
            continue;
        };
        let partition = message.partition() as usize;
        let found = u64::from_le_bytes(message.payload().context("no value")?.try_into()?);
        ensure!(found == next[partition], "partition {partition}: {found} instead of {}", next[partition]);
        next[partition] += 1;
    }
    for partition in 0..PARTITIONS {
        let (_, end) = consumer.fetch_watermarks(topic, partition as i32, LIMIT)?;
        ensure!(end as usize == RECORDS / PARTITIONS, "partition {partition} ends at {end}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_records_are_there_once_and_in_order_after_ten_kills() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut broker = BrokerProcess::start(directory.path(), None).await?;
    let topic = broker.cluster.topic("million", PARTITIONS as i32, &[("retention.ms", "-1")]).await?;
    let (sender, mut acknowledged) = watch::channel((0, None));
    let producer: ThreadedProducer<Acknowledged> = broker
        .cluster
        .config()
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("message.timeout.ms", "0")
        .set("queue.buffering.max.messages", "50000")
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "100")
        .set("retry.backoff.ms", "10")
        .create_with_context(Acknowledged(Arc::new(sender)))?;
    let producing = tokio::task::spawn_blocking({
        let (topic, acknowledged) = (topic.clone(), acknowledged.clone());
        move || produce(&producer, &topic, &acknowledged).map(|()| producer)
    });
    for kill in 1..=KILLS {
        until_acknowledged(&mut acknowledged, kill * RECORDS / (KILLS + 1)).await?;
        let address = broker.kill().await?;
        broker = BrokerProcess::start(directory.path(), Some(&address)).await?;
    }
    let producer = producing.await??;
    until_acknowledged(&mut acknowledged, RECORDS).await?;
    drop(producer);
    tokio::task::block_in_place(|| check(&broker, &topic))?;
    broker.kill().await?;
    Ok(())
}
