//! Sends what owners want to be sent, and tells what became of it.

use std::sync::Arc;

use futures::future::BoxFuture;
use tidewright_log::{Delivery, Record, SendError, SendErrorKind};
use tidewright_owner::{Destination, Outbound, SendFailure};
use tidewright_schemas::EffectFailure;

use crate::node::Node;

/// What became of something sent.
pub(crate) type Sent = Result<(), (SendFailure, String)>;

/// Enqueues a record at once where that is possible, and says later whether it arrived.
pub(crate) fn send(node: &Arc<Node>, outbound: Outbound) -> BoxFuture<'static, Sent> {
    let node = Arc::clone(node);
    let (record, task_topic) = record(&node, outbound);
    if task_topic.as_ref().is_none_or(|topic| node.task_topics.is_known(topic)) {
        return match node.producer.try_send(record) {
            Ok(delivery) => Box::pin(arrive(node, delivery, task_topic)),
            Err(record) => Box::pin(async move {
                let delivery = node.producer.send(record).await;
                arrive(node, delivery, task_topic).await
            }),
        };
    }
    Box::pin(async move {
        if let Some(topic) = &task_topic {
            node.task_topics.ensure(topic).await?;
        }
        let delivery = node.producer.send(record).await;
        arrive(node, delivery, task_topic).await
    })
}

fn record(node: &Node, outbound: Outbound) -> (Record, Option<String>) {
    let mut task_topic = None;
    let (topic, partition) = match outbound.to {
        Destination::Tasks(key) => {
            let topic = node.task_topic(&key);
            task_topic = Some(topic.clone());
            (topic, None)
        }
        Destination::Commands(partition) => (node.topics.commands(), Some(partition)),
        // A partition that makes no sense is refused by the broker, and the answer is dropped: it is a hint (R21).
        Destination::Replies(partition) => {
            (node.topics.replies(), Some(u32::try_from(partition).unwrap_or(u32::MAX >> 1)))
        }
        Destination::DeadLetters => (node.topics.dead_letters(), None),
    };
    (Record { topic, partition, key: outbound.key, value: outbound.value, headers: outbound.headers }, task_topic)
}

async fn arrive(node: Arc<Node>, delivery: Delivery, task_topic: Option<String>) -> Sent {
    delivery.await.map(drop).map_err(|error| {
        let failure = failure(&error);
        match (&task_topic, failure) {
            // It was there once: made again with the next try.
            (Some(topic), SendFailure::Permanent(EffectFailure::TopicMissing)) => {
                node.task_topics.forget(topic);
                (SendFailure::Transient, error.message)
            }
            _ => (failure, error.message),
        }
    })
}

fn failure(error: &SendError) -> SendFailure {
    match error.kind {
        SendErrorKind::TopicMissing => SendFailure::Permanent(EffectFailure::TopicMissing),
        SendErrorKind::Denied => SendFailure::Permanent(EffectFailure::Denied),
        SendErrorKind::TooLarge => SendFailure::Permanent(EffectFailure::TooLarge),
        SendErrorKind::Refused => SendFailure::Permanent(EffectFailure::Refused),
        SendErrorKind::Unavailable => SendFailure::Transient,
    }
}
