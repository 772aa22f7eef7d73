//! Does a partition's state agree with itself? For tests, the simulator and whoever doubts a state directory.
//!
//! Everything here is derived twice: once by [`crate::apply`], step by step, and once here, from the rows as they stand.

mod deletion;

use std::collections::BTreeSet;

pub use deletion::waste;
use tidewright_schemas::{EventAttributes, EventId, RunId, WorkflowId};

use crate::state::keys::{self, ACTIVITY, BUFFERED, DUE, OPEN_ID, RUN, STARTED_BY, TIMER};
use crate::state::{
    ActivityRow, DueTimer, RunRow, State, TimerRow, WorkflowTaskState, activity_timers, decode, run_timers, started_by,
    timer_of,
};
use crate::{Rows, RowsError};

/// What is wrong, in words; nothing if all is well. Reads every row of the partition.
pub fn audit<R: Rows>(rows: &R) -> Result<Vec<String>, RowsError> {
    let mut audit = Audit { rows, expected: BTreeSet::new(), started: BTreeSet::new(), problems: Vec::new() };
    let mut numbered = 0;
    for (key, value) in rows.scan(&[RUN], &[], usize::MAX)? {
        let Some((id, run_id)) = keys::ids_in(&key) else {
            audit.problems.push(format!("the key {} names no run", String::from_utf8_lossy(&key)));
            continue;
        };
        let run: RunRow = decode(&key, &value)?;
        numbered += audit.run(&id, &run_id, &run)?;
    }
    let mut held = 0;
    for kind in [ACTIVITY, TIMER, BUFFERED] {
        held += rows.scan(&[kind], &[], usize::MAX)?.len();
    }
    if held != numbered {
        audit.problems.push(format!("{held} activities, timers and buffered rows are held, runs have {numbered}"));
    }
    audit.deletions()?;
    audit.due()?;
    audit.started()?;
    Ok(audit.problems)
}

struct Audit<'a, R> {
    rows: &'a R,
    expected: BTreeSet<DueTimer>,
    started: BTreeSet<Vec<u8>>,
    problems: Vec<String>,
}

impl<R: Rows> Audit<'_, R> {
    /// Looks at one run; says how many rows it has beside its history.
    fn run(&mut self, id: &WorkflowId, run_id: &RunId, run: &RunRow) -> Result<usize, RowsError> {
        let state = State(self.rows);
        let activities = state.activities(id, run_id, usize::MAX)?;
        let timers = state.timers(id, run_id, usize::MAX)?;
        let buffered = self.rows.scan(&keys::all_of_run(BUFFERED, id, run_id), &[], usize::MAX)?.len();
        let name = format!("run {run_id} of `{id}`");
        self.equal(&name, "open activities", u64::from(run.open_activities), activities.len() as u64);
        self.equal(&name, "open timers", u64::from(run.open_timers), timers.len() as u64);
        self.equal(&name, "buffered rows", run.buffered.1.wrapping_sub(run.buffered.0), buffered as u64);
        self.history(&name, id, run_id, run)?;
        self.lifecycle(&name, run, &activities, &timers, buffered);
        self.expect(id, run_id, 0, run_timers(run));
        for (event_id, row) in &activities {
            self.expect(id, run_id, *event_id, activity_timers(row));
            self.started.extend(started_by(row).map(|by| keys::started_by(by, id, run_id, *event_id)));
            self.open_id(id, run_id, (ACTIVITY, &row.activity_id), *event_id)?;
        }
        for (event_id, row) in &timers {
            self.expect(id, run_id, *event_id, timer_of(row));
            self.open_id(id, run_id, (TIMER, &row.timer_id), *event_id)?;
        }
        let ids = self.rows.scan(&keys::all_of_run(OPEN_ID, id, run_id), &[], usize::MAX)?.len();
        self.equal(&name, "ids of what is open", ids as u64, (activities.len() + timers.len()) as u64);
        Ok(activities.len() + timers.len() + buffered)
    }

    /// What is open is found by the id that the workflow gave it.
    fn open_id(
        &mut self,
        id: &WorkflowId,
        run_id: &RunId,
        (kind, given): (u8, &str),
        event_id: EventId,
    ) -> Result<(), RowsError> {
        if State(self.rows).open_id(kind, id, run_id, given)? != Some(event_id) {
            self.problems.push(format!("run {run_id} of `{id}` does not find `{given}` of event {event_id} by its id"));
        }
        Ok(())
    }

    fn equal(&mut self, name: &str, what: &str, counted: u64, found: u64) {
        if counted != found {
            self.problems.push(format!("{name} counts {counted} {what} and has {found}"));
        }
    }

    fn history(&mut self, name: &str, id: &WorkflowId, run_id: &RunId, run: &RunRow) -> Result<(), RowsError> {
        let events = State(self.rows).events(id, run_id, 1, usize::MAX, usize::MAX)?;
        if events.iter().map(|event| event.event_id).ne(1..run.next_event_id) {
            self.problems.push(format!("the history of {name} is not gapless up to event {}", run.next_event_id - 1));
        }
        let starts =
            events.iter().filter(|event| matches!(event.attributes, EventAttributes::WorkflowExecutionStarted(_)));
        if starts.count() != 1 {
            self.problems.push(format!("{name} does not begin exactly once"));
        }
        let latest_ms = events.iter().map(|event| event.event_time_ms).max().unwrap_or_default();
        if latest_ms > run.time_ms {
            self.problems.push(format!("an event of {name} is later than its time"));
        }
        Ok(())
    }

    fn lifecycle(
        &mut self,
        name: &str,
        run: &RunRow,
        activities: &[(EventId, ActivityRow)],
        timers: &[(EventId, TimerRow)],
        buffered: usize,
    ) {
        if run.workflow_task == WorkflowTaskState::Idle && buffered > 0 {
            self.problems.push(format!("{name} waits for no workflow task, but {buffered} rows are buffered"));
        }
        if !run.is_open() {
            let attached = activities.iter().filter(|(_, row)| !row.detached).count();
            if attached + timers.len() + buffered > 0 || run.workflow_task != WorkflowTaskState::Idle {
                self.problems.push(format!("{name} is closed and still has something open"));
            }
        }
    }

    fn expect(
        &mut self,
        id: &WorkflowId,
        run_id: &RunId,
        event_id: EventId,
        timers: Vec<(tidewright_schemas::TimerTarget, u32, u64)>,
    ) {
        self.expected.extend(timers.into_iter().map(|(target, attempt, due_ms)| DueTimer {
            workflow_id: id.clone(),
            run_id: run_id.clone(),
            target,
            event_id,
            attempt,
            due_ms,
        }));
    }

    /// So does the index of who runs what.
    fn started(&mut self) -> Result<(), RowsError> {
        let held: BTreeSet<_> =
            self.rows.scan(&[STARTED_BY], &[], usize::MAX)?.into_iter().map(|(key, _)| key).collect();
        if held != self.started {
            let (held, should) = (held.len(), self.started.len());
            self.problems.push(format!("the index of who runs what has {held} rows and not the {should} that follow"));
        }
        Ok(())
    }

    /// The index of what is due follows from the rows, and from nothing else.
    fn due(&mut self) -> Result<(), RowsError> {
        let mut held = BTreeSet::new();
        for (key, value) in self.rows.scan(&[DUE], &[], usize::MAX)? {
            held.insert(decode::<DueTimer>(&key, &value)?);
        }
        for missing in self.expected.difference(&held) {
            self.problems.push(format!("{missing:?} is not in the index of what is due"));
        }
        for stale in held.difference(&self.expected) {
            self.problems.push(format!("{stale:?} is in the index of what is due, and nothing waits for it"));
        }
        Ok(())
    }
}
