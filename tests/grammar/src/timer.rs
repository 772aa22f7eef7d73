//! Timers: started, then fired or cancelled. One that fired while its workflow decided to cancel it is told as both.

use std::collections::BTreeMap;

use tidewright_schemas::EventId;

use crate::{Checked, require};

#[derive(Default)]
pub(crate) struct Timers(BTreeMap<EventId, Timer>);

struct Timer {
    id: String,
    due_ms: u64,
    /// Its `TimerFired`.
    fired: Option<EventId>,
    canceled: bool,
}

impl Timers {
    pub(crate) fn started(&mut self, event_id: EventId, id: &str, due_ms: u64) {
        self.0.insert(event_id, Timer { id: id.to_owned(), due_ms, fired: None, canceled: false });
    }

    pub(crate) fn fired(&mut self, started: EventId, id: &str, (event_id, time_ms): (EventId, u64)) -> Checked {
        let timer = self.find(started, id)?;
        require(timer.fired.is_none(), || format!("timer `{id}` has fired before"))?;
        require(time_ms >= timer.due_ms, || format!("timer `{id}` fires at {time_ms}, before {}", timer.due_ms))?;
        timer.fired = Some(event_id);
        Ok(())
    }

    /// Decided by the workflow task that completed with the event `completed`.
    pub(crate) fn canceled(&mut self, started: EventId, id: &str, completed: EventId) -> Checked {
        let timer = self.find(started, id)?;
        require(!timer.canceled, || format!("timer `{id}` was cancelled before"))?;
        let known = timer.fired.is_some_and(|fired| fired < completed);
        require(!known, || format!("timer `{id}` had fired when the workflow decided"))?;
        timer.canceled = true;
        Ok(())
    }

    fn find(&mut self, started: EventId, id: &str) -> Result<&mut Timer, String> {
        self.0
            .get_mut(&started)
            .filter(|timer| timer.id == id)
            .ok_or_else(|| format!("event {started} did not start timer `{id}`"))
    }
}
