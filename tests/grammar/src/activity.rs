//! Activities: scheduled, then closed once, with the start of the closing attempt right before.

use std::collections::BTreeSet;

use tidewright_schemas::{EventAttributes, EventId};

use crate::{Checked, require};

#[derive(Default)]
pub(crate) struct Activities {
    /// `ActivityTaskScheduled` of those that are open.
    open: BTreeSet<EventId>,
    /// The last event, if it says that an attempt began: its outcome follows.
    begun: Option<Begun>,
}

struct Begun {
    event_id: EventId,
    scheduled: EventId,
}

impl Activities {
    pub(crate) fn scheduled(&mut self, event_id: EventId) {
        self.open.insert(event_id);
    }

    pub(crate) fn started(&mut self, event_id: EventId, scheduled: EventId, attempt: u32) -> Checked {
        require(attempt > 0, || "attempts count from 1".to_owned())?;
        require(self.open.contains(&scheduled), || format!("activity {scheduled} is not open"))?;
        self.begun = Some(Begun { event_id, scheduled });
        Ok(())
    }

    /// An attempt's start is told together with the activity's end, and with nothing in between.
    pub(crate) fn ends_what_it_began(&self, next: &EventAttributes) -> Checked {
        let Some(begun) = &self.begun else { return Ok(()) };
        let scheduled = match next {
            EventAttributes::ActivityTaskCompleted(e) => Some(e.scheduled_event_id),
            EventAttributes::ActivityTaskFailed(e) => Some(e.scheduled_event_id),
            EventAttributes::ActivityTaskTimedOut(e) => Some(e.scheduled_event_id),
            _ => None,
        };
        require(scheduled == Some(begun.scheduled), || {
            format!("the end of activity {} should follow its start", begun.scheduled)
        })
    }

    pub(crate) fn ended(&mut self, scheduled: EventId, started: EventId) -> Checked {
        require(self.open.remove(&scheduled), || format!("activity {scheduled} is not open"))?;
        let begun = self.begun.take().map_or(0, |begun| begun.event_id);
        require(started == begun, || format!("it names the start {started}, which is {begun}"))
    }

    pub(crate) fn finish(&self) -> Checked {
        require(self.begun.is_none(), || "the activity's end should follow its start".to_owned())
    }
}
