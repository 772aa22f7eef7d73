use std::collections::HashMap;

use super::super::member::JoinRequest;
use super::*;

fn sender(member_id: &str, generation: i32) -> Sender<'_> {
    Sender { member_id, instance_id: None, generation }
}

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
        self.join_as(None, member_id, protocols)
    }

    fn join_as(&mut self, instance_id: Option<&str>, member_id: &str, protocols: &[&str]) -> Joining {
        let (reply, answer) = oneshot::channel();
        let protocols = protocols.iter().map(|name| ((*name).to_owned(), Bytes::from_static(b"m"))).collect();
        let request = JoinRequest {
            member_id: member_id.to_owned(),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            instance_id: instance_id.map(str::to_owned),
            protocol_type: "consumer".to_owned(),
            protocols,
            session_timeout: Duration::from_secs(6),
            rebalance_timeout: Duration::from_secs(60),
            learns_id_first: true,
            may_skip_assignment: true,
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
            instance_id: None,
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
        self.group.heartbeat(sender(member_id, generation), self.now)
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
    assert_eq!(scene.group.heartbeat(sender(&a, 9), scene.now), Err(ResponseError::IllegalGeneration));
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
    scene.group.leave(&a, None, scene.now).unwrap();
    assert_eq!(scene.group.state, State::PreparingRebalance);
    assert_eq!(scene.group.leave(&a, None, scene.now), Err(ResponseError::UnknownMemberId));
    scene.group.leave(&b, None, scene.now).unwrap();
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
    assert_eq!(scene.group.check_commit(sender(&a, 2)), Ok(()));
    assert_eq!(scene.group.check_commit(sender(&a, 1)), Err(ResponseError::IllegalGeneration));
    assert_eq!(scene.group.check_commit(sender("", -1)), Err(ResponseError::UnknownMemberId));
    let (mut a_joins, _b_joins) = (scene.join(&a, &["range"]), scene.join(&b, &["range"]));
    assert_eq!(a_joins.try_recv().unwrap().generation, 3);
    assert_eq!(scene.group.check_commit(sender(&a, 3)), Err(ResponseError::RebalanceInProgress));
    assert_eq!(Group::new(1).check_commit(sender("", -1)), Ok(()));
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
                    let _ = scene.group.leave(&id, None, scene.now);
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

/// A stable group of generation 1, led by a member with the instance id "i".
fn led_by_a_static_member() -> (Scene, String) {
    let mut scene = Scene::new();
    let joined = scene.join_as(Some("i"), "", &["range"]).try_recv().unwrap();
    assert_eq!((joined.error, joined.generation), (None, 1));
    assert!(joined.member_id.starts_with("i-"));
    scene.sync(&joined.member_id, 1, &[(&joined.member_id, "x")]).try_recv().unwrap().unwrap();
    (scene, joined.member_id)
}

#[test]
fn who_comes_back_under_its_instance_id_keeps_its_part_without_a_round() {
    let (mut scene, before) = led_by_a_static_member();
    let back = scene.join_as(Some("i"), "", &["range"]).try_recv().unwrap();
    assert_eq!((back.error, back.generation, back.skip_assignment), (None, 1, true));
    assert_eq!((&back.leader, back.members.len()), (&back.member_id, 1));
    assert_ne!(back.member_id, before);
    let synced = scene.sync(&back.member_id, 1, &[]).try_recv().unwrap().unwrap();
    assert_eq!(synced.assignment, "x");
    let late = Sender { instance_id: Some("i"), ..sender(&before, 1) };
    assert_eq!(scene.group.heartbeat(late, scene.now), Err(ResponseError::FencedInstanceId));
    assert_eq!(scene.group.check_commit(late), Err(ResponseError::FencedInstanceId));
    let rejoined = scene.join_as(Some("i"), &before, &["range"]).try_recv().unwrap();
    assert_eq!(rejoined.error, Some(ResponseError::FencedInstanceId));
}

#[test]
fn a_predecessor_that_waits_is_fenced() {
    let (mut scene, a) = led_by_a_static_member();
    let b = scene.new_id();
    let mut b_joins = scene.join(&b, &["range"]);
    let mut a_joins = scene.join_as(Some("j"), "", &["range"]);
    let mut successor = scene.join_as(Some("j"), "", &["range"]);
    assert_eq!(a_joins.try_recv().unwrap().error, Some(ResponseError::FencedInstanceId));
    let mut leader = scene.join_as(Some("i"), &a, &["range"]);
    for joining in [&mut b_joins, &mut successor, &mut leader] {
        assert_eq!(joining.try_recv().unwrap().generation, 2);
    }
}

#[test]
fn a_static_member_that_is_away_stays_until_its_session_ends() {
    let (mut scene, a) = led_by_a_static_member();
    let b = scene.new_id();
    let mut b_joins = scene.join(&b, &["range"]);
    // Its session is longer than the round here, as the round is shortened.
    scene.group.members.get_mut(&a).unwrap().deadline = scene.now + Duration::from_secs(600);
    scene.pass(61);
    let joined = b_joins.try_recv().unwrap();
    assert_eq!((joined.generation, joined.leader.as_str(), joined.members.len()), (2, b.as_str(), 2));
    scene.pass(6);
    assert!(!scene.group.statics.contains_key("i"));
}

#[test]
fn an_instance_id_is_enough_to_leave() {
    let (mut scene, a) = led_by_a_static_member();
    assert_eq!(scene.group.leave(&a, Some("other"), scene.now), Err(ResponseError::UnknownMemberId));
    assert_eq!(scene.group.leave("", Some("other"), scene.now), Err(ResponseError::UnknownMemberId));
    assert_eq!(scene.group.leave("somebody", Some("i"), scene.now), Err(ResponseError::FencedInstanceId));
    scene.group.leave("", Some("i"), scene.now).unwrap();
    assert!(scene.group.is_deserted() && scene.group.statics.is_empty());
}
