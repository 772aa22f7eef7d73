//! Activities: scheduled, then closed once, with the start of the closing attempt right before.

use std::collections::BTreeMap;

use tidewright_schemas::{EventAttributes, EventId};

use crate::{Checked, require};

#[derive(Default)]
pub(crate) struct Activities {
    /// By their `ActivityTaskScheduled`.
    known: BTreeMap<EventId, Activity>,
    /// The last event, if it says that an attempt began: its outcome follows.
    begun: Option<Begun>,
}

#[derive(Default)]
struct Activity {
    /// Its `ActivityTaskCancelRequested`.
    cancel_requested: Option<EventId>,
    /// The event that closed it.
    ended: Option<EventId>,
}

struct Begun {
    event_id: EventId,
    scheduled: EventId,
}

impl Activities {
    pub(crate) fn scheduled(&mut self, event_id: EventId) {
        self.known.insert(event_id, Activity::default());
    }

    pub(crate) fn started(&mut self, event_id: EventId, scheduled: EventId, attempt: u32) -> Checked {
        require(attempt > 0, || "attempts count from 1".to_owned())?;
        self.open(scheduled)?;
        self.begun = Some(Begun { event_id, scheduled });
        Ok(())
    }

    /// An attempt's start is told together with the activity's end, and with nothing in between.
    pub(crate) fn ends_what_it_began(&self, next: &EventAttributes) -> Checked {
        let Some(begun) = &self.begun else { return Ok(()) };
        require(next.closes_activity() == Some(begun.scheduled), || {
            format!("the end of activity {} should follow its start", begun.scheduled)
        })
    }

    pub(crate) fn ended(&mut self, event_id: EventId, scheduled: EventId, started: EventId) -> Checked {
        self.open(scheduled)?.ended = Some(event_id);
        let begun = self.begun.take().map_or(0, |begun| begun.event_id);
        require(started == begun, || format!("it names the start {started}, which is {begun}"))
    }

    /// A workflow may ask for what has ended while its task was out: a run's end stands behind what was told meanwhile.
    pub(crate) fn cancel_requested(
        &mut self,
        event_id: EventId,
        scheduled: EventId,
        task_completed: EventId,
    ) -> Checked {
        let activity = self.known.get_mut(&scheduled).ok_or_else(|| format!("there is no activity {scheduled}"))?;
        require(activity.ended.is_none_or(|ended| ended > task_completed), || {
            format!("activity {scheduled} had ended, and its workflow knew")
        })?;
        let before = activity.cancel_requested.replace(event_id);
        require(before.is_none(), || format!("activity {scheduled} was asked to end before"))
    }

    pub(crate) fn canceled(&mut self, scheduled: EventId, requested: EventId) -> Checked {
        let asked = self.open(scheduled)?.cancel_requested;
        require(asked == Some(requested), || format!("it names the request {requested}, which is {asked:?}"))
    }

    fn open(&mut self, scheduled: EventId) -> Result<&mut Activity, String> {
        let open = self.known.get_mut(&scheduled).filter(|activity| activity.ended.is_none());
        open.ok_or_else(|| format!("activity {scheduled} is not open"))
    }

    pub(crate) fn finish(&self) -> Checked {
        require(self.begun.is_none(), || "the activity's end should follow its start".to_owned())
    }
}
