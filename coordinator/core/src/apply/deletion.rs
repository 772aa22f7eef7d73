//! Deletion in state (R31): a run is gone at once for everybody who asks; its rows go step by step, each step after the
//! tombstones of the records that it is about.
//!
//! A history that was compacted meanwhile may lack any of the run's records. So every step says where it ends rather
//! than how much it takes, and removes what is there.

use tidewright_schemas::{
    DeletionAdvanced, EventId, RowFact, RunDeleted, RunId, Transition, WorkflowId, parse_transition_key,
};

use super::{Applied, ApplyError, changed_run, close};
use crate::rows::{Overlay, Rows, RowsError};
use crate::state::write::RunWriter;
use crate::state::{DeletedRow, Shared, State, SupersededRecord};

/// How many rows of requests that the run has taken go in one step.
pub(crate) const REQUESTS_PER_STEP: usize = 1_000;

/// A change that is about a run that is deleted.
pub(super) enum Deletion<'a> {
    Begins(&'a RunDeleted),
    Advances(&'a DeletionAdvanced),
    Ends,
}

impl<'a> Deletion<'a> {
    pub(super) fn of(change: &'a Transition) -> Option<Self> {
        change.rows.iter().find_map(|fact| match fact {
            RowFact::RunDeleted(deleted) => Some(Self::Begins(deleted)),
            RowFact::DeletionAdvanced(step) => Some(Self::Advances(step)),
            RowFact::RunForgotten(_) => Some(Self::Ends),
            _ => None,
        })
    }
}

pub(super) fn apply<R: Rows>(
    writer: RunWriter<'_, R>,
    change: &Transition,
    deletion: &Deletion<'_>,
) -> Result<Applied, ApplyError> {
    match deletion {
        Deletion::Begins(deleted) => begin(writer, change, deleted),
        Deletion::Advances(step) => advance(writer, change, step),
        Deletion::Ends => end(writer),
    }
}

fn this_record(change: &Transition) -> SupersededRecord {
    SupersededRecord { source_offset: change.source_offset, epoch: change.epoch.clone() }
}

fn begin<R: Rows>(
    mut writer: RunWriter<'_, R>,
    change: &Transition,
    deleted: &RunDeleted,
) -> Result<Applied, ApplyError> {
    let mut applied = Applied::default();
    if let Some(mut run) = writer.state().run(&writer.workflow_id, &writer.run_id)? {
        close::remove_open(&mut writer, &run, |_| true)?;
        writer.remove_run(&run)?;
        let end = change.events.last().and_then(|event| Some((event.attributes.closes_as()?, event.event_time_ms)));
        if let Some((status, time_ms)) = end.filter(|_| run.is_open()) {
            run.status = status;
            run.close_time_ms = Some(time_ms);
            applied.changed_runs.push(changed_run(&writer.run_id, &run));
        }
    }
    // Whatever a compacted history lacks of it does not matter any more (R13).
    writer.hole(None)?;
    if let Some(request_id) = &deleted.request_id {
        writer.delete_request(request_id, true)?;
    }
    let row = DeletedRow::new(this_record(change), deleted, change.origin().map(str::to_owned));
    writer.deleted(None, Some(&row))?;
    Ok(applied)
}

fn advance<R: Rows>(
    mut writer: RunWriter<'_, R>,
    change: &Transition,
    step: &DeletionAdvanced,
) -> Result<Applied, ApplyError> {
    let (id, run_id) = (writer.workflow_id.clone(), writer.run_id.clone());
    let Some(row) = writer.state().deleted(&id, &run_id)? else {
        return Ok(Applied::leftover());
    };
    let mut applied = Applied::default();
    for event_id in row.events.0..step.events_below {
        writer.remove_event(event_id);
    }
    for (source_offset, record) in writer.state().records(&id, &run_id, usize::MAX)? {
        if source_offset >= step.records_below {
            break;
        }
        if let Some(request_id) = &record.request_id {
            writer.forget_request(request_id)?;
        }
        if !is_needed(&writer.state(), &id, record.shared.as_ref().map(Shared::other), source_offset)? {
            // Where its command was forwarded from, this step says again (R9): until that is committed, the record says it.
            let after = if record.origin.is_some() { &mut applied.superseded } else { &mut applied.tombstones };
            after.push(SupersededRecord { source_offset, epoch: record.epoch });
        }
        writer.remove_record(source_offset);
    }
    let requests_max = if step.is_last { usize::MAX } else { REQUESTS_PER_STEP };
    for key in writer.state().accepted_requests(&id, &run_id, requests_max)? {
        writer.remove_row(key);
    }
    let mut after = row.advanced(step);
    applied.superseded.extend(after.superseded.take());
    // One that says something else, too, stays: nothing repeats that.
    after.superseded = (change.rows.len() == 1).then(|| this_record(change));
    writer.deleted(Some(&row), Some(&after))?;
    for released in &step.released {
        let mut of_other =
            RunWriter { overlay: writer.overlay, workflow_id: id.clone(), run_id: released.run_id.clone() };
        if let Some(other) = of_other.state().deleted(&id, &released.run_id)?.filter(|other| other.is_held) {
            of_other.deleted(Some(&other), Some(&other.let_go(released.due_ms)))?;
        }
    }
    Ok(applied)
}

/// Whether another run that is not deleted, or not as far, has the record, too: the last of them tombstones it.
pub(crate) fn is_needed<R: Rows>(
    state: &State<'_, R>,
    id: &WorkflowId,
    other: Option<&RunId>,
    source_offset: u64,
) -> Result<bool, RowsError> {
    match other {
        Some(other) => Ok(state.record(id, other, source_offset)?.is_some()),
        None => Ok(false),
    }
}

/// Its tombstones come after it: then the one of the record that began the deletion says that it has ended, to whoever
/// comes when this record is gone already (see [`apply_tombstone`]).
fn end<R: Rows>(mut writer: RunWriter<'_, R>) -> Result<Applied, ApplyError> {
    let Some(row) = writer.state().deleted(&writer.workflow_id, &writer.run_id)? else {
        return Ok(Applied::leftover());
    };
    forget(&mut writer, &row)?;
    let superseded = [Some(row.record), row.superseded].into_iter().flatten().collect();
    Ok(Applied { superseded, ..Applied::default() })
}

fn forget<R: Rows>(writer: &mut RunWriter<'_, R>, row: &DeletedRow) -> Result<(), RowsError> {
    // The steps that removed them may be compacted away.
    remove_rows(writer, row.events)?;
    if let Some(request_id) = &row.request_id {
        let deleted = writer.state().deleted_by_request(&writer.workflow_id, request_id)?;
        // Where only the tombstone tells of the end, the request may have deleted another run meanwhile.
        if deleted.as_ref() == Some(&writer.run_id) {
            writer.delete_request(request_id, false)?;
        }
    }
    writer.deleted(Some(row), None)
}

/// Takes the tombstone of a record, which may be all that is left of a deletion (R31): compaction may take the records
/// that tell of one while an older state comes back, or while a history is read from its start.
///
/// | the tombstone of | says |
/// |---|---|
/// | a [`RunDeleted`] | the deletion is forgotten: it stands above every state that may have missed that |
/// | the start of a run that is still there | the run is deleted: nothing else takes a start back |
pub fn apply_tombstone<R: Rows>(overlay: &mut Overlay<R>, key: &str) -> Result<(), ApplyError> {
    let Some((workflow_id, source_offset, epoch)) = parse_transition_key(key) else { return Ok(()) };
    let state = State(&*overlay);
    if let Some(run_id) = state.deleted_by_record(&workflow_id, source_offset)? {
        let mut writer = RunWriter { overlay, workflow_id, run_id };
        let row = writer.state().deleted(&writer.workflow_id, &writer.run_id)?;
        if let Some(row) = row.filter(|row| row.record.epoch == epoch) {
            forget(&mut writer, &row)?;
        }
        return Ok(());
    }
    let Some(run_id) = state.started_by_record(&workflow_id, source_offset)? else { return Ok(()) };
    let record = state.record(&workflow_id, &run_id, source_offset)?;
    let run = state.run(&workflow_id, &run_id)?;
    if let (Some(run), true) = (run, record.is_some_and(|record| record.epoch == epoch)) {
        let mut writer = RunWriter { overlay, workflow_id, run_id };
        close::remove_open(&mut writer, &run, |_| true)?;
        writer.remove_run(&run)?;
        writer.hole(None)?;
        remove_rows(&mut writer, (1, run.next_event_id))?;
    }
    Ok(())
}

/// Removes what a deletion removes step by step: rows of these events, of records and of requests.
fn remove_rows<R: Rows>(writer: &mut RunWriter<'_, R>, events: (EventId, EventId)) -> Result<(), RowsError> {
    let (id, run_id) = (writer.workflow_id.clone(), writer.run_id.clone());
    for event_id in events.0..events.1 {
        writer.remove_event(event_id);
    }
    for (source_offset, record) in writer.state().records(&id, &run_id, usize::MAX)? {
        if let Some(request_id) = &record.request_id {
            writer.forget_request(request_id)?;
        }
        writer.remove_record(source_offset);
    }
    for key in writer.state().accepted_requests(&id, &run_id, usize::MAX)? {
        writer.remove_row(key);
    }
    Ok(())
}
