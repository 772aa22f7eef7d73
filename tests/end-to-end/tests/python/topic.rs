//! The history topic itself: made so that it is compacted early, and written to by those who should not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use end_to_end::Kafka;
use serde_json::json;
use tidewright_log::{
    Admin, KafkaConfig, LogReader, Producer, ReaderOptions, Received, Record, StartAt, TopicKind, TopicSpec,
};
use tidewright_schemas::{Epoch, HistoryRecord, Position, RunId, Transition, WorkflowId};

/// As many as a new namespace gets by itself.
const PARTITIONS: u32 = 4;
/// How long compaction may take: Apache Kafka looks for work every 15 seconds.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Far above the commands of this test.
const FAR_AHEAD: u64 = 1_000_000;

pub struct HistoryTopic {
    name: String,
    config: KafkaConfig,
}

impl HistoryTopic {
    /// Makes the topic before the engine does.
    pub async fn create(kafka: &Kafka, name: String) -> anyhow::Result<Self> {
        let mut spec = TopicSpec::new(&name, TopicKind::History, PARTITIONS);
        let early = [
            ("min.compaction.lag.ms", "0"),
            ("min.cleanable.dirty.ratio", "0.001"),
            ("segment.ms", "500"),
            ("delete.retention.ms", "0"),
        ];
        spec.overrides.extend(early.map(|(setting, value)| (setting.to_owned(), value.to_owned())));
        let report = Admin::new(&kafka.config())?.ensure_topics(&[spec]).await?;
        ensure!(report.created == [name.as_str()], "{name} was not made: {report:?}");
        Ok(Self { name, config: kafka.config() })
    }

    /// The claim in force in each partition.
    pub async fn claims(&self) -> anyhow::Result<Vec<Epoch>> {
        let mut claims = Vec::new();
        for partition in 0..PARTITIONS {
            let mut claim = None;
            for record in self.read(partition).await? {
                let value = record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
                if let Some(HistoryRecord::Claim(found)) = value {
                    claim = Some(Epoch { offset: record.offset, key: found.key });
                }
            }
            claims.push(claim.with_context(|| format!("nobody has claimed partition {partition}"))?);
        }
        Ok(claims)
    }

    /// Writes, to every partition, what does not count.
    pub async fn write_invalid(
        &self,
        producer: &Producer,
        claims: &[Epoch],
        workflow_id: &WorkflowId,
        run_id: &RunId,
        next_event_id: usize,
    ) -> anyhow::Result<()> {
        let event = json!({
            "event_id": next_event_id, "event_time_ms": 1, "event_type": "WorkflowExecutionFailed",
            "attributes": {"failure": {"message": "nobody said so", "info": {"type": "Application"}}, "workflow_task_completed_event_id": 1},
        });
        for (partition, epoch) in (0_u32..).zip(claims) {
            let transition = Transition {
                epoch: epoch.clone(),
                source_offset: FAR_AHEAD,
                source_time_ms: 1,
                workflow_id: workflow_id.clone(),
                run_id: Some(run_id.clone()),
                events: vec![serde_json::from_value(event.clone())?],
                history_digest: None,
                rows: Vec::new(),
                next_run: None,
                supersedes: Vec::new(),
            };
            let position = Position {
                epoch: epoch.clone(),
                number: FAR_AHEAD,
                applied_offset: FAR_AHEAD,
                last_command: None,
                topic_id: None,
                released_offset: FAR_AHEAD,
                released_history_offset: 0,
                released_epoch: None,
            };
            for record in [HistoryRecord::from(transition), position.into()] {
                self.write(producer, partition, &record.key(), Some(serde_json::to_string(&record)?)).await?;
            }
            self.write(producer, partition, "greeting", Some("hello".to_owned())).await?;
        }
        Ok(())
    }

    /// Appends until everything that is tombstoned is gone: a log is compacted up to its last segment only, and a new
    /// segment begins with an append. The owner tombstones a zombie's transitions and its own old positions.
    pub async fn compact(&self, producer: &Producer) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut waiting = None;
            for partition in 0..PARTITIONS {
                if let Some(key) = self.waits_for_compaction(partition).await? {
                    self.write(producer, partition, "filler", None).await?;
                    waiting = Some((partition, key));
                }
            }
            let Some((partition, key)) = waiting else { return Ok(()) };
            if Instant::now() > deadline {
                bail!("within {PATIENCE:?} partition {partition} was not compacted: {key} is there still");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A key that has a value and, later, a tombstone; or one that must get a tombstone yet.
    async fn waits_for_compaction(&self, partition: u32) -> anyhow::Result<Option<String>> {
        let mut values: BTreeMap<String, bool> = BTreeMap::new();
        for record in self.read(partition).await? {
            let key = String::from_utf8(record.key.unwrap_or_default())?;
            match record.value {
                Some(_) => drop(values.insert(key, false)),
                None => drop(values.get_mut(&key).map(|is_tombstoned| *is_tombstoned = true)),
            }
        }
        let zombie = format!("transition/{FAR_AHEAD}/");
        let waits = |(key, is_tombstoned): &(String, bool)| *is_tombstoned || key.starts_with(&zombie);
        Ok(values.into_iter().find(waits).map(|(key, _)| key))
    }

    async fn write(&self, producer: &Producer, partition: u32, key: &str, value: Option<String>) -> anyhow::Result<()> {
        let mut record = Record::to(&self.name).partition(partition).key(key);
        record.value = value.map(String::into_bytes);
        producer.send(record).await.await?;
        Ok(())
    }

    async fn read(&self, partition: u32) -> anyhow::Result<Vec<Received>> {
        let reader = LogReader::new(&self.config, &ReaderOptions::default())?;
        let mut log = reader.open(&self.name, partition, StartAt::Beginning).await?;
        let end = log.end_at_open();
        let mut records = Vec::new();
        while log.position() < end {
            records.extend(log.next_batch(1_000, 16 * 1024 * 1024).await?.records);
        }
        Ok(records)
    }
}
