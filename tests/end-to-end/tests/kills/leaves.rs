//! Who was told by the log that it may run an attempt, and when activities were completed: both by the order of commands.

use std::collections::BTreeMap;

use anyhow::Context as _;
use end_to_end::Kafka;
use tidewright_log::{Admin, LogReader, ReaderOptions, StartAt};
use tidewright_schemas::topics::Topics;
use tidewright_schemas::{EventAttributes, EventId, HistoryEvent, HistoryRecord, RowFact, Transition};

/// A workflow id and the `ActivityTaskScheduled` of one of its activities.
pub type ActivityKey = (String, EventId);

/// One attempt that the log knows to be a worker's.
struct Leave {
    attempt: u32,
    /// `pid@host`.
    identity: String,
    /// Offset of the command that asked.
    source_offset: u64,
}

/// What the history topic says of attempts and completions.
#[derive(Default)]
pub struct Leaves {
    given: BTreeMap<ActivityKey, Vec<Leave>>,
    /// Offsets of the commands after which retried attempts were sent.
    sent: BTreeMap<(ActivityKey, u32), u64>,
    /// Offset of the command that completed it.
    completed: BTreeMap<ActivityKey, u64>,
}

impl Leaves {
    /// Reads the history topic to its end. Records of a zombie may be among them: it answers nobody, so what it wrote gave
    /// leave to none, but it names a command that the owner in office decided, too.
    pub async fn read(kafka: &Kafka, topics: &Topics) -> anyhow::Result<Self> {
        let (config, topic) = (kafka.config(), topics.history());
        let partitions = Admin::new(&config)?.partition_count(&topic).await?.context("there is no history topic")?;
        let reader = LogReader::new(&config, &ReaderOptions::default())?;
        let mut leaves = Self::default();
        for partition in 0..partitions {
            let mut log = reader.open(&topic, partition, StartAt::Beginning).await?;
            let end = log.end_at_open();
            while log.position() < end {
                for record in log.next_batch(1_000, 16 * 1024 * 1024).await?.records {
                    if !record.key.as_deref().is_some_and(HistoryRecord::is_key) {
                        continue;
                    }
                    let Some(value) = &record.value else { continue };
                    if let HistoryRecord::Transition(change) = serde_json::from_slice(value)? {
                        leaves.learn(&change);
                    }
                }
            }
        }
        Ok(leaves)
    }

    fn learn(&mut self, change: &Transition) {
        let key = |event: EventId| (change.workflow_id.to_string(), event);
        self.learn_completions(change, &change.events);
        for fact in &change.rows {
            match fact {
                RowFact::EventBuffered(buffered) => self.learn_completions(change, &buffered.events),
                RowFact::ActivityStarted(started) => {
                    let (attempt, identity) = (started.attempt, started.worker.identity.clone());
                    let leave = Leave { attempt, identity, source_offset: change.source_offset };
                    self.given.entry(key(started.scheduled_event_id)).or_default().push(leave);
                }
                RowFact::ActivityDispatched(task) => {
                    self.sent.insert((key(task.scheduled_event_id), task.attempt), change.source_offset);
                }
                _ => {}
            }
        }
    }

    /// The first mention counts: what was buffered becomes an event later.
    fn learn_completions(&mut self, change: &Transition, events: &[HistoryEvent]) {
        for event in events {
            if let EventAttributes::ActivityTaskCompleted(done) = &event.attributes {
                let key = (change.workflow_id.to_string(), done.scheduled_event_id);
                let first = self.completed.entry(key).or_insert(change.source_offset);
                *first = change.source_offset.min(*first);
            }
        }
    }

    /// Whether the task of a retried attempt was on its way before the activity was completed by an earlier one.
    pub fn was_sent_before_completion(&self, key: &ActivityKey, attempt: u32) -> bool {
        let sent = self.sent.get(&(key.clone(), attempt));
        sent.zip(self.completed.get(key)).is_some_and(|(sent, completed)| sent < completed)
    }

    /// Whether the process was known to run this attempt before the activity was completed.
    pub fn was_given_before_completion(&self, key: &ActivityKey, attempt: u32, process: u32) -> bool {
        let Some(completed) = self.completed.get(key) else { return false };
        let process = format!("{process}@");
        self.given.get(key).is_some_and(|given| {
            given.iter().any(|leave| {
                leave.attempt == attempt && leave.identity.starts_with(&process) && leave.source_offset < *completed
            })
        })
    }
}
