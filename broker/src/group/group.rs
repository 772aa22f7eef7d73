//! One group. Every entry takes the time as an argument and answers through the sender that came with the request, at once
//! or when a later entry (another member's, or `expire`) completes what it waits for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;

use super::coordinator::Sender;
use super::machine::{Event, State};
use super::member::{JoinReply, JoinedMember, Member, SyncReply, SyncRequest, Synced};

pub(crate) struct Group {
    pub(super) state: State,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Which member an instance id stands for.
    pub(super) statics: BTreeMap<String, String>,
    /// Ids that were given out and have not joined yet, with the time to forget them.
    pub(super) pending: BTreeMap<String, Instant>,
    /// When the open round closes, or when members that have not synced are given up.
    round_deadline: Option<Instant>,
    /// The first round of a group waits for nobody, as its members come one by one and nobody has anything to give up.
    is_first_round: bool,
    pub(super) members_max: usize,
    pub(super) came: u64,
}

impl Group {
    pub(crate) fn new(members_max: usize) -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            round_deadline: None,
            is_first_round: false,
            members_max,
            came: 0,
        }
    }

    /// Nobody is or is about to be here.
    pub(crate) fn is_deserted(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    pub(crate) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// What it keeps of what its members told and were assigned.
    pub(crate) fn held_bytes(&self) -> usize {
        let of_member = |member: &Member| {
            let protocols: usize = member.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum();
            protocols + member.assignment.len()
        };
        self.members.values().map(of_member).sum()
    }

    pub(super) fn membership_changed(&mut self, now: Instant) {
        if self.state != State::PreparingRebalance {
            for member in self.members.values_mut() {
                member.answer_sync(Err(ResponseError::RebalanceInProgress));
            }
            self.is_first_round = self.state == State::Empty;
            self.state = self.state.after(Event::MembershipChanged);
            self.round_deadline = Some(now + self.longest_rebalance());
        }
        self.close_round_if_complete(now);
    }

    fn close_round_if_complete(&mut self, now: Instant) {
        let nobody_is_about_to = self.is_first_round || self.pending.is_empty();
        let complete = nobody_is_about_to && self.members.values().all(Member::is_joining);
        if self.state == State::PreparingRebalance && complete {
            self.close_round(now);
        }
    }

    /// Starts a new generation with those who have joined and forgets the others, but for those with an instance id: they
    /// are expected back until their session times out.
    fn close_round(&mut self, now: Instant) {
        self.members.retain(|_, member| member.is_joining() || member.instance_id.is_some());
        if !self.members.is_empty() && !self.members.values().any(Member::is_joining) {
            self.round_deadline = Some(now + self.longest_rebalance());
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.members.is_empty() {
            self.state = self.state.after(Event::RoundDeserted);
            self.round_deadline = None;
            self.protocol = None;
            self.leader = None;
            return;
        }
        self.state = self.state.after(Event::RoundClosed);
        self.protocol = self.vote();
        let has_joined = |leader: &String| self.members.get(leader).is_some_and(Member::is_joining);
        self.leader = self.leader.take().filter(has_joined).or_else(|| self.eldest());
        self.round_deadline = Some(now + self.longest_rebalance());
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let reply = self.join_reply(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = Bytes::new();
                member.has_synced = false;
                member.heard_of(now);
                member.answer_join(reply);
            }
        }
    }

    fn longest_rebalance(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or(Duration::ZERO)
    }

    /// Of those who have joined this round.
    fn eldest(&self) -> Option<String> {
        let joined = self.members.iter().filter(|(_, member)| member.is_joining());
        joined.min_by_key(|(_, member)| member.came).map(|(id, _)| id.clone())
    }

    /// Of the protocols that all know, the one that most prefer.
    pub(super) fn vote(&self) -> Option<String> {
        let known_to_all =
            |name: &str| self.members.values().all(|member| member.protocols.iter().any(|(known, _)| known == name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| known_to_all(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(name, _)| name.to_owned())
    }

    pub(super) fn join_reply(&self, member_id: &str) -> JoinReply {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let leads = self.leader.as_deref() == Some(member_id);
        let joined = |(id, member): (&String, &Member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        JoinReply {
            skip_assignment: false,
            error: None,
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            members: if leads { self.members.iter().map(joined).collect() } else { Vec::new() },
        }
    }

    pub(crate) fn sync(&mut self, request: SyncRequest, reply: oneshot::Sender<SyncReply>, now: Instant) {
        let answer = match self.check_sync(&request) {
            Err(error) => Err(error),
            Ok(()) => {
                let leads = self.leader.as_deref() == Some(&request.member_id);
                let Some(member) = self.members.get_mut(&request.member_id) else { return };
                member.has_synced = true;
                member.heard_of(now);
                member.syncing = Some(reply);
                if self.state == State::CompletingRebalance && leads {
                    self.assign(request.assignments);
                }
                return self.answer_syncs(now);
            }
        };
        let _ = reply.send(answer);
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), ResponseError> {
        self.check_member(request.sender())?;
        let differs = |given: &Option<String>, ours: &Option<String>| given.is_some() && given != ours;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>) {
        for (member_id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&member_id) {
                member.assignment = assignment;
            }
        }
        self.state = self.state.after(Event::LeaderAssigned);
    }

    fn answer_syncs(&mut self, now: Instant) {
        if self.state != State::Stable {
            return;
        }
        for member in self.members.values_mut().filter(|member| member.syncing.is_some()) {
            member.heard_of(now);
            let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
            member.answer_sync(Ok(Synced { protocol_type, protocol, assignment: member.assignment.clone() }));
        }
    }

    /// Whoever comes under an instance id that another member has taken over since is told so, and ends.
    pub(super) fn check_identity(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance_id) = instance_id {
            let holder = self.statics.get(instance_id).ok_or(ResponseError::UnknownMemberId)?;
            if holder != member_id {
                return Err(ResponseError::FencedInstanceId);
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(ResponseError::UnknownMemberId),
        }
    }

    fn check_member(&self, sender: Sender<'_>) -> Result<(), ResponseError> {
        self.check_identity(sender.member_id, sender.instance_id)?;
        if sender.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        Ok(())
    }

    pub(crate) fn heartbeat(&mut self, sender: Sender<'_>, now: Instant) -> Result<(), ResponseError> {
        self.check_member(sender)?;
        if let Some(member) = self.members.get_mut(sender.member_id) {
            member.heard_of(now);
        }
        match self.state {
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// An instance id alone will do: tools have no other name for a member.
    pub(crate) fn leave(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if self.pending.remove(member_id).is_some() {
            self.close_round_if_complete(now);
            return Ok(());
        }
        let member_id = match instance_id.filter(|_| member_id.is_empty()) {
            Some(instance_id) => self.statics.get(instance_id).cloned().ok_or(ResponseError::UnknownMemberId)?,
            None => member_id.to_owned(),
        };
        self.check_identity(&member_id, instance_id)?;
        self.remove(|id, _| id == member_id, now);
        Ok(())
    }

    /// Whether offsets may be committed by this member, or by nobody in particular (an empty id and generation -1).
    pub(crate) fn check_commit(&self, sender: Sender<'_>) -> Result<(), ResponseError> {
        if sender.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        self.check_member(sender)?;
        match self.state {
            State::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::PreparingRebalance | State::Stable => Ok(()),
        }
    }

    fn remove(&mut self, gone: impl Fn(&str, &Member) -> bool, now: Instant) {
        let mut removed = false;
        self.members.retain(|id, member| {
            let stays = !gone(id, member);
            if !stays {
                member.answer_join(JoinReply::refusal(id.as_str(), ResponseError::UnknownMemberId));
                member.answer_sync(Err(ResponseError::UnknownMemberId));
                removed = true;
            }
            stays
        });
        if removed {
            self.statics.retain(|_, member_id| self.members.contains_key(member_id));
            self.leader.take_if(|leader| !self.members.contains_key(leader));
            self.membership_changed(now);
        }
    }

    /// Lets pass what is due: members that were not heard of, ids that nobody used, rounds that waited long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.pending.retain(|_, deadline| *deadline > now);
        self.remove(|_, member| member.deadline <= now && !member.is_waiting(), now);
        self.close_round_if_complete(now);
        if self.round_deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        match self.state {
            State::PreparingRebalance => self.close_round(now),
            State::CompletingRebalance | State::Stable => {
                self.round_deadline = None;
                self.remove(|_, member| !member.has_synced, now);
            }
            State::Empty => self.round_deadline = None,
        }
    }

    /// When `expire` has something to do next.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let members = self.members.values();
        let unheard =
            members.filter(|member| member.deadline > now || !member.is_waiting()).map(|member| member.deadline);
        unheard.chain(self.pending.values().copied()).chain(self.round_deadline).min()
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
