//! A run's history as it grows.

use std::collections::VecDeque;
use std::time::Duration;

use tidewright_schemas::api::{HistoryPage, WorkflowStatus};
use tidewright_schemas::{EventId, HistoryEvent, Payload, RunId};

use crate::error::ReadError;
use crate::handle::WorkflowHandle;

/// How long a node is asked to wait for an event before it says that there is none yet.
const EVENT_WAIT: Duration = Duration::from_secs(30);

/// A run's history, from its beginning to its end, as it grows: see [`WorkflowHandle::follow`].
#[derive(Debug)]
#[must_use = "nothing is read unless the next event is asked for"]
pub struct HistoryFollower<O = Payload, S = ()> {
    handle: WorkflowHandle<O, S>,
    next_event_id: EventId,
    ready: VecDeque<HistoryEvent>,
    /// Whether what is ready is all that there will ever be.
    is_whole: bool,
}

impl<O, S> HistoryFollower<O, S> {
    pub(crate) fn new(handle: WorkflowHandle<O, S>) -> Self {
        Self { handle, next_event_id: 1, ready: VecDeque::new(), is_whole: false }
    }

    /// The run that is followed; empty until the first event is there if the handle names none.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.handle.run_id()
    }

    /// The next event, once it is there, whichever node owns the run by then; none after the event that closes the run.
    /// Cancelling it loses nothing. A run that is deleted meanwhile is [`ReadError::NotFound`].
    pub async fn next(&mut self) -> Result<Option<HistoryEvent>, ReadError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.is_whole {
                return Ok(None);
            }
            let query = vec![
                ("from_event_id", self.next_event_id.to_string()),
                ("wait_ms", EVENT_WAIT.as_millis().to_string()),
            ];
            let page: HistoryPage = self.handle.read("/history", query, EVENT_WAIT, None).await?;
            self.take(page);
        }
    }

    fn take(&mut self, page: HistoryPage) {
        // The pages that follow are of the same run, even if another one begins meanwhile.
        self.handle.run_id = Some(RunId::from_text(page.run_id.as_str()));
        self.is_whole = page.status != WorkflowStatus::Running && page.next_event_id.is_none();
        if let Some(last) = page.events.last() {
            self.next_event_id = last.event_id + 1;
        }
        self.ready.extend(page.events);
    }
}
