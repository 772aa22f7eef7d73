//! Workers and their groups: who reads which partition of the task topics, from where, and what is committed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewright_owner::BacklogKey;
use tidewright_schemas::{RunId, TaskKind, WorkerIdentity, headers};

use crate::advance::Cached;
use crate::hints::Hints;
use crate::job::{Job, Report};
use crate::log::{Parcel, Place};
use crate::program::{MAIN_QUEUE, SIDE_QUEUE};
use crate::violation::Checked;
use crate::world::World;

/// The consumer groups of all task topics.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) committed: BTreeMap<Place, u64>,
    /// Which worker reads a partition, under which generation.
    members: BTreeMap<Place, (usize, u64)>,
    generations: u64,
}

/// What a worker knows of a partition that it was assigned.
pub(crate) struct Assigned {
    pub(crate) generation: u64,
    next: u64,
    end_at_assignment: u64,
    open: BTreeSet<u64>,
    committed: u64,
}

/// A record that a worker took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) place: Place,
    pub(crate) offset: u64,
    generation: u64,
}

#[derive(Default)]
pub(crate) struct Worker {
    pub(crate) down: bool,
    pub(crate) paused_until_ms: u64,
    pub(crate) beacon_due_ms: u64,
    pub(crate) has_spoken: bool,
    pub(crate) identity: WorkerIdentity,
    pub(crate) assigned: BTreeMap<Place, Assigned>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) cache: BTreeMap<RunId, Cached>,
    pub(crate) hints: Hints,
    pub(crate) outbox: VecDeque<(u64, Report, Parcel)>,
    pub(crate) acks: Vec<(u64, Report)>,
}

/// The generation of who reads a partition without being its group's member; real ones count from 1.
const NOT_A_MEMBER: u64 = 0;
/// Most jobs at a time.
const SLOTS: usize = 6;

impl World {
    /// The task topics that somebody listens to.
    pub(crate) fn heard_places(&self) -> Vec<Place> {
        let key = |kind, queue: &str| BacklogKey { kind, task_queue: queue.to_owned() };
        let topics = [
            key(TaskKind::Workflow, MAIN_QUEUE),
            key(TaskKind::Activity, MAIN_QUEUE),
            key(TaskKind::Activity, SIDE_QUEUE),
        ];
        let partitions = self.plan.task_partitions;
        topics.iter().flat_map(|topic| (0..partitions).map(|p| Place::Tasks(topic.clone(), p))).collect()
    }

    /// One step of one worker.
    pub(crate) fn worker_step(&mut self, at: usize) -> Checked {
        if self.workers[at].down {
            if self.healthy || self.dice.chance(100) {
                self.start_worker(at);
            }
            return Ok(());
        }
        if self.workers[at].paused_until_ms > self.mono_ms {
            return Ok(());
        }
        self.worker_speaks(at);
        // Who was never heard is never missed, so it takes nothing before.
        if !self.workers[at].has_spoken {
            return Ok(());
        }
        match self.dice.below(11) {
            0..=1 => self.poll(at),
            2..=3 => self.land_report(at),
            4..=5 => {
                self.take_ack(at);
                Ok(())
            }
            6 => self.hear_hint(at),
            _ => self.job_step(at),
        }
    }

    fn start_worker(&mut self, at: usize) {
        self.progress += 1;
        let incarnation = format!("worker-{}", self.next_number());
        self.note(|_| format!("worker {at} starts as {incarnation}"));
        let identity = WorkerIdentity { identity: format!("worker {at}"), incarnation };
        self.workers[at] = Worker { identity, ..Worker::default() };
        self.listen(at);
        if self.healthy {
            self.rebalance(false);
        }
    }

    pub(crate) fn crash_worker(&mut self, at: usize) {
        if self.workers[at].down {
            return;
        }
        self.stats.kills += 1;
        self.worker_died(at);
        self.note(|_| format!("worker {at} CRASHES"));
        let outbox = std::mem::take(&mut self.workers[at].outbox);
        self.haunt(outbox.into_iter().map(|(_, _, parcel)| parcel).collect());
        self.workers[at] = Worker { down: true, ..Worker::default() };
        self.group.members.retain(|_, (member, _)| *member != at);
    }

    /// Gives every partition that nobody reads to a worker; `all` moves others, too.
    pub(crate) fn rebalance(&mut self, all: bool) {
        for place in self.heard_places() {
            let orphaned = !self.group.members.contains_key(&place);
            let moves = orphaned || (all && self.dice.chance(400));
            if !moves {
                continue;
            }
            let up: Vec<_> = (0..self.workers.len()).filter(|at| !self.workers[*at].down).collect();
            let Some(at) = self.dice.pick(&up).copied() else { return };
            self.assign_tasks(place, at);
        }
    }

    fn assign_tasks(&mut self, place: Place, at: usize) {
        self.progress += 1;
        self.group.generations += 1;
        let generation = self.group.generations;
        if let Some((before, _)) = self.group.members.insert(place.clone(), (at, generation))
            && (self.healthy || self.dice.chance(500))
        {
            // Told at once; otherwise it goes on with what it has until it notices.
            self.workers[before].assigned.remove(&place);
        }
        let committed = self.group.committed.get(&place).copied();
        let log = self.log(&place);
        let next = committed.unwrap_or(0).max(log.start);
        let end_at_assignment = log.end;
        self.note(|_| format!("worker {at} reads {place:?} from {next}, below {end_at_assignment} may be repeats"));
        let assigned = Assigned { generation, next, end_at_assignment, open: BTreeSet::new(), committed: 0 };
        self.workers[at].assigned.insert(place, assigned);
    }

    /// Whoever did not hear that its partition was given to another hears it now.
    pub(crate) fn tell_workers(&mut self) {
        for (at, worker) in self.workers.iter_mut().enumerate() {
            let members = &self.group.members;
            worker.assigned.retain(|place, assigned| members.get(place) == Some(&(at, assigned.generation)));
        }
    }

    fn poll(&mut self, at: usize) -> Checked {
        if self.workers[at].jobs.len() >= SLOTS {
            return Ok(());
        }
        let places: Vec<_> = self.workers[at].assigned.keys().cloned().collect();
        let Some(place) = self.dice.pick(&places).cloned() else { return Ok(()) };
        let Some(assigned) = self.workers[at].assigned.get_mut(&place) else { return Ok(()) };
        let log = self.logs.entry(place.clone()).or_default();
        // What was deleted is passed over, as with `auto.offset.reset=earliest`.
        let Ok((records, next)) = log.read(assigned.next.max(log.start), 1) else { return Ok(()) };
        assigned.next = next;
        let Some(record) = records.into_iter().next() else { return Ok(()) };
        assigned.open.insert(record.offset);
        let below_end = record.offset < assigned.end_at_assignment;
        let taken = Taken { place, offset: record.offset, generation: assigned.generation };
        self.progress += 1;
        if record.headers.iter().any(|(name, _)| name == headers::QUERY) {
            self.answer_query(at, &record)?;
            self.settle(at, &taken);
            return Ok(());
        }
        self.begin_job(at, taken, &record, below_end)
    }

    /// The worker is told by name of a task that lies in a partition of an activity queue, whoever reads that: it may run
    /// it once it has leave, and commits nothing.
    pub(crate) fn offer_task(&mut self, at: usize) -> Checked {
        let places: Vec<_> = self.heard_places();
        let of_activities = |place: &&Place| matches!(place, Place::Tasks(key, _) if key.kind == TaskKind::Activity);
        let places: Vec<_> = places.iter().filter(of_activities).cloned().collect();
        let Some(place) = self.dice.pick(&places).cloned() else { return Ok(()) };
        let committed = self.group.committed.get(&place).copied().unwrap_or(0);
        let waiting: Vec<_> = self.log(&place).iter_from(committed).cloned().collect();
        let Some(record) = self.dice.pick(&waiting).cloned() else { return Ok(()) };
        let worker = &self.workers[at];
        if worker.down || !worker.has_spoken || worker.jobs.len() >= SLOTS {
            return Ok(());
        }
        self.stats.offered += 1;
        let taken = Taken { place, offset: record.offset, generation: NOT_A_MEMBER };
        self.begin_job(at, taken, &record, true)
    }

    /// A record needs no redelivery any more: commits what lies below the oldest that does (R24).
    pub(crate) fn settle(&mut self, at: usize, taken: &Taken) {
        let Some(assigned) = self.workers[at].assigned.get_mut(&taken.place) else { return };
        if assigned.generation != taken.generation {
            return;
        }
        assigned.open.remove(&taken.offset);
        let below = assigned.open.first().copied().unwrap_or(assigned.next);
        if below <= assigned.committed {
            return;
        }
        assigned.committed = below;
        // The group knows who is a member: a commit from before a rebalance is refused.
        if self.group.members.get(&taken.place) == Some(&(at, taken.generation)) {
            self.group.committed.insert(taken.place.clone(), below);
            self.note(|_| format!("worker {at} commits {:?} {below}", taken.place));
        }
    }

    /// Whether nothing waits for a worker.
    pub(crate) fn workers_are_idle(&self) -> bool {
        let read = |worker: &Worker, place: &Place| {
            let end = self.logs.get(place).map_or(0, |log| log.end);
            worker.assigned.get(place).is_some_and(|assigned| assigned.next >= end)
        };
        let idle = |worker: &Worker| worker.jobs.is_empty() && worker.outbox.is_empty() && worker.acks.is_empty();
        let place_is_read =
            |place: &Place| self.group.members.get(place).is_some_and(|(at, _)| read(&self.workers[*at], place));
        self.workers.iter().all(idle) && self.heard_places().iter().all(place_is_read)
    }
}
