//! What has left the partitions: replies, dead letters, forwards and tasks, as they landed.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_core::{Effect, is_wanted};
use tidewright_schemas::{Answer, Command, Reply, TaskId, TaskKind, WorkflowId, headers};

use crate::log::{Parcel, Place};
use crate::truth::Truth;
use crate::violation::{Checked, ensure, violation};

/// A copy of a task.
pub(crate) struct Copy {
    pub(crate) place: Place,
    pub(crate) offset: u64,
    pub(crate) step: u64,
}

/// What a command record asks for besides state changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    DeadLetter,
    Forward,
}

#[derive(Default)]
pub(crate) struct Ledger {
    replies: BTreeMap<String, Vec<Answer>>,
    dead_letters: BTreeSet<(u32, u64)>,
    forwards: BTreeSet<String>,
    undeliverable: BTreeSet<TaskId>,
    /// What the workers of a queue were told.
    told: BTreeSet<(String, String)>,
    pub(crate) tasks: BTreeMap<TaskId, Vec<Copy>>,
    /// What must become of records that lead to no transition, by partition and offset.
    duties: BTreeMap<(u32, u64), Duty>,
    pub(crate) forged: BTreeSet<(u32, u64)>,
}

impl Ledger {
    /// A reply landed: it must tell what is committed.
    pub(crate) fn reply(&mut self, parcel: &Parcel, truth: &[Truth]) -> Checked {
        let value = parcel.value.as_deref().unwrap_or_default();
        let reply: Reply =
            serde_json::from_slice(value).map_err(|e| violation("r21_replies_are_readable", e.to_string()))?;
        // A worker answers a query, and the asker sees whether history stands by it.
        if matches!(reply.answer, Answer::QueryAnswered(_) | Answer::QueryFailed(_)) {
            self.replies.entry(reply.correlation_id).or_default().push(reply.answer);
            return Ok(());
        }
        let committed = truth.iter().find_map(|truth| truth.answers.get(&reply.correlation_id));
        ensure!(
            committed.is_some_and(|answers| answers.contains(&reply.answer)),
            "r17_answers_tell_what_is_committed",
            "{reply:?}, committed is {committed:?}"
        );
        self.replies.entry(reply.correlation_id).or_default().push(reply.answer);
        Ok(())
    }

    /// The first answer that a question got.
    pub(crate) fn answer(&self, correlation_id: &str) -> Option<&Answer> {
        self.replies.get(correlation_id)?.first()
    }

    pub(crate) fn dead_letter(&mut self, parcel: &Parcel) {
        let number = |name| parcel.header(name).and_then(|text| text.parse::<u64>().ok());
        if let (Some(partition), Some(offset)) = (number(headers::ORIGIN_PARTITION), number(headers::ORIGIN_OFFSET)) {
            self.dead_letters.insert((u32::try_from(partition).unwrap_or(u32::MAX), offset));
        }
    }

    /// The workers of a queue are told something.
    pub(crate) fn tell(&mut self, task_queue: String, parcel: &Parcel) {
        let message = String::from_utf8_lossy(parcel.value.as_deref().unwrap_or_default()).into_owned();
        self.told.insert((task_queue, message));
    }

    /// A command landed.
    pub(crate) fn command(&mut self, partition: u32, offset: u64, parcel: &Parcel, belongs_to: u32) {
        if let Some((_, origin)) = parcel.header(headers::FORWARD).and_then(|header| header.split_once(' ')) {
            self.forwards.insert(origin.to_owned());
        }
        if parcel.garbage {
            self.duties.insert((partition, offset), Duty::DeadLetter);
            self.forged.insert((partition, offset));
        } else if belongs_to != partition {
            self.duties.insert((partition, offset), Duty::Forward);
        }
        if let Ok(Command::EffectFailed(failed)) = Command::from_value(parcel.value.as_deref())
            && !parcel.garbage
        {
            self.undeliverable.insert(failed.task);
        }
    }

    pub(crate) fn task(&mut self, kind: TaskKind, place: Place, offset: u64, step: u64, parcel: &Parcel) {
        if let Some(task) = parcel.header(headers::TASK).and_then(|text| TaskId::parse(kind, text)) {
            self.tasks.entry(task).or_default().push(Copy { place, offset, step });
        }
    }

    fn task_is_out(&self, task: &TaskId) -> bool {
        self.tasks.contains_key(task) || self.undeliverable.contains(task)
    }

    /// Everything that follows from commands below this offset must be out (R15, R18).
    pub(crate) fn check_released(
        &mut self,
        partition: u32,
        below: u64,
        truth: &mut Truth,
        rule: &'static str,
        topic: &str,
    ) -> Checked {
        let later = truth.unreleased.split_off(&below);
        let released = std::mem::replace(&mut truth.unreleased, later);
        for (source, effects) in released {
            for effect in effects {
                self.check_out(partition, source, &effect, truth)
                    .map_err(|what| violation(rule, format!("source {source}, released below {below}: {what}")))?;
            }
        }
        let later = self.duties.split_off(&(partition, below));
        let mut before = std::mem::replace(&mut self.duties, later);
        let mut mine = before.split_off(&(partition, 0));
        self.duties.append(&mut before);
        while let Some(((_, offset), duty)) = mine.pop_first() {
            let done = match duty {
                Duty::DeadLetter => self.dead_letters.contains(&(partition, offset)),
                Duty::Forward => self.forwards.contains(&format!("{topic}/{partition}/{offset}")),
            };
            ensure!(
                done,
                "r18_dead_letters_and_forwards_are_out",
                "{duty:?} of command {offset}, released below {below}"
            );
        }
        Ok(())
    }

    fn check_out(&self, partition: u32, source: u64, effect: &Effect, truth: &Truth) -> Result<(), String> {
        match effect {
            Effect::Task { workflow_id, task } => {
                let wanted = is_wanted(&truth.rows, workflow_id, task).map_err(|e| e.to_string())?;
                if wanted && !self.task_is_out(task) {
                    return Err(format!("task {task} of {workflow_id} is wanted and not out"));
                }
            }
            Effect::Reply { answered, .. } => {
                let id = &answered.reply_to.correlation_id;
                if !self.replies.get(id).is_some_and(|answers| answers.contains(&answered.answer)) {
                    return Err(format!("answer {id} is not out"));
                }
            }
            Effect::Tell(told) => {
                let message = serde_json::to_string(&told.message).map_err(|e| e.to_string())?;
                let is_out = |queue: &String| self.told.contains(&(queue.clone(), message.clone()));
                if !told.task_queues.iter().all(is_out) {
                    return Err(format!("{told:?} is not out"));
                }
            }
            Effect::DeadLetter(dead) => {
                if !self.dead_letters.contains(&(partition, source)) {
                    return Err(format!("dead letter {} is not out", dead.code));
                }
            }
        }
        Ok(())
    }
}

/// The workflow id that a record names, for those whose key is one.
pub(crate) fn key_of(parcel: &Parcel) -> Option<WorkflowId> {
    let text = std::str::from_utf8(parcel.key.as_deref()?).ok()?;
    WorkflowId::new(text).ok()
}
