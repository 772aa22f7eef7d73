//! A partition in memory, driven command by command.
//!
//! Every step decides on an overlay, twice; writes the record as JSON and reads it back, as a log would; applies it; and
//! then holds the state against itself, against the state rebuilt from all records, and against the state rebuilt from
//! the records that compaction would leave.

pub mod commands;
pub mod decisions;
pub mod sentences;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};

use tidewright_core::read::{find_run, history};
use tidewright_core::{
    Context, Decided, DueTimer, Effect, MemoryRows, Overlay, Request, Rows as _, Store as _, TaskToken, activity_task,
    apply, audit, decide, due_timers, effects, is_wanted, waste, workflow_task,
};
use tidewright_schemas::limits::MESSAGE_BYTES_MAX;
use tidewright_schemas::{
    ActivityTask, Epoch, HistoryEvent, HistoryRecord, RowFact, RunId, TaskId, TaskKind, Transition, WorkflowId,
    WorkflowTask, transition_key,
};

pub const NAMESPACE: &str = "shop";
/// The workflow that a test speaks of unless it says otherwise.
pub const ORDER: &str = "order-1";
pub const TOMBSTONES_LIVE_MS: u64 = 86_400_000;
pub const START_MS: u64 = 1_790_000_000_000;

pub fn workflow_id(text: &str) -> WorkflowId {
    WorkflowId::new(text).unwrap()
}

/// What one command did.
#[derive(Debug, Default)]
pub struct Step {
    pub nothing: bool,
    pub early_ms: Option<u64>,
    pub run_id: Option<RunId>,
    pub events: Vec<HistoryEvent>,
    pub facts: Vec<RowFact>,
    pub effects: Vec<Effect>,
}

/// A partition.
pub struct World {
    pub rows: MemoryRows,
    pub now_ms: u64,
    pub offset: u64,
    pub step: Step,
    pub workflow_tasks: Vec<(TaskToken, WorkflowTask)>,
    pub activity_tasks: Vec<(TaskToken, ActivityTask)>,
    /// Where tasks were sent, in order.
    pub queues: Vec<String>,
    /// Below which command all effects are out, as the last position says; by default, all of them.
    pub released_offset: Option<u64>,
    pub tombstones_live_ms: u64,
    /// Rebuild from what compaction leaves after every step; else only when asked to.
    pub check_compaction: bool,
    records: Vec<(String, String)>,
    superseded: BTreeSet<String>,
    /// Commands whose records were tombstoned because their runs are deleted.
    pub tombstoned: Vec<u64>,
    rebuilt: MemoryRows,
}

impl Default for World {
    fn default() -> Self {
        Self {
            rows: MemoryRows::default(),
            now_ms: START_MS,
            offset: 0,
            step: Step::default(),
            workflow_tasks: Vec::new(),
            activity_tasks: Vec::new(),
            queues: Vec::new(),
            released_offset: None,
            tombstones_live_ms: TOMBSTONES_LIVE_MS,
            check_compaction: true,
            records: Vec::new(),
            superseded: BTreeSet::new(),
            tombstoned: Vec::new(),
            rebuilt: MemoryRows::default(),
        }
    }
}

impl World {
    /// Takes the next command of the partition.
    pub fn take(&mut self, request: &Request) -> &mut Self {
        let context = Context {
            incarnation: "incarnation".to_owned(),
            partition: 3,
            offset: self.offset,
            timestamp_ms: self.now_ms,
            released_offset: self.released_offset.unwrap_or(self.offset),
            tombstones_gone_ms: self.now_ms + self.tombstones_live_ms,
        };
        self.offset += 1;
        let decided = decide(&Overlay::new(&self.rows), request, &context).unwrap();
        assert_eq!(decided, decide(&self.rows, request, &context).unwrap(), "deciding twice differs");
        self.step = Step::default();
        match decided {
            Decided::Nothing => self.step.nothing = true,
            Decided::Tell(told) => {
                self.step.nothing = true;
                self.step.effects = vec![Effect::Tell(told)];
            }
            Decided::Early { wait_ms } => self.step.early_ms = Some(wait_ms),
            Decided::Change(change) => {
                assert_eq!(change.workflow_id, request.workflow_id, "R1: a command changes its own workflow id");
                let epoch = Epoch { offset: 7, key: "claim".to_owned() };
                self.commit(change.into_transition(epoch, &context));
            }
        }
        self
    }

    fn commit(&mut self, change: Transition) {
        let key = change.key();
        let json = serde_json::to_string(&HistoryRecord::from(change.clone())).unwrap();
        assert!(json.len() <= MESSAGE_BYTES_MAX, "R7: a record of {} bytes does not fit the topic", json.len());
        let applied = write(&mut self.rows, &change);
        assert!(!applied.is_leftover && applied.hole.is_none(), "a record that does not follow: {change:?}");
        self.tombstoned.extend(applied.tombstones.iter().map(|record| record.source_offset));
        for superseded in applied.superseded.into_iter().chain(applied.tombstones) {
            self.superseded.insert(transition_key(&change.workflow_id, superseded.source_offset, &superseded.epoch));
        }
        self.step.effects = effects(&change);
        for effect in self.step.effects.clone() {
            if let Effect::Task { workflow_id, task } = effect {
                self.send(&workflow_id, &task);
            }
        }
        write(&mut self.rebuilt, &read(&json));
        self.check_histories(&change);
        self.records.push((key, json));
        self.step.run_id = change.next_run.as_ref().map_or(change.run_id, |next| Some(next.run_id.clone()));
        self.step.events = change.events;
        self.step.events.extend(change.next_run.into_iter().flat_map(|next| next.events));
        self.step.facts = change.rows;
        assert_same(&self.rows, &self.rebuilt, "state rebuilt from all records is not the state held");
        if self.check_compaction {
            self.compact();
        }
        assert_eq!(audit(&self.rows).unwrap(), Vec::<String>::new(), "state does not agree with itself");
    }

    /// The histories of the runs that a change is about follow the grammar.
    fn check_histories(&self, change: &Transition) {
        let next = change.next_run.as_ref().map(|next| &next.run_id);
        for run_id in change.run_id.iter().chain(next) {
            // One that is deleted has no history any more.
            if find_run(&self.rows, &change.workflow_id, Some(run_id)).unwrap().is_some() {
                grammar::check(&self.whole_history(&change.workflow_id, run_id)).unwrap();
            }
        }
    }

    /// Every event of a run, page by page.
    pub fn whole_history(&self, id: &WorkflowId, run_id: &RunId) -> Vec<HistoryEvent> {
        let mut events = Vec::new();
        let mut from = Some(1);
        while let Some(first) = from {
            let page = history(&self.rows, id, run_id, first, usize::MAX).unwrap().expect("the run is there");
            events.extend(page.events);
            from = page.next_event_id;
        }
        events
    }

    /// Rebuilds state from what compaction leaves, in one overlay.
    pub fn compact(&self) {
        let mut changed = BTreeMap::new();
        let empty = MemoryRows::default();
        for (key, json) in &self.records {
            if !self.superseded.contains(key) {
                let mut overlay = Overlay::with_changes(&empty, changed);
                apply(&mut overlay, &read(json)).unwrap();
                changed = overlay.into_changes();
            }
        }
        let mut rebuilt = MemoryRows::default();
        rebuilt.write(changed.into_iter().collect()).unwrap();
        assert_eq!(audit(&rebuilt).unwrap(), Vec::<String>::new(), "rebuilt state does not agree with itself");
        let (held, rebuilt) = (without_waste(&self.rows), without_waste(&rebuilt));
        assert_same(&held, &rebuilt, "state rebuilt without superseded records is not the state held");
    }

    fn send(&mut self, id: &WorkflowId, task: &TaskId) {
        assert!(is_wanted(&self.rows, id, task).unwrap(), "R18: {task} is sent, but state does not want it");
        match task.kind {
            TaskKind::Workflow => {
                let sent = workflow_task(&self.rows, NAMESPACE, id, task, false).unwrap().expect("wanted");
                self.queues.push(sent.task_queue);
                self.workflow_tasks.push((sent.token, sent.task));
            }
            TaskKind::Activity => {
                let sent = activity_task(&self.rows, NAMESPACE, id, task, false).unwrap().expect("wanted");
                self.queues.push(sent.task_queue);
                self.activity_tasks.push((sent.token, sent.task));
            }
        }
    }

    /// The workflow task that was sent last.
    pub fn workflow_task(&self) -> &(TaskToken, WorkflowTask) {
        self.workflow_tasks.last().expect("no workflow task was sent")
    }

    /// The task that was sent last for an activity `name`, or for its attempt in `name#attempt`.
    pub fn activity_task(&self, name: &str) -> &(TaskToken, ActivityTask) {
        let (id, attempt) = match name.split_once('#') {
            Some((id, attempt)) => (id, Some(attempt.parse::<u32>().unwrap())),
            None => (name, None),
        };
        let mut sent = self.activity_tasks.iter().rev();
        sent.find(|(token, task)| task.activity_id == id && attempt.is_none_or(|attempt| attempt == token.task.attempt))
            .unwrap_or_else(|| panic!("no task was sent for activity {name}"))
    }

    /// Everything that is due at some time, earliest first.
    pub fn due(&self) -> Vec<DueTimer> {
        due_timers(&self.rows, u64::MAX, usize::MAX).unwrap().0
    }

    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// Keys of the records, in order.
    pub fn record_keys(&self) -> impl Iterator<Item = &str> {
        self.records.iter().map(|(key, _)| key.as_str())
    }

    /// The records from a number on.
    pub fn records_from(&self, first: usize) -> Vec<Transition> {
        self.records[first..].iter().map(|(_, json)| read(json)).collect()
    }

    pub fn superseded_count(&self) -> usize {
        self.superseded.len()
    }
}

/// Without what nothing reads any more.
fn without_waste(rows: &MemoryRows) -> MemoryRows {
    let mut kept = rows.clone();
    kept.write(waste(rows).unwrap().into_iter().map(|key| (key, None)).collect()).unwrap();
    kept
}

fn read(json: &str) -> Transition {
    match serde_json::from_str(json) {
        Ok(HistoryRecord::Transition(change)) => change,
        other => panic!("a record that was written cannot be read: {other:?}"),
    }
}

fn write(rows: &mut MemoryRows, change: &Transition) -> tidewright_core::Applied {
    let mut overlay = Overlay::new(&*rows);
    let applied = apply(&mut overlay, change).unwrap();
    let changed = overlay.into_changes();
    rows.write(changed.into_iter().collect()).unwrap();
    applied
}

fn assert_same(held: &MemoryRows, rebuilt: &MemoryRows, what: &str) {
    if held == rebuilt {
        return;
    }
    let keys: BTreeSet<_> = held.all().keys().chain(rebuilt.all().keys()).collect();
    for key in keys {
        let (a, b) = (held.get(key).unwrap(), rebuilt.get(key).unwrap());
        let text = |value: Option<Vec<u8>>| value.map(|value| String::from_utf8_lossy(&value).into_owned());
        assert_eq!(text(a), text(b), "{what}: row {}", String::from_utf8_lossy(key));
    }
}
