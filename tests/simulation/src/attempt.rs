//! What a worker does while it runs something: announces it, heartbeats, hears that it is to end, dies of it, tells what
//! came of it.

use tidewright_schemas::{
    ActivityTask, CancelActivity, Command, CompleteActivity, FailActivity, Payload, RecordActivityHeartbeat,
    RecordActivityStarted,
};

use crate::job::{Report, Stage, Task, activity};
use crate::violation::{Checked, ensure};
use crate::world::World;

/// When an activity is announced.
const ANNOUNCED_AFTER_MS: u64 = 500;
/// How often a workflow task that takes its workers down does so: until it is withheld, and once more.
const POISON_DEATHS: u32 = 5;

/// An attempt that runs in a worker.
pub(crate) struct Attempt {
    since_ms: u64,
    until_ms: u64,
    announced: bool,
    beat: Option<Beat>,
    told: Option<Ended>,
}

struct Beat {
    every_ms: u64,
    due_ms: u64,
    number: u64,
}

/// What an attempt's worker is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its workflow asks it to end.
    Asked,
    /// Nobody waits for it any more.
    Closed,
}

/// What is to be done about an attempt.
enum Next {
    Nothing,
    Announce,
    Beat(u64),
    Finish,
    Cancel,
    Leave,
}

impl Attempt {
    pub(crate) fn begin(task: &Task, now_ms: u64) -> Self {
        let (duration_ms, beat_ms) = match task {
            Task::Workflow(_) => (0, None),
            Task::Activity(task) => activity(task).map_or((0, None), |activity| {
                (activity.attempt_ms(task.attempt), activity.attempt_beat_ms(task.attempt))
            }),
        };
        let beat = beat_ms.map(|every_ms| Beat { every_ms, due_ms: now_ms + every_ms, number: 0 });
        Self { since_ms: now_ms, until_ms: now_ms + duration_ms, announced: false, beat, told: None }
    }

    pub(crate) fn tell(&mut self, ended: Ended) {
        self.told = Some(ended);
    }

    fn next(&mut self, now_ms: u64) -> Next {
        match self.told {
            Some(Ended::Asked) => return Next::Cancel,
            Some(Ended::Closed) => return Next::Leave,
            None => {}
        }
        if self.until_ms <= now_ms {
            return Next::Finish;
        }
        if !self.announced && self.since_ms + ANNOUNCED_AFTER_MS <= now_ms {
            self.announced = true;
            return Next::Announce;
        }
        match &mut self.beat {
            Some(beat) if beat.due_ms <= now_ms => {
                beat.due_ms = now_ms + beat.every_ms;
                beat.number += 1;
                Next::Beat(beat.number)
            }
            _ => Next::Nothing,
        }
    }
}

impl World {
    pub(crate) fn attempt_step(&mut self, at: usize, place: usize) -> Checked {
        let now_ms = self.mono_ms;
        let worker = self.workers[at].identity.clone();
        let job = &mut self.workers[at].jobs[place];
        let Stage::Running(attempt) = &mut job.stage else { return Ok(()) };
        let next = attempt.next(now_ms);
        let (id, workflow_id, token) = (job.id, job.task.workflow_id().clone(), job.task.token().to_owned());
        let (report, command): (Report, Command) = match next {
            Next::Nothing => return Ok(()),
            Next::Leave => {
                self.end_job(at, place);
                return Ok(());
            }
            Next::Finish => return self.finish(at, place),
            Next::Announce => (Report::Notice, RecordActivityStarted { token, worker }.into()),
            Next::Beat(number) => {
                let details = Payload::new(&(job.task.of_all_attempts(), id, number)).ok();
                (Report::Heartbeat, RecordActivityHeartbeat { token, details, worker }.into())
            }
            Next::Cancel => {
                job.stage = Stage::Told;
                let details = Payload::new(&(id, "asked to end")).ok();
                (Report::Outcome, CancelActivity { token, details, worker }.into())
            }
        };
        self.report(at, id, report, &workflow_id, &command);
        Ok(())
    }

    /// Runs the task's code and tells what came of it.
    fn finish(&mut self, at: usize, place: usize) -> Checked {
        if self.dies_of(at, place) {
            self.crash_worker(at);
            return Ok(());
        }
        let job = &mut self.workers[at].jobs[place];
        job.stage = Stage::Told;
        let (id, workflow_id) = (job.id, job.task.workflow_id().clone());
        let command = match &job.task {
            Task::Activity(task) => {
                let task = task.clone();
                self.run_activity(at, &task)?
            }
            Task::Workflow(task) => {
                let task = task.clone();
                self.advance_run(at, &task)?
            }
        };
        self.report(at, id, Report::Outcome, &workflow_id, &command);
        Ok(())
    }

    /// Whether the task takes its worker down.
    fn dies_of(&mut self, at: usize, place: usize) -> bool {
        let job = &self.workers[at].jobs[place];
        let name = job.task.of_all_attempts();
        let deaths = match &job.task {
            Task::Activity(task) => activity(task).map_or(0, |activity| activity.deaths()),
            Task::Workflow(_) if self.healthy => 0,
            Task::Workflow(_) if self.deaths.contains_key(&name) => POISON_DEATHS,
            Task::Workflow(_) => {
                if self.goes_wrong(self.plan.faults.poison) {
                    POISON_DEATHS
                } else {
                    0
                }
            }
        };
        if deaths == 0 {
            return false;
        }
        let died = self.deaths.entry(name).or_default();
        let dies = *died < deaths;
        *died += u32::from(dies);
        dies
    }

    fn run_activity(&mut self, at: usize, task: &ActivityTask) -> Checked<Command> {
        let activity = activity(task).ok_or_else(|| self.broken("an activity without input"))?;
        let (token, worker) = (task.token.clone(), self.workers[at].identity.clone());
        Ok(match activity.attempt(task.attempt) {
            Ok(value) => CompleteActivity { token, result: Payload::new(&value).ok(), worker }.into(),
            Err(failure) => FailActivity::new(token, *failure, worker).into(),
        })
    }

    /// What attempts were told of earlier ones is what history had last recorded when they were sent.
    pub(crate) fn check_told_details(&mut self) -> Checked {
        for (task, details) in std::mem::take(&mut self.told_details) {
            let Some(truth) = self.truth.iter().find(|truth| truth.dispatched.contains_key(&task)) else { continue };
            ensure!(
                truth.attempts.may_read(&task, details.as_ref()),
                "an_attempt_reads_the_last_heartbeat_that_is_recorded",
                "{task} was given {details:?}"
            );
            self.stats.details_read += u64::from(details.is_some());
        }
        Ok(())
    }
}

impl Task {
    /// Whether it is about this activity of this run.
    pub(crate) fn is_activity(&self, run: &tidewright_schemas::RunId, scheduled_event_id: Option<u64>) -> bool {
        match self {
            Self::Workflow(_) => false,
            Self::Activity(task) if task.run_id != *run => false,
            Self::Activity(task) => scheduled_event_id.map_or(!task.detached, |id| id == task.scheduled_event_id),
        }
    }
}
