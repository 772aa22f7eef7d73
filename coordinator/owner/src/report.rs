//! What a batch did, for metrics: gathered while it is decided, told once it is committed.

use std::collections::BTreeMap;

use tidewright_core::ChangedRun;
use tidewright_schemas::{Answer, RowFact, Transition};

use crate::traced::TracedCommand;

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It changed its workflow, or was answered.
    Done,
    /// It cannot be done: its sender was told why, or it went to the dead letters.
    Rejected,
    /// It changes nothing: it is late, repeated, or about something that is over.
    Ignored,
    /// A timer that is not due yet (R20).
    Early,
    /// It is no command, or not to be trusted: it went to the dead letters.
    Garbage,
    /// It was for another partition (R9).
    Forwarded,
}

impl Outcome {
    /// Its name, as metrics show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Ignored => "ignored",
            Self::Early => "early",
            Self::Garbage => "garbage",
            Self::Forwarded => "forwarded",
        }
    }
}

/// What a batch did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// How many commands it held.
    pub commands: u64,
    /// How many of each type, by what became of them. What cannot be understood has the type `unknown`.
    pub decided: BTreeMap<(&'static str, Outcome), u64>,
    /// How many were rejected, by code.
    pub rejected: BTreeMap<String, u64>,
    /// How many went to the dead letters, by code.
    pub dead_letters: BTreeMap<String, u64>,
    /// Runs that started or closed.
    pub runs: Vec<ChangedRun>,
    /// What is to be traced, if traces are recorded.
    pub traced: Vec<TracedCommand>,
    /// The broker's timestamp of the last command, in milliseconds since 1970.
    pub last_timestamp_ms: u64,
}

/// The type of a record that is no command.
const UNKNOWN: &str = "unknown";

impl Report {
    pub(crate) fn garbage(&mut self, code: &str) {
        self.count(UNKNOWN, Outcome::Garbage);
        add(&mut self.dead_letters, code);
    }

    pub(crate) fn forwarded(&mut self) {
        self.count(UNKNOWN, Outcome::Forwarded);
    }

    pub(crate) fn count(&mut self, command: &'static str, outcome: Outcome) {
        *self.decided.entry((command, outcome)).or_default() += 1;
    }

    /// A command that left a record: a rejection is one if its answer or its dead letter says so.
    pub(crate) fn changed(&mut self, command: &'static str, change: &Transition) {
        let mut outcome = Outcome::Done;
        for fact in &change.rows {
            let code = match fact {
                RowFact::DeadLettered(dead) => {
                    add(&mut self.dead_letters, &dead.code);
                    &dead.code
                }
                RowFact::Answered(answered) => match &answered.answer {
                    Answer::Rejected(rejected) => &rejected.code,
                    Answer::WorkflowStarted(_)
                    | Answer::RequestAccepted(_)
                    | Answer::TaskConfirmed(_)
                    | Answer::QueryAnswered(_)
                    | Answer::QueryFailed(_) => continue,
                },
                _ => continue,
            };
            outcome = Outcome::Rejected;
            add(&mut self.rejected, code);
        }
        self.count(command, outcome);
    }
}

fn add(counts: &mut BTreeMap<String, u64>, code: &str) {
    match counts.get_mut(code) {
        Some(count) => *count += 1,
        None => drop(counts.insert(code.to_owned(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use tidewright_schemas::{DeadLettered, Epoch, WorkflowId};

    use super::*;

    #[test]
    fn a_command_that_goes_to_the_dead_letters_is_rejected() {
        let dead = DeadLettered { code: "TW0101".to_owned(), message: String::new() };
        let change = Transition {
            epoch: Epoch { offset: 0, key: String::new() },
            source_offset: 1,
            source_time_ms: 1,
            workflow_id: WorkflowId::new("w").unwrap(),
            run_id: None,
            events: Vec::new(),
            history_digest: None,
            rows: vec![RowFact::DeadLettered(dead)],
            next_run: None,
            supersedes: Vec::new(),
        };
        let mut report = Report::default();
        report.changed("StartWorkflow", &change);
        report.changed("StartWorkflow", &Transition { rows: Vec::new(), ..change });
        let one = |outcome| report.decided.get(&("StartWorkflow", outcome)).copied();
        assert_eq!((one(Outcome::Rejected), one(Outcome::Done)), (Some(1), Some(1)));
        assert_eq!((report.rejected.get("TW0101"), report.dead_letters.get("TW0101")), (Some(&1), Some(&1)));
    }
}
