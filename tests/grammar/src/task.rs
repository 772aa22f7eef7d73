//! Workflow tasks, and what stands between them.

use tidewright_schemas::{EventId, WorkflowTaskFailedCause};

use crate::{Checked, require};

#[derive(Default)]
pub(crate) struct Tasks {
    state: State,
}

enum State {
    /// None is in the history. The next is a first attempt, or not.
    Between { retries: Retries },
    /// `WorkflowTaskScheduled` was the last event.
    Scheduled { event_id: EventId, attempt: u32, tells_failure: bool },
    /// `WorkflowTaskStarted` was the last event.
    Started { scheduled: EventId, event_id: EventId, attempt: u32, tells_failure: bool },
    /// A worker advanced the run: what it decided follows.
    Completed { event_id: EventId, stretch: Stretch },
    /// The run is being ended while a task was out.
    ForceClosed,
}

/// Which attempt the next task is.
#[derive(Clone, Copy, PartialEq)]
enum Retries {
    /// The first one.
    No,
    /// The second one, or a later one.
    Yes,
    /// The same, and the second one's failure is an event, too: the first had nothing but the history missing.
    Untold,
}

/// What has followed a completion so far.
#[derive(Clone, Copy, PartialEq)]
enum Stretch {
    Nothing,
    Decisions,
    /// Nothing is decided any more, unless nothing was before: then the decisions end the run.
    Told {
        decisions: bool,
    },
    /// Decisions that end the run.
    Closing,
}

impl Default for State {
    fn default() -> Self {
        Self::Between { retries: Retries::No }
    }
}

impl Tasks {
    /// Whether only the end of the run may come.
    pub(crate) fn must_close(&self) -> bool {
        matches!(self.state, State::ForceClosed | State::Completed { stretch: Stretch::Closing, .. })
    }

    pub(crate) fn scheduled(&mut self, event_id: EventId, attempt: u32) -> Checked {
        self.outside()?;
        require(!self.must_close(), || "the run should have ended with the task before".to_owned())?;
        let retries = match self.state {
            State::Between { retries } => retries,
            _ => Retries::No,
        };
        require((attempt > 1) == (retries != Retries::No) && attempt > 0, || {
            let expected =
                if retries != Retries::No { "a later attempt, for the first one failed" } else { "attempt 1" };
            format!("it has attempt {attempt}; expected is {expected}")
        })?;
        let tells_failure = attempt == 1 || (attempt == 2 && retries == Retries::Untold);
        self.state = State::Scheduled { event_id, attempt, tells_failure };
        Ok(())
    }

    pub(crate) fn started(&mut self, event_id: EventId, names: EventId) -> Checked {
        match self.state {
            State::Scheduled { event_id: scheduled, attempt, tells_failure } if scheduled == names => {
                self.state = State::Started { scheduled, event_id, attempt, tells_failure };
                Ok(())
            }
            _ => Err(format!("it does not follow the WorkflowTaskScheduled {names} that it names")),
        }
    }

    pub(crate) fn completed(&mut self, event_id: EventId, names: (EventId, EventId)) -> Checked {
        self.ends(names)?;
        self.state = State::Completed { event_id, stretch: Stretch::Nothing };
        Ok(())
    }

    pub(crate) fn failed(&mut self, names: (EventId, EventId), cause: WorkflowTaskFailedCause) -> Checked {
        let attempt = self.ends_badly(names)?;
        match cause {
            WorkflowTaskFailedCause::ForceCloseCommand => self.state = State::ForceClosed,
            WorkflowTaskFailedCause::HistoryUnavailable if attempt == 1 => {
                self.state = State::Between { retries: Retries::Untold };
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn timed_out(&mut self, names: (EventId, EventId)) -> Checked {
        self.ends_badly(names).map(drop)
    }

    fn ends_badly(&mut self, names: (EventId, EventId)) -> Result<u32, String> {
        let (attempt, tells_failure) = self.ends(names)?;
        require(tells_failure, || "failures of later attempts are no events".to_owned())?;
        self.state = State::Between { retries: Retries::Yes };
        Ok(attempt)
    }

    /// The outcome of the task that is open; says which attempt it is, and whether its failure is an event.
    fn ends(&self, names: (EventId, EventId)) -> Result<(u32, bool), String> {
        match self.state {
            State::Started { scheduled, event_id, attempt, tells_failure } if (scheduled, event_id) == names => {
                Ok((attempt, tells_failure))
            }
            _ => Err(format!("it does not follow the workflow task {names:?} that it names")),
        }
    }

    /// A decision of the task that completed last.
    pub(crate) fn decided(&mut self, names: EventId) -> Checked {
        match &mut self.state {
            State::Completed { event_id, stretch } if *event_id == names => {
                *stretch = match stretch {
                    Stretch::Nothing | Stretch::Decisions => Stretch::Decisions,
                    Stretch::Told { decisions: false } | Stretch::Closing => Stretch::Closing,
                    Stretch::Told { decisions: true } => return Err("what was told stands among decisions".to_owned()),
                };
                Ok(())
            }
            _ => Err(format!("it does not follow the WorkflowTaskCompleted {names} that it names")),
        }
    }

    /// The last task's last decision.
    pub(crate) fn closes(&mut self, names: EventId) -> Checked {
        self.decided(names)
    }

    /// The run ends without being asked.
    pub(crate) fn cut_short(&self) -> Checked {
        self.outside()?;
        let decided = matches!(self.state, State::Completed { stretch: Stretch::Closing, .. });
        require(!decided, || "the task before should have ended the run".to_owned())
    }

    /// Something from outside.
    pub(crate) fn told(&mut self) -> Checked {
        self.outside()?;
        if let State::Completed { stretch, .. } = &mut self.state {
            *stretch = match stretch {
                Stretch::Nothing => Stretch::Told { decisions: false },
                Stretch::Decisions => Stretch::Told { decisions: true },
                Stretch::Told { .. } => *stretch,
                Stretch::Closing => return Err("the run should have ended with the decisions before".to_owned()),
            };
        }
        Ok(())
    }

    fn outside(&self) -> Checked {
        let inside = matches!(self.state, State::Scheduled { .. } | State::Started { .. });
        require(!inside, || "it stands inside a workflow task".to_owned())
    }
}
