//! Shows orders as they advance: the events of their histories, as they are committed.

use std::time::{Duration, Instant};

use tidewright_runtime::{Engine, Route};
use tidewright_schemas::{EventAttributes, EventId, HistoryEvent, Payload, WorkflowId};

use super::orders::DemoOrder;
use crate::error::CliError;
use crate::output::{one_line, print};
use crate::workflow::{ActivityTypes as _, Scheduled, failure_line, payload_text};

/// How often histories are looked at.
const INTERVAL: Duration = Duration::from_millis(30);
/// How much of an activity's result a line shows.
const RESULT_SHOWN: usize = 60;
/// Events that are read at a time.
const EVENTS: usize = 100;

/// How far each order was seen.
pub(super) struct Watch<'a> {
    engine: &'a Engine,
    began: Instant,
    orders: Vec<Seen<'a>>,
}

struct Seen<'a> {
    order: &'a DemoOrder,
    next: EventId,
    scheduled: Scheduled,
    has_ended: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(engine: &'a Engine, orders: &'a [DemoOrder]) -> Self {
        let seen = |order| Seen { order, next: 1, scheduled: Scheduled::default(), has_ended: false };
        Self { engine, began: Instant::now(), orders: orders.iter().map(seen).collect() }
    }

    /// Prints what is new.
    fn look(&mut self) -> Result<(), CliError> {
        let elapsed = self.began.elapsed();
        for seen in self.orders.iter_mut().filter(|seen| !seen.has_ended) {
            let id = seen.order.workflow_id();
            for event in events(self.engine, &id, seen.next)? {
                seen.next = event.event_id + 1;
                seen.scheduled.note(&event);
                if let Some(line) = seen.line(&event) {
                    print(&format!("  {:5.2} s  {id}  {line}\n", elapsed.as_secs_f64()))?;
                }
            }
        }
        Ok(())
    }
}

/// Watches until every order has ended.
pub(super) async fn all(mut watch: Watch<'_>) -> Result<(), CliError> {
    loop {
        watch.look()?;
        if watch.orders.iter().all(|seen| seen.has_ended) {
            return print("\n");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn events(engine: &Engine, id: &str, from: EventId) -> Result<Vec<HistoryEvent>, CliError> {
    let id = WorkflowId::new(id).map_err(|e| CliError::plain(e.to_string()))?;
    // What cannot be read right now is looked at again.
    let Route::Local(partition) = engine.route(&id) else { return Ok(Vec::new()) };
    match partition.history(&id, None, from, EVENTS) {
        Ok(page) => Ok(page.map(|page| page.events).unwrap_or_default()),
        Err(tidewright_runtime::ReadError::NotOwned) => Ok(Vec::new()),
        Err(error) => Err(CliError::coded("TW0709", error.to_string())),
    }
}

impl Seen<'_> {
    fn line(&mut self, event: &HistoryEvent) -> Option<String> {
        use EventAttributes as E;
        let activity = |id: EventId| self.scheduled.activity_type(id).unwrap_or("an activity").to_owned();
        let outcome = |result: &Payload| one_line(&payload_text(result), RESULT_SHOWN);
        Some(match &event.attributes {
            E::WorkflowExecutionStarted(_) if self.order.about.is_empty() => "· started".to_owned(),
            E::WorkflowExecutionStarted(_) => format!("· started ({})", self.order.about),
            E::ActivityTaskScheduled(scheduled) => format!("  {} …", scheduled.activity_type),
            E::ActivityTaskStarted(started) if started.attempt > 1 => {
                let why = started.last_failure.as_ref().map(failure_line).unwrap_or_default();
                format!("↻ {}, attempt {} after: {why}", activity(started.scheduled_event_id), started.attempt)
            }
            E::ActivityTaskCompleted(done) => {
                format!(
                    "✓ {} {}",
                    activity(done.scheduled_event_id),
                    done.result.as_ref().map(outcome).unwrap_or_default()
                )
            }
            E::ActivityTaskFailed(failed) => {
                let cause = failed.failure.cause.as_deref().unwrap_or(&failed.failure);
                format!("✗ {}: {}", activity(failed.scheduled_event_id), failure_line(cause))
            }
            E::WorkflowExecutionCompleted(_) => {
                self.has_ended = true;
                "■ completed".to_owned()
            }
            E::WorkflowExecutionFailed(failed) => {
                self.has_ended = true;
                format!("■ failed: {}", failure_line(&failed.failure))
            }
            _ => return None,
        })
    }
}
