//! One group. Every entry takes the time as an argument and answers through the sender that came with the request, at once
//! or when a later entry (another member's, or `expire`) completes what it waits for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::machine::{Event, State};
use super::member::{JoinReply, JoinRequest, JoinedMember, Member, SyncReply, SyncRequest, Synced};

/// How much of a client's id becomes part of its member id.
const CLIENT_ID_CHARS: usize = 64;

pub(crate) struct Group {
    state: State,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Ids that were given out and have not joined yet, with the time to forget them.
    pending: BTreeMap<String, Instant>,
    /// When the open round closes, or when members that have not synced are given up.
    round_deadline: Option<Instant>,
    /// The first round of a group waits for nobody, as its members come one by one and nobody has anything to give up.
    is_first_round: bool,
    members_max: usize,
    came: u64,
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

    /// What it keeps of what its members told and were assigned.
    pub(crate) fn held_bytes(&self) -> usize {
        let of_member = |member: &Member| {
            let protocols: usize = member.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum();
            protocols + member.assignment.len()
        };
        self.members.values().map(of_member).sum()
    }

    pub(crate) fn join(&mut self, request: JoinRequest, reply: oneshot::Sender<JoinReply>, now: Instant) {
        match self.admit(request, now) {
            Admission::Waits(member_id) => {
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.joining = Some(reply);
                }
                self.membership_changed(now);
            }
            // Nobody listens if the connection is gone.
            Admission::Answered(answer) => drop(reply.send(*answer)),
        }
    }

    fn admit(&mut self, request: JoinRequest, now: Instant) -> Admission {
        if !self.can_agree_with(&request) {
            return Admission::refused(request.member_id, ResponseError::InconsistentGroupProtocol);
        }
        if request.member_id.is_empty() {
            return self.admit_stranger(request, now);
        }
        if self.pending.remove(&request.member_id).is_some() {
            return self.insert(request.member_id.clone(), request, now);
        }
        let Some(member) = self.members.get_mut(&request.member_id) else {
            return Admission::refused(request.member_id, ResponseError::UnknownMemberId);
        };
        let wants_the_same = member.protocols == request.protocols;
        let leads = self.leader.as_deref() == Some(&request.member_id);
        let goes_on = match self.state {
            State::Empty | State::PreparingRebalance => false,
            State::CompletingRebalance => wants_the_same,
            State::Stable => wants_the_same && !leads,
        };
        member.protocols = request.protocols;
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        member.heard_of(now);
        match goes_on {
            true => Admission::Answered(Box::new(self.join_reply(&request.member_id))),
            false => Admission::Waits(request.member_id),
        }
    }

    fn admit_stranger(&mut self, request: JoinRequest, now: Instant) -> Admission {
        if self.members.len() + self.pending.len() >= self.members_max {
            return Admission::refused(request.member_id, ResponseError::GroupMaxSizeReached);
        }
        let member_id = new_member_id(&request.client_id);
        if request.learns_id_first && request.instance_id.is_none() {
            self.pending.insert(member_id.clone(), now + request.session_timeout);
            return Admission::refused(member_id, ResponseError::MemberIdRequired);
        }
        self.insert(member_id, request, now)
    }

    /// Whether all members, with this one, have a protocol in common.
    fn can_agree_with(&self, request: &JoinRequest) -> bool {
        if request.protocols.is_empty() || request.protocol_type.is_empty() {
            return false;
        }
        let others = self.members.iter().filter(|(id, _)| **id != request.member_id);
        let others: Vec<&Member> = others.map(|(_, member)| member).collect();
        let knows = |member: &Member, name: &str| member.protocols.iter().any(|(known, _)| known == name);
        let in_common = |name: &str| others.iter().all(|member| knows(member, name));
        others.is_empty()
            || self.protocol_type.as_deref() == Some(&request.protocol_type)
                && request.protocols.iter().any(|(name, _)| in_common(name))
    }

    fn insert(&mut self, member_id: String, request: JoinRequest, now: Instant) -> Admission {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        self.came += 1;
        let member = Member {
            instance_id: request.instance_id,
            protocols: request.protocols,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            assignment: Bytes::new(),
            deadline: now + request.session_timeout,
            joining: None,
            syncing: None,
            has_synced: false,
            came: self.came,
        };
        self.members.insert(member_id.clone(), member);
        Admission::Waits(member_id)
    }

    fn membership_changed(&mut self, now: Instant) {
        if self.state != State::PreparingRebalance {
            for member in self.members.values_mut() {
                member.answer_sync(Err(ResponseError::RebalanceInProgress));
            }
            self.is_first_round = self.state == State::Empty;
            self.state = self.state.after(Event::MembershipChanged);
            let longest = self.members.values().map(|member| member.rebalance_timeout).max();
            self.round_deadline = Some(now + longest.unwrap_or(Duration::ZERO));
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

    /// Starts a new generation with those who have joined and forgets the others.
    fn close_round(&mut self, now: Instant) {
        self.members.retain(|_, member| member.is_joining());
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
        self.leader = self.leader.take().filter(|leader| self.members.contains_key(leader)).or_else(|| self.eldest());
        let longest = self.members.values().map(|member| member.rebalance_timeout).max();
        self.round_deadline = longest.map(|longest| now + longest);
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

    fn eldest(&self) -> Option<String> {
        self.members.iter().min_by_key(|(_, member)| member.came).map(|(id, _)| id.clone())
    }

    /// Of the protocols that all know, the one that most prefer.
    fn vote(&self) -> Option<String> {
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

    fn join_reply(&self, member_id: &str) -> JoinReply {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let leads = self.leader.as_deref() == Some(member_id);
        let joined = |(id, member): (&String, &Member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        JoinReply {
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
        self.check_member(&request.member_id, request.generation)?;
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

    fn check_member(&self, member_id: &str, generation: i32) -> Result<(), ResponseError> {
        if !self.members.contains_key(member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        Ok(())
    }

    pub(crate) fn heartbeat(&mut self, member_id: &str, generation: i32, now: Instant) -> Result<(), ResponseError> {
        self.check_member(member_id, generation)?;
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard_of(now);
        }
        match self.state {
            State::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    pub(crate) fn leave(&mut self, member_id: &str, now: Instant) -> Result<(), ResponseError> {
        if self.pending.remove(member_id).is_some() {
            self.close_round_if_complete(now);
            return Ok(());
        }
        if !self.members.contains_key(member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(|id, _| id == member_id, now);
        Ok(())
    }

    /// Whether offsets may be committed by this member, or by nobody in particular (an empty id and generation -1).
    pub(crate) fn check_commit(&self, member_id: &str, generation: i32) -> Result<(), ResponseError> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        self.check_member(member_id, generation)?;
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

enum Admission {
    /// This member waits for the round to close.
    Waits(String),
    Answered(Box<JoinReply>),
}

impl Admission {
    fn refused(member_id: String, error: ResponseError) -> Self {
        Self::Answered(Box::new(JoinReply::refusal(member_id, error)))
    }
}

fn new_member_id(client_id: &str) -> String {
    let client_id: String = client_id.chars().take(CLIENT_ID_CHARS).collect();
    format!("{client_id}-{}", Uuid::new_v4())
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
