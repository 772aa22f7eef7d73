//! Reading typed rows.

use std::ops::Range;

use serde::de::DeserializeOwned;
use tidewright_schemas::{EventId, HistoryEvent, RunId, TaskId, TaskKind, WorkflowId};

use super::deletion::{DeletedRow, HoleRow, RecordRow};
use super::keys::{self, ACCEPTED_REQUEST, ACTIVITY, BUFFERED, EVENT, RECORD, TIMER};
use super::rows::{
    ActivityRow, ActivityState, BufferedRow, DueTimer, RequestRow, RunRow, TimerRow, WorkflowRow, WorkflowTaskState,
};
use super::write::FORMAT;
use crate::{Rows, RowsError};

/// A typed, read-only view of rows.
pub(crate) struct State<'a, R: Rows>(pub(crate) &'a R);

pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, RowsError> {
    let corrupt = |problem: String| RowsError::Corrupt { key: String::from_utf8_lossy(key).into_owned(), problem };
    match value.split_first() {
        Some((&FORMAT, body)) => postcard::from_bytes(body).map_err(|e| corrupt(e.to_string())),
        Some((format, _)) => Err(corrupt(format!("it has format {format}, this version reads {FORMAT}"))),
        None => Err(corrupt("it is empty".to_owned())),
    }
}

fn decode_event(key: &[u8], value: &[u8]) -> Result<HistoryEvent, RowsError> {
    let text: String = decode(key, value)?;
    serde_json::from_str(&text)
        .map_err(|e| RowsError::Corrupt { key: String::from_utf8_lossy(key).into_owned(), problem: e.to_string() })
}

impl<R: Rows> State<'_, R> {
    fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, RowsError> {
        self.0.get(key)?.map(|value| decode(key, &value)).transpose()
    }

    fn scan<T: DeserializeOwned>(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<(u64, T)>, RowsError> {
        let found = self.0.scan(prefix, from, limit)?;
        found.iter().map(|(k, v)| Ok((keys::number_of(k).unwrap_or_default(), decode(k, v)?))).collect()
    }

    pub(crate) fn workflow(&self, id: &WorkflowId) -> Result<Option<WorkflowRow>, RowsError> {
        self.get(&keys::workflow(id))
    }

    pub(crate) fn run(&self, id: &WorkflowId, run_id: &RunId) -> Result<Option<RunRow>, RowsError> {
        self.get(&keys::run(id, run_id))
    }

    /// The run that an earlier start with this request id led to.
    pub(crate) fn request(&self, id: &WorkflowId, request_id: &str) -> Result<Option<RequestRow>, RowsError> {
        self.get(&keys::request(id, request_id))
    }

    /// Whether a run has taken a request with this id.
    pub(crate) fn request_accepted(&self, id: &WorkflowId, run_id: &RunId, request: &str) -> Result<bool, RowsError> {
        Ok(self.0.get(&keys::accepted_request(id, run_id, request))?.is_some())
    }

    /// The latest run of a workflow, of those that are there or of those that are deleted, with the command that started it.
    pub(crate) fn latest(&self, kind: u8, id: &WorkflowId) -> Result<Option<(u64, RunId)>, RowsError> {
        let found = self.scan(&keys::all_in_order(kind, id), &[], 1)?.pop();
        Ok(found.map(|(number, run_id)| (u64::MAX - number, run_id)))
    }

    /// The run that an earlier request with this id has deleted.
    pub(crate) fn deleted_by_request(&self, id: &WorkflowId, request_id: &str) -> Result<Option<RunId>, RowsError> {
        self.get(&keys::delete_request(id, request_id))
    }

    pub(crate) fn deleted(&self, id: &WorkflowId, run_id: &RunId) -> Result<Option<DeletedRow>, RowsError> {
        self.get(&keys::deleted(id, run_id))
    }

    /// The run that the record of a command says is deleted, while that is remembered.
    pub(crate) fn deleted_by_record(&self, id: &WorkflowId, source_offset: u64) -> Result<Option<RunId>, RowsError> {
        self.get(&keys::deleted_by_record(id, source_offset))
    }

    /// The run that the record of a command began, if it is there and not deleted.
    pub(crate) fn started_by_record(&self, id: &WorkflowId, source_offset: u64) -> Result<Option<RunId>, RowsError> {
        self.get(&keys::in_order(keys::BY_ORDER, id, source_offset))
    }

    pub(crate) fn hole(&self, id: &WorkflowId, run_id: &RunId) -> Result<Option<HoleRow>, RowsError> {
        self.get(&keys::hole(id, run_id))
    }

    /// Records that are about a run, by the offsets of their commands.
    pub(crate) fn records(
        &self,
        id: &WorkflowId,
        run_id: &RunId,
        limit: usize,
    ) -> Result<Vec<(u64, RecordRow)>, RowsError> {
        self.scan(&keys::all_of_run(RECORD, id, run_id), &[], limit)
    }

    pub(crate) fn record(
        &self,
        id: &WorkflowId,
        run_id: &RunId,
        source_offset: u64,
    ) -> Result<Option<RecordRow>, RowsError> {
        self.get(&keys::numbered_of_run(RECORD, id, run_id, source_offset))
    }

    /// Keys of the rows of requests that a run has taken.
    pub(crate) fn accepted_requests(
        &self,
        id: &WorkflowId,
        run_id: &RunId,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, RowsError> {
        let rows = self.0.scan(&keys::all_of_run(ACCEPTED_REQUEST, id, run_id), &[], limit)?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    pub(crate) fn origin_seen(&self, id: &WorkflowId, origin: &str) -> Result<bool, RowsError> {
        Ok(self.0.get(&keys::origin(id, origin))?.is_some())
    }

    pub(crate) fn activity(
        &self,
        id: &WorkflowId,
        run: &RunId,
        event: EventId,
    ) -> Result<Option<ActivityRow>, RowsError> {
        self.get(&keys::numbered_of_run(ACTIVITY, id, run, event))
    }

    /// What is open under an id that the workflow gave it; the kind is `ACTIVITY` or `TIMER`.
    pub(crate) fn open_id(
        &self,
        kind: u8,
        id: &WorkflowId,
        run: &RunId,
        given: &str,
    ) -> Result<Option<EventId>, RowsError> {
        self.get(&keys::open_id(kind, id, run, given))
    }

    pub(crate) fn activities(
        &self,
        id: &WorkflowId,
        run: &RunId,
        limit: usize,
    ) -> Result<Vec<(EventId, ActivityRow)>, RowsError> {
        self.activities_from(id, run, 0, limit)
    }

    pub(crate) fn activities_from(
        &self,
        id: &WorkflowId,
        run: &RunId,
        from: EventId,
        limit: usize,
    ) -> Result<Vec<(EventId, ActivityRow)>, RowsError> {
        let from = keys::numbered_of_run(ACTIVITY, id, run, from);
        self.scan(&keys::all_of_run(ACTIVITY, id, run), &from, limit)
    }

    /// What a worker runs for a workflow id, at most so many, by run and event.
    pub(crate) fn started_by(
        &self,
        incarnation: &str,
        id: &WorkflowId,
        limit: usize,
    ) -> Result<Vec<(RunId, EventId)>, RowsError> {
        let prefix = keys::all_started_by_in(incarnation, id);
        let found = self.0.scan(&prefix, &[], limit)?;
        let run_and_event = |key: &[u8]| {
            let run = key.get(prefix.len()..key.len().checked_sub(9)?)?;
            Some((RunId::from_text(std::str::from_utf8(run).ok()?), keys::number_of(key)?))
        };
        Ok(found.iter().filter_map(|(key, _)| run_and_event(key)).collect())
    }

    pub(crate) fn timer(&self, id: &WorkflowId, run: &RunId, event: EventId) -> Result<Option<TimerRow>, RowsError> {
        self.get(&keys::numbered_of_run(TIMER, id, run, event))
    }

    pub(crate) fn timers(
        &self,
        id: &WorkflowId,
        run: &RunId,
        limit: usize,
    ) -> Result<Vec<(EventId, TimerRow)>, RowsError> {
        self.timers_from(id, run, 0, limit)
    }

    pub(crate) fn timers_from(
        &self,
        id: &WorkflowId,
        run: &RunId,
        from: EventId,
        limit: usize,
    ) -> Result<Vec<(EventId, TimerRow)>, RowsError> {
        let from = keys::numbered_of_run(TIMER, id, run, from);
        self.scan(&keys::all_of_run(TIMER, id, run), &from, limit)
    }

    pub(crate) fn buffered(&self, id: &WorkflowId, run: &RunId, number: u64) -> Result<Option<BufferedRow>, RowsError> {
        self.get(&keys::numbered_of_run(BUFFERED, id, run, number))
    }

    /// One event.
    pub(crate) fn event(
        &self,
        id: &WorkflowId,
        run: &RunId,
        event: EventId,
    ) -> Result<Option<HistoryEvent>, RowsError> {
        let key = keys::numbered_of_run(EVENT, id, run, event);
        self.0.get(&key)?.map(|value| decode_event(&key, &value)).transpose()
    }

    /// As [`Self::events`], one by one: cheaper for a few, and for those that this batch has made.
    pub(crate) fn few_events(
        &self,
        id: &WorkflowId,
        run: &RunId,
        wanted: Range<EventId>,
        bytes_max: usize,
    ) -> Result<Vec<HistoryEvent>, RowsError> {
        let mut events = Vec::new();
        let mut bytes = 0;
        for event_id in wanted {
            let key = keys::numbered_of_run(EVENT, id, run, event_id);
            let Some(value) = self.0.get(&key)? else { break };
            bytes += value.len();
            if bytes > bytes_max && !events.is_empty() {
                break;
            }
            events.push(decode_event(&key, &value)?);
        }
        Ok(events)
    }

    /// Events from `from`, at most `limit` events and about `bytes_max` bytes, but at least one.
    pub(crate) fn events(
        &self,
        id: &WorkflowId,
        run: &RunId,
        from: EventId,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<HistoryEvent>, RowsError> {
        let prefix = keys::all_of_run(EVENT, id, run);
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut next = from;
        while events.len() < limit {
            let chunk = (limit - events.len()).min(256);
            let rows = self.0.scan(&prefix, &keys::numbered_of_run(EVENT, id, run, next), chunk)?;
            let last = rows.len() < chunk;
            for (key, value) in rows {
                bytes += value.len();
                if bytes > bytes_max && !events.is_empty() {
                    return Ok(events);
                }
                let event = decode_event(&key, &value)?;
                next = event.event_id + 1;
                events.push(event);
            }
            if last {
                break;
            }
        }
        Ok(events)
    }
}

/// What is due at `now_ms`, earliest first; also when the next thing is due after the last one returned.
pub fn due_timers<R: Rows>(rows: &R, now_ms: u64, limit: usize) -> Result<(Vec<DueTimer>, Option<u64>), RowsError> {
    let mut due = Vec::new();
    for (key, value) in rows.scan(&[keys::DUE], &[], limit.saturating_add(1))? {
        let timer: DueTimer = decode(&key, &value)?;
        if timer.due_ms > now_ms || due.len() == limit {
            return Ok((due, Some(timer.due_ms)));
        }
        due.push(timer);
    }
    Ok((due, None))
}

/// A workflow for which a worker runs something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedIn {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Names the first thing that it runs there: another one once that has ended.
    pub first: Vec<u8>,
    /// From where to look for the next workflow.
    pub next: Vec<u8>,
}

/// The first workflow from `from` on for which a worker runs something; from the beginning if `from` is empty.
pub fn workflow_of_worker<R: Rows>(rows: &R, incarnation: &str, from: &[u8]) -> Result<Option<StartedIn>, RowsError> {
    let prefix = keys::all_started_by(incarnation);
    let Some((first, _)) = rows.scan(&prefix, from, 1)?.pop() else { return Ok(None) };
    let rest = first.get(prefix.len()..).unwrap_or_default();
    let id = rest.split(|byte| *byte == 0).next().and_then(|id| std::str::from_utf8(id).ok());
    let corrupt = || RowsError::Corrupt {
        key: String::from_utf8_lossy(&first).into_owned(),
        problem: "it names no workflow".to_owned(),
    };
    let workflow_id = id.and_then(|id| WorkflowId::new(id).ok()).ok_or_else(corrupt)?;
    // Ids hold no control character, so this is behind all rows of the workflow and before those of any other.
    let next = [prefix.as_slice(), workflow_id.as_str().as_bytes(), &[1]].concat();
    Ok(Some(StartedIn { workflow_id, first, next }))
}

/// Tasks that history waits for and that nobody has started, by the task queue that they are in: what a backlog must
/// hold (R27). Pages through the rows: pass the returned key to go on.
#[expect(clippy::type_complexity, reason = "a page: its tasks and where the next one begins")]
pub fn pending_tasks<R: Rows>(
    rows: &R,
    kind: TaskKind,
    from: &[u8],
    limit: usize,
) -> Result<(Vec<(WorkflowId, String, TaskId)>, Option<Vec<u8>>), RowsError> {
    let prefix = match kind {
        TaskKind::Workflow => [keys::RUN],
        TaskKind::Activity => [keys::ACTIVITY],
    };
    let page = rows.scan(&prefix, from, limit)?;
    let next = (page.len() == limit).then(|| page.last().map(|(key, _)| [key.as_slice(), &[0]].concat())).flatten();
    let mut tasks = Vec::new();
    for (key, value) in page {
        let Some((workflow_id, run_id)) = keys::ids_in(&key) else { continue };
        let found = match kind {
            TaskKind::Workflow => match decode::<RunRow>(&key, &value)? {
                RunRow {
                    workflow_task: WorkflowTaskState::Out { attempt, scheduled_event_id, .. },
                    task_queue,
                    ..
                } => Some((task_queue, scheduled_event_id, attempt)),
                _ => None,
            },
            TaskKind::Activity => match decode::<ActivityRow>(&key, &value)? {
                ActivityRow { state: ActivityState::Dispatched, task_queue, attempt, .. } => {
                    Some((task_queue, keys::number_of(&key).unwrap_or_default(), attempt))
                }
                _ => None,
            },
        };
        if let Some((task_queue, scheduled_event_id, attempt)) = found {
            tasks.push((workflow_id, task_queue, TaskId { kind, run_id, scheduled_event_id, attempt }));
        }
    }
    Ok((tasks, next))
}
