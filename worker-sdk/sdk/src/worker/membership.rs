//! A worker's membership in the group of a task topic: errors are told and outlived, a lost membership is taken up anew.

use std::time::Duration;

use tidewright_log::{
    BeforeRevoke, GroupConsumer, GroupError, GroupEvent, GroupOptions, KafkaConfig, LogError, TopicPartition,
};
use tokio::sync::mpsc;

/// Most bytes of records that are taken at once.
const FETCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pause before a membership that was lost for good is taken up anew.
const REJOIN_DELAY: Duration = Duration::from_secs(1);

/// How long a rebalance is held up at most for what runs to be announced.
const REVOKE_PATIENCE: Duration = Duration::from_secs(3);

/// Membership in the group of one topic; the group is named as the topic.
pub(crate) struct Membership {
    config: KafkaConfig,
    options: GroupOptions,
    consumer: Option<GroupConsumer>,
}

/// Partitions that are about to be given back. Whoever holds it may hold that up for a moment; letting it go lets it happen.
pub(crate) struct Revoking {
    pub(crate) partitions: Vec<TopicPartition>,
    _until_dropped: std::sync::mpsc::SyncSender<()>,
}

/// Tells of partitions before they are given back.
pub(crate) type Revocations = mpsc::UnboundedReceiver<Revoking>;

impl Membership {
    /// As [`Self::join`], and told before partitions are given back.
    pub(crate) fn join_told(config: &KafkaConfig, topic: &str) -> Result<(Self, Revocations), LogError> {
        // The group's thread waits for each, so there is one at a time.
        let (tell, revocations) = mpsc::unbounded_channel();
        let mut options = GroupOptions::new(topic, [topic]);
        options.before_revoke = Some(BeforeRevoke::new(move |partitions| {
            let (until_dropped, dropped) = std::sync::mpsc::sync_channel(0);
            let revoking = Revoking { partitions: partitions.to_vec(), _until_dropped: until_dropped };
            if tell.send(revoking).is_ok() {
                // It ends when the other side is dropped: nothing is ever sent.
                let _ = dropped.recv_timeout(REVOKE_PATIENCE);
            }
        }));
        let consumer = Some(GroupConsumer::join(config, &options)?);
        Ok((Self { config: config.clone(), options, consumer }, revocations))
    }

    pub(crate) fn join(config: &KafkaConfig, topic: &str) -> Result<Self, LogError> {
        let options = GroupOptions::new(topic, [topic]);
        let consumer = Some(GroupConsumer::join(config, &options)?);
        Ok(Self { config: config.clone(), options, consumer })
    }

    /// The next event, of at most `count_max` records. Cancelling it loses nothing.
    pub(crate) async fn next(&mut self, count_max: usize) -> GroupEvent {
        loop {
            let Some(consumer) = self.consumer.as_mut() else {
                self.rejoin().await;
                continue;
            };
            match consumer.next(count_max, FETCH_BYTES_MAX).await {
                Ok(event) => return event,
                Err(error @ (GroupError::Fatal { .. } | GroupError::Closed { .. })) => {
                    tracing::error!("{error}; joining again");
                    self.consumer = None;
                }
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }

    /// Everything below `next_offset` is done. Of a partition that is not assigned any more nothing is committed: its
    /// next owner confirms what it finds.
    pub(crate) fn commit(&self, partition: &TopicPartition, next_offset: u64) {
        if let Some(consumer) = &self.consumer {
            consumer.commit(partition, next_offset);
        }
    }

    /// Commits what is done and leaves the group.
    pub(crate) async fn close(self) {
        if let Some(consumer) = self.consumer {
            consumer.close().await;
        }
    }

    async fn rejoin(&mut self) {
        tokio::time::sleep(REJOIN_DELAY).await;
        match GroupConsumer::join(&self.config, &self.options) {
            Ok(consumer) => self.consumer = Some(consumer),
            Err(error) => tracing::error!("group {} cannot be joined: {error}", self.options.group),
        }
    }
}
