//! All groups. Requests come in here and are answered by the group's state machine; `run` lets deadlines pass. Groups live
//! in memory only, as their members rejoin after a restart; offsets are kept.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use tokio::sync::{Notify, oneshot};

use super::group::Group;
use super::member::{JoinReply, JoinRequest, SyncReply, SyncRequest};
use super::offsets::{CommittedOffset, Offsets, Place};
use crate::config::Limits;
use crate::sync;

/// How long `run` sleeps when no group has a deadline; anything that makes one wakes it.
const IDLE: Duration = Duration::from_secs(3_600);

pub(crate) struct Coordinator {
    groups: Mutex<HashMap<String, Group>>,
    /// Taken before `groups` where both are needed, so that a commit is checked and recorded in one piece.
    offsets: Mutex<Offsets>,
    deadlines_changed: Notify,
    limits: Limits,
}

impl Coordinator {
    pub(crate) fn new(offsets: Offsets, limits: Limits) -> Self {
        let groups = Mutex::new(HashMap::new());
        Self { groups, offsets: Mutex::new(offsets), deadlines_changed: Notify::new(), limits }
    }

    /// Lets deadlines pass, for ever.
    pub(crate) async fn run(&self) {
        loop {
            let next = self.expire(Instant::now());
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.deadlines_changed.notified() => {}
            }
        }
    }

    fn expire(&self, now: Instant) -> Instant {
        let mut groups = sync::lock(&self.groups);
        groups.values_mut().for_each(|group| group.expire(now));
        groups.retain(|_, group| !group.is_deserted());
        groups.values().filter_map(|group| group.next_deadline(now)).min().unwrap_or(now + IDLE)
    }

    pub(crate) fn join(&self, group_id: &str, request: JoinRequest) -> oneshot::Receiver<JoinReply> {
        let (reply, answer) = oneshot::channel();
        let refusal = self.refuse_join(group_id, &request);
        if let Some(error) = refusal {
            // The receiver is right here.
            let _ = reply.send(JoinReply::refusal(request.member_id, error));
            return answer;
        }
        let mut groups = sync::lock(&self.groups);
        let more = request.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum();
        let is_one_too_many = !groups.contains_key(group_id) && groups.len() >= self.limits.groups_max;
        if is_one_too_many || !self.has_room(&groups, more) {
            let _ = reply.send(JoinReply::refusal(request.member_id, ResponseError::GroupMaxSizeReached));
            return answer;
        }
        let members_max = self.limits.group_members_max;
        let group = groups.entry(group_id.to_owned()).or_insert_with(|| Group::new(members_max));
        group.join(request, reply, Instant::now());
        self.deadlines_changed.notify_one();
        answer
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
        let mut groups = sync::lock(&self.groups);
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

    pub(crate) fn heartbeat(&self, group_id: &str, member_id: &str, generation: i32) -> Result<(), ResponseError> {
        let mut groups = sync::lock(&self.groups);
        let group = groups.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
        group.heartbeat(member_id, generation, Instant::now())
    }

    pub(crate) fn leave(&self, group_id: &str, member_id: &str) -> Result<(), ResponseError> {
        let result = {
            let mut groups = sync::lock(&self.groups);
            let group = groups.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)?;
            group.leave(member_id, Instant::now())
        };
        self.deadlines_changed.notify_one();
        result
    }

    /// Records offsets for a member, or for a consumer that assigns its partitions itself (an empty id, generation -1).
    pub(crate) fn commit(
        &self,
        group_id: &str,
        member_id: &str,
        generation: i32,
        commits: Vec<(Place, CommittedOffset)>,
    ) -> Result<(), ResponseError> {
        let mut offsets = sync::lock(&self.offsets);
        match sync::lock(&self.groups).get(group_id) {
            Some(group) => group.check_commit(member_id, generation)?,
            None if generation >= 0 => return Err(ResponseError::IllegalGeneration),
            None => {}
        }
        if offsets.group(group_id).is_none() && offsets.groups() >= self.limits.groups_max {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        if offsets.bytes() > self.limits.offset_bytes_max {
            return Err(ResponseError::InvalidCommitOffsetSize);
        }
        offsets.commit(group_id, commits).map_err(|error| {
            tracing::error!(group = group_id, %error, "cannot record committed offsets");
            ResponseError::KafkaStorageError
        })
    }

    pub(crate) fn committed(&self, group_id: &str) -> BTreeMap<Place, CommittedOffset> {
        sync::lock(&self.offsets).group(group_id).cloned().unwrap_or_default()
    }

    pub(crate) fn forget_topic(&self, topic: &str) -> io::Result<()> {
        sync::lock(&self.offsets).forget_topic(topic)
    }
}
