//! Sends what owners want to be sent, and tells what became of it.

use std::sync::Arc;

use futures::future::BoxFuture;
use tidewright_log::{Delivery, Record, SendError, SendErrorKind, TopicKind};
use tidewright_owner::{Destination, Outbound, SendFailure};
use tidewright_schemas::EffectFailure;

use crate::node::Node;

/// What became of something sent.
pub(crate) type Sent = Result<(), (SendFailure, String)>;

/// Enqueues a record at once where that is possible, and says later whether it arrived.
pub(crate) fn send(node: &Arc<Node>, outbound: Outbound) -> BoxFuture<'static, Sent> {
    let node = Arc::clone(node);
    let (record, of_queue) = record(&node, outbound);
    if of_queue.is_none_or(|_| node.task_topics.is_known(&record.topic)) {
        let topic = of_queue.map(|_| record.topic.clone());
        return match node.producer.try_send(record) {
            Ok(delivery) => Box::pin(arrive(node, delivery, topic)),
            Err(record) => Box::pin(async move {
                let delivery = node.producer.send(record).await;
                arrive(node, delivery, topic).await
            }),
        };
    }
    Box::pin(async move {
        let topic = record.topic.clone();
        if let Some(kind) = of_queue {
            node.task_topics.ensure(&topic, kind).await?;
        }
        let delivery = node.producer.send(record).await;
        arrive(node, delivery, Some(topic)).await
    })
}

/// The record, and what its topic is for if it belongs to a task queue: then it may have to be made.
fn record(node: &Node, outbound: Outbound) -> (Record, Option<TopicKind>) {
    let mut of_queue = None;
    let (topic, partition) = match outbound.to {
        Destination::Tasks(key) => {
            of_queue = Some(TopicKind::Tasks);
            (node.task_topic(&key), None)
        }
        Destination::Control(task_queue) => {
            of_queue = Some(TopicKind::Control);
            (node.topics.control(&task_queue), Some(0))
        }
        Destination::Commands(partition) => (node.topics.commands(), Some(partition)),
        // A partition that makes no sense is refused by the broker, and the answer is dropped: it is a hint (R21).
        Destination::Replies(partition) => {
            (node.topics.replies(), Some(u32::try_from(partition).unwrap_or(u32::MAX >> 1)))
        }
        Destination::DeadLetters => (node.topics.dead_letters(), None),
    };
    (Record { topic, partition, key: outbound.key, value: outbound.value, headers: outbound.headers }, of_queue)
}

async fn arrive(node: Arc<Node>, delivery: Delivery, topic_of_queue: Option<String>) -> Sent {
    delivery.await.map(drop).map_err(|error| {
        let failure = failure(&error);
        match (&topic_of_queue, failure) {
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
