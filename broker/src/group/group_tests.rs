use std::collections::HashMap;

use super::*;

struct Scene {
    group: Group,
    now: Instant,
}

type Joining = oneshot::Receiver<JoinReply>;

impl Scene {
    fn new() -> Self {
        Self { group: Group::new(10), now: Instant::now() }
    }

    fn join(&mut self, member_id: &str, protocols: &[&str]) -> Joining {
        let (reply, answer) = oneshot::channel();
        let protocols = protocols.iter().map(|name| ((*name).to_owned(), Bytes::from_static(b"m"))).collect();
        let request = JoinRequest {
            member_id: member_id.to_owned(),
            client_id: "client".to_owned(),
            instance_id: None,
            protocol_type: "consumer".to_owned(),
            protocols,
            session_timeout: Duration::from_secs(6),
            rebalance_timeout: Duration::from_secs(60),
            learns_id_first: true,
        };
        self.group.join(request, reply, self.now);
        answer
    }

    fn new_id(&mut self) -> String {
        let refusal = self.join("", &["range"]).try_recv().unwrap();
        assert_eq!(refusal.error, Some(ResponseError::MemberIdRequired));
        refusal.member_id
    }

    fn sync(
        &mut self,
        member_id: &str,
        generation: i32,
        plan: &[(&str, &'static str)],
    ) -> oneshot::Receiver<SyncReply> {
        let (reply, answer) = oneshot::channel();
        let request = SyncRequest {
            member_id: member_id.to_owned(),
            generation,
            protocol_type: None,
            protocol: None,
            assignments: plan
                .iter()
                .map(|(id, what)| ((*id).to_owned(), Bytes::from_static(what.as_bytes())))
                .collect(),
        };
        self.group.sync(request, reply, self.now);
        answer
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.group.expire(self.now);
    }

    fn heartbeat(&mut self, member_id: &str) -> Result<(), ResponseError> {
        let generation = self.group.generation;
        self.group.heartbeat(member_id, generation, self.now)
    }

    /// Two members, the first of which leads, with everything assigned in generation 2.
    fn stable() -> (Self, String, String) {
        let mut scene = Self::new();
        let a = scene.new_id();
        assert_eq!(scene.join(&a, &["range"]).try_recv().unwrap().generation, 1);
        let b = scene.new_id();
        let mut joining = [scene.join(&b, &["range"]), scene.join(&a, &["range"])];
        let leader = joining[1].try_recv().unwrap();
        assert_eq!((leader.generation, leader.members.len(), leader.leader == a), (2, 2, true));
        assert!(joining[0].try_recv().unwrap().members.is_empty());
        let mut waiting = scene.sync(&b, 2, &[]);
        assert!(waiting.try_recv().is_err());
        assert_eq!(scene.sync(&a, 2, &[(&a, "x"), (&b, "y")]).try_recv().unwrap().unwrap().assignment, "x");
        assert_eq!(waiting.try_recv().unwrap().unwrap().assignment, "y");
        (scene, a, b)
    }
}

#[test]
fn members_join_sync_and_become_stable() {
    let (mut scene, a, b) = Scene::stable();
    assert_eq!(scene.group.state, State::Stable);
    assert_eq!(scene.heartbeat(&a), Ok(()));
    assert_eq!(scene.heartbeat(&b), Ok(()));
    assert_eq!(scene.group.heartbeat(&a, 9, scene.now), Err(ResponseError::IllegalGeneration));
    assert_eq!(scene.heartbeat("stranger"), Err(ResponseError::UnknownMemberId));
}

#[test]
fn an_id_that_was_given_out_holds_the_round_open_until_it_expires() {
    let (mut scene, a, b) = Scene::stable();
    let _never_joins = scene.new_id();
    let mut joining = [scene.join(&a, &["range"]), scene.join(&b, &["range"])];
    assert!(joining[0].try_recv().is_err());
    scene.pass(7);
    assert_eq!(joining[0].try_recv().unwrap().members.len(), 2);
}

#[test]
fn a_newcomer_opens_a_round_that_closes_when_all_have_joined_again() {
    let (mut scene, a, b) = Scene::stable();
    let c = scene.new_id();
    let mut c_joins = scene.join(&c, &["range"]);
    assert_eq!(scene.heartbeat(&a), Err(ResponseError::RebalanceInProgress));
    assert_eq!(scene.sync(&b, 2, &[]).try_recv().unwrap(), Err(ResponseError::RebalanceInProgress));
    let mut a_joins = scene.join(&a, &["range"]);
    assert!(c_joins.try_recv().is_err());
    let mut b_joins = scene.join(&b, &["range"]);
    for joining in [&mut a_joins, &mut b_joins, &mut c_joins] {
        assert_eq!(joining.try_recv().unwrap().generation, 3);
    }
}

#[test]
fn who_does_not_join_again_in_time_is_left_behind() {
    let (mut scene, a, b) = Scene::stable();
    let mut a_joins = scene.join(&a, &["range"]);
    for _ in 0..12 {
        assert_eq!(scene.heartbeat(&b), Err(ResponseError::RebalanceInProgress));
        scene.pass(5);
    }
    let reply = a_joins.try_recv().unwrap();
    assert_eq!((reply.generation, reply.members.len()), (3, 1));
    assert_eq!(scene.heartbeat(&b), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_silent_member_is_given_up_and_the_rest_rebalances() {
    let (mut scene, a, b) = Scene::stable();
    scene.pass(4);
    scene.heartbeat(&b).unwrap();
    scene.pass(3);
    assert_eq!(scene.heartbeat(&b), Err(ResponseError::RebalanceInProgress));
    assert_eq!(scene.heartbeat(&a), Err(ResponseError::UnknownMemberId));
    let reply = scene.join(&b, &["range"]).try_recv().unwrap();
    assert_eq!((reply.leader, reply.members.len()), (b, 1));
}

#[test]
fn a_leaving_member_opens_a_round_and_the_last_one_empties_the_group() {
    let (mut scene, a, b) = Scene::stable();
    scene.group.leave(&a, scene.now).unwrap();
    assert_eq!(scene.group.state, State::PreparingRebalance);
    assert_eq!(scene.group.leave(&a, scene.now), Err(ResponseError::UnknownMemberId));
    scene.group.leave(&b, scene.now).unwrap();
    assert_eq!(scene.group.state, State::Empty);
    assert!(scene.group.is_deserted());
}

#[test]
fn a_leader_that_never_assigns_is_given_up() {
    let (mut scene, a, b) = Scene::stable();
    let _joins = [scene.join(&a, &["range"]), scene.join(&b, &["range"])];
    let mut waiting = scene.sync(&b, 3, &[]);
    scene.pass(7);
    assert_eq!(waiting.try_recv().unwrap(), Err(ResponseError::RebalanceInProgress));
    assert_eq!(scene.heartbeat(&a), Err(ResponseError::UnknownMemberId));
}

#[test]
fn who_heartbeats_but_never_syncs_is_given_up() {
    let (mut scene, a, b) = Scene::stable();
    let _joins = [scene.join(&a, &["range"]), scene.join(&b, &["range"])];
    scene.sync(&a, 3, &[]).try_recv().unwrap().unwrap();
    for _ in 0..12 {
        let (_, _) = (scene.heartbeat(&a), scene.heartbeat(&b));
        scene.pass(5);
    }
    assert_eq!(scene.heartbeat(&b), Err(ResponseError::UnknownMemberId));
    assert_eq!(scene.heartbeat(&a), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn a_joiner_whose_connection_is_gone_does_not_keep_the_others_waiting() {
    let (mut scene, a, b) = Scene::stable();
    drop(scene.join(&b, &["range"]));
    let mut a_joins = scene.join(&a, &["range"]);
    assert!(a_joins.try_recv().is_err());
    scene.pass(7);
    assert_eq!(a_joins.try_recv().unwrap().members.len(), 1);
}

#[test]
fn the_protocol_is_one_that_all_know() {
    let (mut scene, a, b) = Scene::stable();
    let c = scene.new_id();
    let mut c_joins = scene.join(&c, &["sticky", "range"]);
    let _joins = [scene.join(&a, &["range", "sticky"]), scene.join(&b, &["range", "sticky"])];
    assert_eq!(c_joins.try_recv().unwrap().protocol.as_deref(), Some("range"));
    let stranger = scene.join("", &["roundrobin"]).try_recv().unwrap();
    assert_eq!(stranger.error, Some(ResponseError::InconsistentGroupProtocol));
}

#[test]
fn a_repeated_join_gets_the_same_generation_unless_the_leader_asks() {
    let (mut scene, a, b) = Scene::stable();
    assert_eq!(scene.join(&b, &["range"]).try_recv().unwrap().generation, 2);
    let mut a_joins = scene.join(&a, &["range"]);
    assert!(a_joins.try_recv().is_err());
    assert_eq!(scene.group.state, State::PreparingRebalance);
}

#[test]
fn commits_are_for_members_of_this_generation_or_for_an_empty_group() {
    let (mut scene, a, b) = Scene::stable();
    assert_eq!(scene.group.check_commit(&a, 2), Ok(()));
    assert_eq!(scene.group.check_commit(&a, 1), Err(ResponseError::IllegalGeneration));
    assert_eq!(scene.group.check_commit("", -1), Err(ResponseError::UnknownMemberId));
    let (mut a_joins, _b_joins) = (scene.join(&a, &["range"]), scene.join(&b, &["range"]));
    assert_eq!(a_joins.try_recv().unwrap().generation, 3);
    assert_eq!(scene.group.check_commit(&a, 3), Err(ResponseError::RebalanceInProgress));
    assert_eq!(Group::new(1).check_commit("", -1), Ok(()));
}

#[test]
fn the_group_has_a_limit() {
    let mut scene = Scene::new();
    for _ in 0..10 {
        scene.new_id();
    }
    assert_eq!(scene.join("", &["range"]).try_recv().unwrap().error, Some(ResponseError::GroupMaxSizeReached));
}

/// Random joins, syncs, departures and pauses: the group never answers twice, never has a generation go back, and always
/// has a deadline while someone waits.
#[test]
fn any_order_of_events_keeps_the_group_sound() {
    use rand::{Rng, SeedableRng};
    for seed in 0..200 {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut scene = Scene::new();
        let mut ids: Vec<String> = Vec::new();
        let mut joining: HashMap<String, Joining> = HashMap::new();
        let mut generation = 0;
        for _ in 0..200 {
            let picked = (!ids.is_empty()).then(|| ids[random.random_range(0..ids.len())].clone());
            match (random.random_range(0..6), picked) {
                (0, _) if ids.len() < 8 => ids.push(scene.new_id()),
                (1 | 2, Some(id)) => {
                    let answer = scene.join(&id, &["range"]);
                    joining.insert(id, answer);
                }
                (3, Some(id)) => {
                    let current = scene.group.generation;
                    drop(scene.sync(&id, current, &[]));
                }
                (4, Some(id)) if random.random_bool(0.3) => {
                    let _ = scene.group.leave(&id, scene.now);
                }
                (5, _) => scene.pass(random.random_range(0..10)),
                _ => {}
            }
            assert!(scene.group.generation >= generation);
            generation = scene.group.generation;
            let waits = scene.group.members.values().any(Member::is_waiting);
            assert!(!waits || scene.group.next_deadline(scene.now).is_some(), "seed {seed}");
            let led = matches!(scene.group.state, State::CompletingRebalance | State::Stable);
            assert!(
                !led || scene.group.leader.as_ref().is_some_and(|l| scene.group.members.contains_key(l)),
                "seed {seed}"
            );
        }
    }
}
