//! Applies changes that are no events.

use tidewright_schemas::{EventBuffered, RowFact};

use super::{ApplyError, Applying, activity, events, workflow_task};
use crate::rows::Rows;
use crate::state::BufferedRow;

pub(super) fn apply<R: Rows>(applying: &mut Applying<'_, R>, fact: &RowFact) -> Result<(), ApplyError> {
    match fact {
        RowFact::EventBuffered(buffered) => buffer(applying, buffered),
        RowFact::BufferFlushed(flushed) => {
            // A run that closed in this record has dropped its buffer already.
            let (first, end) = applying.run.buffered;
            let next = first.saturating_add(flushed.count).min(end);
            for number in first..next {
                applying.writer.buffered(number, None)?;
            }
            applying.run.buffered.0 = next;
            Ok(())
        }
        RowFact::WorkflowTaskDispatched(task) => {
            workflow_task::dispatched(applying, task);
            Ok(())
        }
        RowFact::WorkflowTaskRetryScheduled(retry) => {
            workflow_task::retry_scheduled(applying, retry);
            Ok(())
        }
        RowFact::WorkflowTaskDelivered(delivered) => {
            workflow_task::delivered(applying, delivered);
            Ok(())
        }
        RowFact::ActivityDelivered(delivered) => activity::delivered(applying, delivered),
        RowFact::ActivityStarted(started) => activity::started(applying, started),
        RowFact::ActivityHeartbeatRecorded(heartbeat) => activity::heartbeat(applying, heartbeat),
        RowFact::ActivityRetryScheduled(retry) => activity::retry_scheduled(applying, retry),
        RowFact::ActivityDispatched(task) => activity::dispatched(applying, task),
        RowFact::DetachedActivityClosed(closed) => activity::closed(applying, closed.scheduled_event_id),
        RowFact::RequestAttached(attached) => {
            applying.writer.remember_request(&attached.request_id, false)?;
            Ok(())
        }
        // What was said to others is no state; the origin is remembered by the caller, for it needs no run.
        RowFact::Answered(_) | RowFact::DeadLettered(_) | RowFact::OriginSeen(_) | RowFact::WorkersTold(_) => Ok(()),
        // A record that holds one of these is applied as a whole by `deletion`.
        RowFact::RunDeleted(_) | RowFact::DeletionAdvanced(_) | RowFact::RunForgotten(_) => Ok(()),
    }
}

fn buffer<R: Rows>(applying: &mut Applying<'_, R>, buffered: &EventBuffered) -> Result<(), ApplyError> {
    let row = BufferedRow { events: buffered.events.clone() };
    let number = applying.run.buffered.1;
    applying.writer.buffered(number, Some(&row))?;
    applying.run.buffered.1 += 1;
    for event in &buffered.events {
        applying.run.time_ms = applying.run.time_ms.max(event.event_time_ms);
        events::change_state(applying, event)?;
    }
    Ok(())
}
