//! Members with an instance id of their own (KIP-345).

use anyhow::Result;
use conformance::calls::error;
use conformance::cluster::{Cluster, on_every_broker};
use conformance::groups::Member;
use conformance::wire::text;
use kafka_protocol::error::ResponseError::*;
use kafka_protocol::messages::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_request::MemberIdentity;

async fn newcomer(cluster: &Cluster, group: &str, instance_id: &str) -> Result<Member> {
    let mut member = Member::of(cluster, group).await?;
    member.instance_id = Some(instance_id.to_owned());
    Ok(member)
}

/// A leader "a" and a follower "b", with their assignments in generation 2.
async fn pair(cluster: &Cluster, group: &str) -> Result<(Member, Member)> {
    let mut a = newcomer(cluster, group, "a").await?;
    assert_eq!(error(a.join().await?.error_code), None);
    assert_eq!(a.sync(&[]).await?.error_code, 0);
    let mut b = newcomer(cluster, group, "b").await?;
    b.send_join().await?;
    while a.heartbeat().await? != Some(RebalanceInProgress) {
        tokio::task::yield_now().await;
    }
    let joined = a.join().await?;
    let mut instances: Vec<_> = joined.members.iter().filter_map(|member| member.group_instance_id.clone()).collect();
    instances.sort();
    assert_eq!(instances, [text("a"), text("b")]);
    b.joined().await?;
    assert_eq!((a.generation, b.generation), (2, 2));
    let (first, second) = (a.id.clone(), b.id.clone());
    assert_eq!(a.sync(&[(&first, "one"), (&second, "two")]).await?.assignment, "one");
    assert_eq!(b.sync(&[]).await?.assignment, "two");
    Ok((a, b))
}

#[tokio::test]
async fn a_member_that_comes_back_keeps_its_part_and_disturbs_nobody() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("static");
        let (mut a, mut b) = pair(cluster, &group).await?;
        let mut again = newcomer(cluster, &group, "b").await?;
        let joined = again.join().await?;
        assert_eq!((error(joined.error_code), joined.generation_id, joined.skip_assignment), (None, 2, false));
        assert_eq!((joined.leader.as_str(), joined.members.len()), (a.id.as_str(), 0));
        assert_ne!(again.id, b.id);
        assert_eq!(again.sync(&[]).await?.assignment, "two");
        assert_eq!((a.heartbeat().await?, again.heartbeat().await?), (None, None));
        assert_eq!(b.heartbeat().await?, Some(FencedInstanceId));
        assert_eq!(error(b.sync(&[]).await?.error_code), Some(FencedInstanceId));
        assert_eq!(error(b.join().await?.error_code), Some(FencedInstanceId));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_leader_that_comes_back_is_told_to_leave_the_assignment_as_it_is() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("static");
        let (a, mut b) = pair(cluster, &group).await?;
        let mut again = newcomer(cluster, &group, "a").await?;
        let joined = again.join().await?;
        assert_eq!((error(joined.error_code), joined.generation_id, joined.skip_assignment), (None, 2, true));
        assert_eq!((joined.leader.as_str(), joined.members.len()), (again.id.as_str(), 2));
        assert_eq!(again.sync(&[]).await?.assignment, "one");
        assert_eq!(b.heartbeat().await?, None);
        // A client that does not know of it must not believe that it leads.
        let mut older = newcomer(cluster, &group, "a").await?;
        let joined = older.wire.call(&older.join_request(), 8).await?;
        assert_eq!((error(joined.error_code), joined.generation_id, joined.members.len()), (None, 2, 0));
        assert_eq!(joined.leader, text(&again.id));
        assert_ne!(joined.member_id, text(&a.id));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_member_that_comes_back_with_another_protocol_is_rebalanced() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("static");
        let mut only = newcomer(cluster, &group, "a").await?;
        only.protocols = vec!["range", "sticky"];
        only.join().await?;
        only.sync(&[]).await?;
        let mut again = newcomer(cluster, &group, "a").await?;
        again.protocols = vec!["sticky", "range"];
        let joined = again.join().await?;
        assert_eq!((error(joined.error_code), joined.generation_id), (None, 2));
        assert_eq!(joined.protocol_name, Some(text("sticky")));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn commits_of_a_predecessor_are_fenced() -> Result<()> {
    on_every_broker(async |cluster| {
        let topic = cluster.topic("static", 1, &[]).await?;
        let group = cluster.unique("static");
        let mut before = newcomer(cluster, &group, "a").await?;
        before.join().await?;
        before.sync(&[]).await?;
        assert_eq!(before.commit(&topic, 1, "").await?, None);
        let mut after = newcomer(cluster, &group, "a").await?;
        after.join().await?;
        after.sync(&[]).await?;
        assert_eq!(before.commit(&topic, 2, "").await?, Some(FencedInstanceId));
        assert_eq!(after.commit(&topic, 3, "").await?, None);
        before.instance_id = None;
        assert_eq!(before.commit(&topic, 2, "").await?, Some(UnknownMemberId));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_instance_id_is_enough_to_remove_a_member() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("static");
        let (mut a, b) = pair(cluster, &group).await?;
        let identity = |member_id: &str, instance_id: &str| {
            MemberIdentity::default().with_member_id(text(member_id)).with_group_instance_id(Some(text(instance_id)))
        };
        let members = vec![identity("", "nobody"), identity("stranger", "b"), identity("", "b"), identity(&b.id, "b")];
        let request = LeaveGroupRequest::default().with_group_id(text(&group).into()).with_members(members);
        let response = a.wire.call(&request, 5).await?;
        let errors: Vec<_> = response.members.iter().map(|member| error(member.error_code)).collect();
        assert_eq!(error(response.error_code), None);
        assert_eq!(errors, [Some(UnknownMemberId), Some(FencedInstanceId), None, Some(UnknownMemberId)]);
        assert_eq!(a.heartbeat().await?, Some(RebalanceInProgress));
        Ok(())
    })
    .await
}
