//! Random lives of a few workflows: whatever comes, state agrees with itself and with its records, histories are
//! well-formed, and everything ends once everyone does their part.
//!
//! A failure names its seed; `TIDEWRIGHT_SEED=<seed>` runs that one alone, `TIDEWRIGHT_SEEDS=<n>` more of them.

mod chance;
mod commands;

use tidewright_core::{Request, is_wanted, read};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{RunId, WorkflowId};

use crate::support::commands::{Ask as _, fire, task_completed, with_token};
use crate::support::decisions::complete;
use crate::support::{World, workflow_id};
use chance::Chance;

const STEPS: usize = 250;
/// Every so many steps the expensive checks are made.
const CHECK_EVERY: usize = 25;

#[test]
fn random_lives_keep_every_promise() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("TIDEWRIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TIDEWRIGHT_SEEDS").unwrap_or(20),
    };
    for seed in seeds {
        let _named = NamesSeed(seed);
        Life::new(seed).live();
    }
}

/// Says the seed if the test fails under it.
struct NamesSeed(u64);

impl Drop for NamesSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed under TIDEWRIGHT_SEED={}", self.0);
        }
    }
}

/// One partition's life.
struct Life {
    world: World,
    chance: Chance,
    /// Commands that were sent, for repeats.
    sent: Vec<Request>,
    runs: Vec<(WorkflowId, RunId)>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut world = World::default();
        world.check_compaction = false;
        world.tombstones_live_ms = 20_000;
        Self { world, chance: Chance::new(seed), sent: Vec::new(), runs: Vec::new() }
    }

    fn live(&mut self) {
        for step in 0..STEPS {
            self.let_time_pass();
            let request = self.any_command();
            self.world.take(&request);
            self.sent.push(request);
            self.note_runs();
            self.one_workflow_task_at_most();
            if step % CHECK_EVERY == 0 {
                self.check();
            }
        }
        self.check();
        self.end_everything();
        self.check();
    }

    fn let_time_pass(&mut self) {
        let behind = self.chance.below(30);
        self.world.released_offset = self.chance.maybe(|_| self.world.offset.saturating_sub(behind));
        self.world.now_ms = match self.chance.below(20) {
            0 => self.world.now_ms - self.chance.below(10_000),
            1 => self.world.now_ms + self.chance.below(100_000),
            2..10 => self.world.now_ms,
            _ => self.world.now_ms + self.chance.below(2_000),
        };
    }

    fn note_runs(&mut self) {
        if let Some(run_id) = self.world.step.run_id.clone() {
            let workflow_id = self.sent.last().expect("one was sent").workflow_id.clone();
            if !self.runs.contains(&(workflow_id.clone(), run_id.clone())) {
                self.runs.push((workflow_id, run_id));
            }
        }
    }

    fn one_workflow_task_at_most(&self) {
        for (workflow_id, run_id) in &self.runs {
            let tasks = self.world.workflow_tasks.iter().map(|(token, _)| token).filter(|t| t.task.run_id == *run_id);
            let wanted = tasks.filter(|token| is_wanted(&self.world.rows, workflow_id, &token.task).unwrap()).count();
            assert!(wanted <= 1, "{wanted} workflow tasks of run {run_id} are out");
        }
    }

    fn check(&self) {
        self.world.compact();
        for (workflow_id, run_id) in self.runs_that_are_there() {
            let history = self.world.whole_history(workflow_id, run_id);
            let outcome = read::outcome(&self.world.rows, workflow_id, run_id).unwrap().expect("a run");
            let closed = grammar::check(&history).unwrap();
            assert_eq!(closed.unwrap_or(WorkflowStatus::Running), outcome.status, "{workflow_id} {run_id}");
        }
    }

    /// Those that nobody has deleted.
    fn runs_that_are_there(&self) -> impl Iterator<Item = &(WorkflowId, RunId)> {
        let is_there = |id, run_id| read::find_run(&self.world.rows, id, Some(run_id)).unwrap().is_some();
        self.runs.iter().filter(move |(id, run_id)| is_there(id, run_id))
    }

    /// From here on every worker does its part: then nothing waits for ever.
    fn end_everything(&mut self) {
        self.world.released_offset = None;
        for _ in 0..10_000 {
            self.world.now_ms += 1;
            let Some(request) = self.next_duty() else {
                self.all_is_over();
                return;
            };
            self.world.take(&request);
        }
        panic!("it does not end: {:?}", self.world.due());
    }

    fn next_duty(&mut self) -> Option<Request> {
        let world = &mut self.world;
        let rows = &world.rows;
        let out =
            world.workflow_tasks.iter().find(|(token, _)| is_wanted(rows, &token.workflow_id, &token.task).unwrap());
        if let Some((token, _)) = out {
            let token = token.clone();
            let mut request = task_completed([complete()]).request(world);
            request.workflow_id = token.workflow_id.clone();
            request.token = Some(token);
            return Some(request);
        }
        for (token, _) in world.activity_tasks.iter().rev() {
            let described = read::describe(rows, &token.workflow_id, &token.task.run_id).unwrap();
            let Some(described) = described else { continue };
            let open = described.pending_activities.iter();
            if open.into_iter().any(|activity| {
                activity.scheduled_event_id == token.task.scheduled_event_id && activity.attempt >= token.task.attempt
            }) {
                let command = tidewright_schemas::CompleteActivity {
                    token: String::new(),
                    result: None,
                    worker: tidewright_schemas::WorkerIdentity::default(),
                };
                return Some(with_token(token.clone(), command));
            }
        }
        // One that is early lets another go first.
        let mut due: Vec<_> = world.due().into_iter().filter(|due| due.due_ms < u64::MAX).collect();
        let at = if world.step.early_ms.is_some() { self.chance.index(due.len().max(1)) } else { 0 };
        let due = (at < due.len()).then(|| due.swap_remove(at))?;
        world.now_ms = world.now_ms.max(due.due_ms);
        Some(fire(&due))
    }

    fn all_is_over(&self) {
        for (workflow_id, run_id) in self.runs_that_are_there() {
            let described = read::describe(&self.world.rows, workflow_id, run_id).unwrap().expect("a run");
            assert_eq!(described.pending_workflow_task, None, "{workflow_id} waits");
            assert_eq!((described.pending_activities.len(), described.buffered_events), (0, 0), "{workflow_id} waits");
            if described.summary.status != WorkflowStatus::Running {
                assert_eq!(described.pending_timers, [], "{workflow_id} is over");
            }
        }
    }

    fn any_workflow_id(&mut self) -> WorkflowId {
        // Each the beginning of another, and one beyond ASCII.
        workflow_id(["order", "order-1", "order-10", "bestellung-ä"][self.chance.index(4)])
    }
}
