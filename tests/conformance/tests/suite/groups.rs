//! Groups, request by request.

use anyhow::Result;
use conformance::calls::error;
use conformance::cluster::on_every_broker;
use conformance::groups::{Member, stable};
use kafka_protocol::error::ResponseError::*;

#[tokio::test]
async fn a_group_forms_and_every_member_gets_its_part() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("forms");
        let mut first = Member::of(cluster, &group).await?;
        first.learn_id().await?;
        let joined = first.join().await?;
        assert_eq!((error(joined.error_code), joined.generation_id), (None, 1));
        assert_eq!((&joined.leader, joined.protocol_name.as_deref()), (&joined.member_id, Some("range")));
        assert_eq!(joined.members.len(), 1);
        assert_eq!(joined.members[0].metadata, "metadata");
        let mut second = Member::of(cluster, &group).await?;
        second.learn_id().await?;
        second.send_join().await?;
        while first.heartbeat().await? != Some(RebalanceInProgress) {
            tokio::task::yield_now().await;
        }
        let joined = first.join().await?;
        assert_eq!((joined.generation_id, joined.leader.as_str()), (2, first.id.as_str()));
        let mut members: Vec<String> = joined.members.iter().map(|member| member.member_id.to_string()).collect();
        let follows = second.joined().await?;
        assert_eq!((follows.generation_id, follows.leader.as_str()), (2, first.id.as_str()));
        assert!(follows.members.is_empty());
        members.sort();
        let mut expected = vec![first.id.clone(), second.id.clone()];
        expected.sort();
        assert_eq!(members, expected);
        second.send_sync(&[]).await?;
        let (one, two) = (first.id.clone(), second.id.clone());
        assert_eq!(first.sync(&[(&one, "one"), (&two, "two")]).await?.assignment, "one");
        let synced = second.synced().await?;
        assert_eq!((error(synced.error_code), &synced.assignment[..]), (None, &b"two"[..]));
        assert_eq!(synced.protocol_name.as_deref(), Some("range"));
        assert_eq!((first.heartbeat().await?, second.heartbeat().await?), (None, None));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn strangers_and_members_of_the_past_are_refused() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("strangers");
        let mut stranger = Member::of(cluster, &group).await?;
        stranger.id = "nobody".to_owned();
        assert_eq!(stranger.heartbeat().await?, Some(UnknownMemberId));
        assert_eq!(stranger.leave().await?, Some(UnknownMemberId));
        assert_eq!(error(stranger.sync(&[]).await?.error_code), Some(UnknownMemberId));
        assert_eq!(error(stranger.join().await?.error_code), Some(UnknownMemberId));
        let mut members = stable(cluster, &group, 1).await?;
        let member = &mut members[0];
        member.generation = 7;
        assert_eq!(member.heartbeat().await?, Some(IllegalGeneration));
        assert_eq!(error(member.sync(&[]).await?.error_code), Some(IllegalGeneration));
        assert_eq!(stranger.heartbeat().await?, Some(UnknownMemberId));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_join_must_be_reasonable() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("unreasonable");
        let mut member = Member::of(cluster, &group).await?;
        for session_timeout_ms in [999, 1_800_001, 0] {
            member.session_timeout_ms = session_timeout_ms;
            assert_eq!(error(member.join().await?.error_code), Some(InvalidSessionTimeout));
            member.id.clear();
        }
        member.session_timeout_ms = 10_000;
        member.protocols.clear();
        assert_eq!(error(member.join().await?.error_code), Some(InconsistentGroupProtocol));
        member.id.clear();
        member.protocols = vec!["range"];
        member.group.clear();
        assert_eq!(error(member.join().await?.error_code), Some(InvalidGroupId));
        let _first = stable(cluster, &group, 1).await?;
        let mut other = Member::of(cluster, &group).await?;
        other.protocols = vec!["roundrobin"];
        assert_eq!(error(other.join().await?.error_code), Some(InconsistentGroupProtocol));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_newcomer_makes_everyone_join_again() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("newcomer");
        let mut members = stable(cluster, &group, 2).await?;
        let mut newcomer = Member::of(cluster, &group).await?;
        newcomer.learn_id().await?;
        newcomer.send_join().await?;
        for member in &mut members {
            while member.heartbeat().await? != Some(RebalanceInProgress) {
                tokio::task::yield_now().await;
            }
            assert_eq!(error(member.sync(&[]).await?.error_code), Some(RebalanceInProgress));
        }
        for member in &mut members {
            member.send_join().await?;
        }
        members.push(newcomer);
        for member in &mut members {
            assert_eq!(member.joined().await?.generation_id, 3);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_member_that_leaves_makes_room() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("leaves");
        let mut members = stable(cluster, &group, 2).await?;
        assert_eq!(members[0].leave().await?, None);
        assert_eq!(members[0].leave().await?, Some(UnknownMemberId));
        assert_eq!(members[1].heartbeat().await?, Some(RebalanceInProgress));
        let rejoined = members[1].join().await?;
        assert_eq!((rejoined.generation_id, rejoined.members.len()), (3, 1));
        assert_eq!(rejoined.leader, rejoined.member_id);
        assert_eq!(members[1].leave().await?, None);
        assert_eq!(members[1].heartbeat().await?, Some(UnknownMemberId));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_silent_member_is_given_up_after_its_session_timeout() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("silent");
        let mut silent = Member::of(cluster, &group).await?;
        silent.session_timeout_ms = 1_000;
        silent.learn_id().await?;
        silent.join().await?;
        silent.sync(&[]).await?;
        let mut other = Member::of(cluster, &group).await?;
        other.learn_id().await?;
        // The round waits for the silent member until it is given up; this is answered long before the round would close.
        let joined = tokio::time::timeout(std::time::Duration::from_secs(15), other.join()).await??;
        assert_eq!((error(joined.error_code), joined.members.len()), (None, 1));
        assert_eq!(silent.heartbeat().await?, Some(UnknownMemberId));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_follower_that_joins_again_unchanged_keeps_its_generation() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("rejoins");
        let mut members = stable(cluster, &group, 2).await?;
        let again = members[1].join().await?;
        assert_eq!((error(again.error_code), again.generation_id), (None, 2));
        assert_eq!(members[0].heartbeat().await?, None);
        members[0].send_join().await?;
        while members[1].heartbeat().await? != Some(RebalanceInProgress) {
            tokio::task::yield_now().await;
        }
        members[1].send_join().await?;
        assert_eq!(members[0].joined().await?.generation_id, 3);
        assert_eq!(members[1].joined().await?.generation_id, 3);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn members_agree_on_a_protocol_that_all_know() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("protocols");
        let mut first = Member::of(cluster, &group).await?;
        first.protocols = vec!["sticky", "range"];
        first.learn_id().await?;
        assert_eq!(first.join().await?.protocol_name.as_deref(), Some("sticky"));
        let mut second = Member::of(cluster, &group).await?;
        second.protocols = vec!["roundrobin", "range"];
        second.learn_id().await?;
        second.send_join().await?;
        while first.heartbeat().await? != Some(RebalanceInProgress) {
            tokio::task::yield_now().await;
        }
        assert_eq!(first.join().await?.protocol_name.as_deref(), Some("range"));
        assert_eq!(second.joined().await?.protocol_name.as_deref(), Some("range"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_old_client_joins_at_once() -> Result<()> {
    on_every_broker(async |cluster| {
        let group = cluster.unique("old");
        let mut member = Member::of(cluster, &group).await?;
        let joined = member.wire.call(&member.join_request(), 3).await?;
        assert_eq!((error(joined.error_code), joined.generation_id), (None, 1));
        assert_eq!(joined.leader, joined.member_id);
        Ok(())
    })
    .await
}
