//! Which run an id has: what each start must come to, by the id's past and the start's policies alone.
//!
//! | the id | what a start comes to |
//! |---|---|
//! | knows its request, by a run that is not deleted | that run again |
//! | has no run, or none that is not deleted | a run |
//! | its latest run that is not deleted is closed | a run, or a rejection, by reuse policy |
//! | has an open run | a rejection, that run, or its end and another run, by conflict policy |

use std::collections::BTreeMap;

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{
    Answer, Command, EventAttributes, HistoryEvent, RowFact, RunId, StartWorkflow, Transition, WorkflowId,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy, headers,
};

use crate::log::Place;
use crate::stats::Stats;
use crate::violation::{Checked, ensure};
use crate::world::World;

/// The ids of a partition.
#[derive(Default)]
pub(crate) struct Identities {
    known: BTreeMap<WorkflowId, Known>,
    /// What the record says that landed last.
    landed: Option<Landed>,
}

#[derive(Default)]
struct Known {
    /// Its runs, the oldest first.
    runs: Vec<(RunId, WorkflowStatus)>,
    requests: BTreeMap<String, RunId>,
}

/// What a record says of its workflow id.
struct Landed {
    workflow_id: WorkflowId,
    /// Runs that it opens and closes, in order.
    runs: Vec<(RunId, WorkflowStatus)>,
    requests: Vec<(String, RunId)>,
    came: Option<Came>,
}

/// What a start came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Started,
    /// It met a run that was there.
    Met(RunId),
    TerminatedAndStarted,
    Refused(String),
}

impl Identities {
    /// A valid record landed.
    pub(crate) fn landed(&mut self, change: &Transition) {
        let mut landed =
            Landed { workflow_id: change.workflow_id.clone(), runs: Vec::new(), requests: Vec::new(), came: None };
        if let Some(run_id) = &change.run_id {
            landed.take(run_id, &change.events);
        }
        for fact in &change.rows {
            match fact {
                RowFact::RequestAttached(attached) => {
                    let run_id = change.run_id.clone();
                    landed.requests.extend(run_id.clone().map(|run_id| (attached.request_id.clone(), run_id)));
                    landed.came = run_id.map(Came::Met);
                }
                RowFact::Answered(answered) => landed.answered(&answered.answer),
                RowFact::DeadLettered(dead) => landed.came = Some(Came::Refused(dead.code.clone())),
                _ => {}
            }
        }
        if let Some(next) = &change.next_run {
            landed.take(&next.run_id, &next.events);
            landed.came = Some(Came::TerminatedAndStarted);
        }
        self.landed = Some(landed);
    }

    fn remember(&mut self, landed: Landed) {
        let known = self.known.entry(landed.workflow_id).or_default();
        known.requests.extend(landed.requests);
        for (run_id, status) in landed.runs {
            match known.runs.iter_mut().find(|(known, _)| *known == run_id) {
                Some((_, now)) => *now = status,
                None => known.runs.push((run_id, status)),
            }
        }
    }
}

impl Landed {
    fn take(&mut self, run_id: &RunId, events: &[HistoryEvent]) {
        if let Some(EventAttributes::WorkflowExecutionStarted(started)) = events.first().map(|e| &e.attributes) {
            self.runs.push((run_id.clone(), WorkflowStatus::Running));
            self.requests.extend(started.request_id.clone().map(|request_id| (request_id, run_id.clone())));
            self.came = Some(Came::Started);
        }
        if let Some(status) = events.last().and_then(|event| event.attributes.closes_as()) {
            self.runs.push((run_id.clone(), status));
        }
    }

    fn answered(&mut self, answer: &Answer) {
        match answer {
            Answer::WorkflowStarted(started) if self.came.is_none() => {
                self.came = Some(Came::Met(started.run_id.clone()));
            }
            Answer::Rejected(rejected) => self.came = Some(Came::Refused(rejected.code.clone())),
            _ => {}
        }
    }
}

impl World {
    /// A start came to what the id's past says.
    pub(crate) fn check_identity(&mut self, partition: u32, source: u64) -> Checked {
        let Some(landed) = self.truth[partition as usize].identities.landed.take() else { return Ok(()) };
        if let (Some(came), false) = (&landed.came, self.ledger.forged.contains(&(partition, source)))
            && let Some((start, has_signal, request_id)) = self.start_at(partition, source)
        {
            let truth = &self.truth[partition as usize];
            let is_there = |run_id: &RunId| !truth.deletions.is_deleted(&landed.workflow_id, run_id);
            let known = truth.identities.known.get(&landed.workflow_id);
            let expected = expected(known, &start, (has_signal, request_id.as_ref()), is_there);
            ensure!(
                *came == expected,
                "r8_a_start_comes_to_what_its_policies_say",
                "{start:?} of {} came to {came:?}, expected {expected:?}",
                landed.workflow_id
            );
            count(&mut self.stats, came, has_signal);
        }
        self.truth[partition as usize].identities.remember(landed);
        Ok(())
    }

    /// The start that a command is, whether it signals, and its request id.
    fn start_at(&mut self, partition: u32, source: u64) -> Option<(StartWorkflow, bool, Option<String>)> {
        let record = self.log(&Place::Commands(partition)).at(source)?;
        let header = record.headers.iter().find(|(name, _)| name == headers::CLOUDEVENT_ID);
        let event_id = header.and_then(|(_, value)| String::from_utf8(value.clone()).ok());
        let (start, has_signal) = match Command::from_value(record.value.as_deref()).ok()? {
            Command::StartWorkflow(start) => (start, false),
            Command::SignalWithStartWorkflow(both) => (both.start, true),
            _ => return None,
        };
        let request_id = start.request_id.clone().or(event_id);
        Some((start, has_signal, request_id))
    }
}

fn expected(
    known: Option<&Known>,
    start: &StartWorkflow,
    (has_signal, request_id): (bool, Option<&String>),
    is_there: impl Fn(&RunId) -> bool,
) -> Came {
    let refused = |code: &str| Came::Refused(code.to_owned());
    let policy = start.workflow_id_conflict_policy;
    if has_signal && policy == Some(WorkflowIdConflictPolicy::Fail) {
        return refused("TW0201");
    }
    let repeated = request_id.and_then(|request_id| known?.requests.get(request_id)).filter(|run| is_there(run));
    if let Some(run_id) = repeated {
        return Came::Met(run_id.clone());
    }
    let latest = known.and_then(|known| known.runs.iter().rfind(|(run_id, _)| is_there(run_id)));
    match (latest, policy) {
        (None, _) => Came::Started,
        (Some((run_id, WorkflowStatus::Running)), policy) => match policy {
            Some(WorkflowIdConflictPolicy::TerminateExisting) => Came::TerminatedAndStarted,
            Some(WorkflowIdConflictPolicy::UseExisting) => Came::Met(run_id.clone()),
            None if has_signal => Came::Met(run_id.clone()),
            None | Some(WorkflowIdConflictPolicy::Fail) => refused("TW0202"),
        },
        (Some((_, status)), _) => {
            let may = match (start.workflow_id_reuse_policy, request_id) {
                (Some(WorkflowIdReusePolicy::AllowDuplicate), _) | (None, Some(_)) => true,
                (Some(WorkflowIdReusePolicy::AllowDuplicateFailedOnly), _) => *status != WorkflowStatus::Completed,
                (Some(WorkflowIdReusePolicy::RejectDuplicate), _) | (None, None) => false,
            };
            if may { Came::Started } else { refused("TW0203") }
        }
    }
}

fn count(stats: &mut Stats, came: &Came, has_signal: bool) {
    stats.signal_with_starts += u64::from(has_signal);
    match came {
        Came::Started => stats.started += 1,
        Came::Met(_) => stats.met_a_run += 1,
        Came::TerminatedAndStarted => stats.terminated_and_started += 1,
        Came::Refused(code) if code == "TW0203" => stats.reuse_refused += 1,
        Came::Refused(_) => stats.conflicts_refused += 1,
    }
}
