//! All groups. Requests come in here and are answered by the group's state machine. Groups live in memory only, as their
//! members rejoin after a restart; offsets are kept.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use tokio::sync::{Notify, oneshot};

use super::group::Group;
use super::ledger::{CommittedOffset, Entry, Place};
use super::member::{JoinReply, JoinRequest, SyncReply, SyncRequest};
use super::offsets::Offsets;
use crate::config::Limits;
use crate::log::journal_sync::{Mark, Offline};
use crate::sync;

/// How long to sleep when no group has a deadline; anything that makes one wakes the sleeper.
const IDLE: Duration = Duration::from_secs(3_600);

/// As Kafka's coordinator answers where its log fails: clients ask again, for as long as they care to.
pub(crate) const STORAGE_FAILED: ResponseError = ResponseError::CoordinatorNotAvailable;

pub(crate) struct Coordinator {
    groups: Mutex<HashMap<String, Group>>,
    /// The right to change them is taken before `groups` where both are needed, so that a commit is checked and recorded in
    /// one piece.
    pub(super) offsets: Offsets,
    deadlines_changed: Notify,
    journal_bloated: Notify,
    limits: Limits,
}

/// Who sends a request, as far as it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    pub generation: i32,
}

impl Coordinator {
    pub(crate) fn new(offsets: Offsets, limits: Limits) -> Self {
        let groups = Mutex::new(HashMap::new());
        Self { groups, offsets, deadlines_changed: Notify::new(), journal_bloated: Notify::new(), limits }
    }

    pub(super) fn groups(&self) -> MutexGuard<'_, HashMap<String, Group>> {
        sync::lock(&self.groups)
    }

    pub(super) async fn deadlines_changed(&self) {
        self.deadlines_changed.notified().await;
    }

    pub(super) async fn journal_bloated(&self) {
        self.journal_bloated.notified().await;
    }

    /// Waits until what was recorded may be acknowledged.
    pub(crate) async fn synced(&self, mark: Mark) -> Result<(), Offline> {
        self.offsets.synced(mark).await
    }

    /// Syncs the journal of offsets, once nobody sends requests any more.
    pub(crate) fn stop(&self) {
        self.offsets.stop();
    }

    /// Brings the journal of offsets down to what is live.
    pub(super) fn compact(&self) -> io::Result<()> {
        self.offsets.compact()
    }

    pub(super) fn expire(&self, now: Instant) -> Instant {
        let mut deserted = Vec::new();
        let next = {
            let mut groups = self.groups();
            for (name, group) in groups.iter_mut() {
                let had_members = group.has_members();
                group.expire(now);
                if had_members && !group.has_members() {
                    deserted.push(name.clone());
                }
            }
            groups.values().filter_map(|group| group.next_deadline(now)).min().unwrap_or(now + IDLE)
        };
        self.note_usage(&deserted);
        next
    }

    /// Forgets groups that nobody uses and that have no offsets, and offsets that nobody used for so long.
    pub(super) fn sweep(&self, now_ms: i64, retention_ms: i64) -> io::Result<()> {
        let mut change = self.offsets.change();
        let expired = {
            let groups = self.groups();
            let is_in_use = |name: &str| groups.get(name).is_some_and(Group::has_members);
            change.ledger().expired(now_ms, retention_ms, is_in_use)
        };
        if !expired.is_empty() {
            tracing::info!(offsets = expired.len(), "forget committed offsets that nobody used for long");
            change.record(expired)?;
        }
        let ledger = change.ledger();
        self.groups().retain(|name, group| !group.is_deserted() || ledger.group(name).is_some());
        Ok(())
    }

    /// The answer waits for the mark: a note that the group is in use keeps its offsets from expiring.
    pub(crate) fn join(&self, group_id: &str, request: JoinRequest) -> (oneshot::Receiver<JoinReply>, Mark) {
        let (reply, answer) = oneshot::channel();
        if let Some(error) = self.refuse_join(group_id, &request) {
            // The receiver is right here.
            let _ = reply.send(JoinReply::refusal(request.member_id, error));
            return (answer, Mark::default());
        }
        let was_empty = {
            let mut groups = self.groups();
            let more = request.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum();
            if !self.has_room_for(&mut groups, group_id) || !self.has_room(&groups, more) {
                let _ = reply.send(JoinReply::refusal(request.member_id, ResponseError::GroupMaxSizeReached));
                return (answer, Mark::default());
            }
            let members_max = self.limits.group_members_max;
            let group = groups.entry(group_id.to_owned()).or_insert_with(|| Group::new(members_max));
            let was_empty = !group.has_members();
            group.join(request, reply, Instant::now());
            was_empty
        };
        let noted = if was_empty { self.note_usage(&[group_id.to_owned()]) } else { Mark::default() };
        self.deadlines_changed.notify_one();
        (answer, noted)
    }

    /// A group that nobody is in makes room for another one; its offsets stay.
    fn has_room_for(&self, groups: &mut HashMap<String, Group>, group_id: &str) -> bool {
        if groups.contains_key(group_id) || groups.len() < self.limits.groups_max {
            return true;
        }
        groups.retain(|_, group| !group.is_deserted());
        groups.len() < self.limits.groups_max
    }

    fn has_room(&self, groups: &HashMap<String, Group>, more: usize) -> bool {
        groups.values().map(Group::held_bytes).sum::<usize>() + more <= self.limits.group_bytes_max
    }

    fn refuse_join(&self, group_id: &str, request: &JoinRequest) -> Option<ResponseError> {
        if group_id.is_empty() {
            return Some(ResponseError::InvalidGroupId);
        }
        let allowed = self.limits.session_timeout_min..=self.limits.session_timeout_max;
        (!allowed.contains(&request.session_timeout)).then_some(ResponseError::InvalidSessionTimeout)
    }

    pub(crate) fn sync(&self, group_id: &str, request: SyncRequest) -> oneshot::Receiver<SyncReply> {
        let (reply, answer) = oneshot::channel();
        let mut groups = self.groups();
        let more = request.assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        let refusal = match groups.contains_key(group_id) {
            false => Some(ResponseError::UnknownMemberId),
            true => (!self.has_room(&groups, more)).then_some(ResponseError::GroupMaxSizeReached),
        };
        match groups.get_mut(group_id) {
            Some(group) if refusal.is_none() => group.sync(request, reply, Instant::now()),
            _ => drop(reply.send(Err(refusal.unwrap_or(ResponseError::UnknownMemberId)))),
        }
        drop(groups);
        self.deadlines_changed.notify_one();
        answer
    }

    pub(crate) fn heartbeat(&self, group_id: &str, sender: Sender<'_>) -> Result<(), ResponseError> {
        let mut groups = self.groups();
        let group = groups.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
        group.heartbeat(sender, Instant::now())
    }

    pub(crate) fn leave(
        &self,
        group_id: &str,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let (result, deserted) = {
            let mut groups = self.groups();
            let group = groups.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
            let result = group.leave(member_id, instance_id, Instant::now());
            (result, !group.has_members())
        };
        if deserted {
            self.note_usage(&[group_id.to_owned()]);
        }
        self.deadlines_changed.notify_one();
        result
    }

    /// Records offsets for a member, or for a consumer that assigns its partitions itself (an empty id, generation -1). They
    /// can be read at once, and are acknowledged when the mark is synced.
    pub(crate) fn commit(
        &self,
        group_id: &str,
        sender: Sender<'_>,
        commits: Vec<(Place, CommittedOffset)>,
    ) -> Result<Mark, ResponseError> {
        let mut change = self.offsets.change();
        match self.groups().get(group_id) {
            Some(group) => group.check_commit(sender)?,
            None if sender.generation >= 0 => return Err(ResponseError::IllegalGeneration),
            None => {}
        }
        {
            let ledger = change.ledger();
            if ledger.group(group_id).is_none() && ledger.groups() >= self.limits.groups_max {
                return Err(ResponseError::GroupMaxSizeReached);
            }
            if ledger.bytes() > self.limits.offset_bytes_max {
                return Err(ResponseError::InvalidCommitOffsetSize);
            }
        }
        let entry = |(place, committed)| Entry::CommittedAt { group: group_id.to_owned(), place, committed };
        let recorded = change
            .record(commits.into_iter().map(entry).collect())
            .and_then(|()| self.note_usage_of(&mut change, group_id))
            .map(|()| change.mark());
        drop(change);
        if self.offsets.is_bloated() {
            self.journal_bloated.notify_one();
        }
        recorded.map_err(|error| {
            tracing::error!(group = group_id, %error, "cannot record committed offsets");
            STORAGE_FAILED
        })
    }

    pub(crate) fn committed(&self, group_id: &str) -> BTreeMap<Place, CommittedOffset> {
        self.offsets.group(group_id)
    }

    /// A topic of the same name that comes later starts without these offsets.
    pub(crate) fn forget_topic(&self, topic: &str) -> io::Result<Mark> {
        let mut change = self.offsets.change();
        let is_known = change.ledger().has_topic(topic);
        if is_known {
            change.record(vec![Entry::TopicForgotten { topic: topic.to_owned() }])?;
        }
        Ok(change.mark())
    }
}
