//! Sends what owners want to be sent, and tells what became of it.

use std::sync::Arc;

use futures::future::BoxFuture;
use tidewright_log::{Delivery, Record, SendError, SendErrorKind, TopicKind};
use tidewright_owner::{Destination, Outbound, SendFailure};
use tidewright_schemas::{EffectFailure, headers};

use crate::node::Node;
use crate::offer::Offer;

/// What became of something sent.
pub(crate) type Sent = Result<(), (SendFailure, String)>;

/// Enqueues a record at once where that is possible, and says later whether it arrived.
pub(crate) fn send(node: &Arc<Node>, outbound: Outbound) -> BoxFuture<'static, Sent> {
    let node = Arc::clone(node);
    let offer = Offer::of(&node, &outbound);
    let (record, of_queue) = record(&node, outbound);
    if of_queue.is_none_or(|_| node.task_topics.is_known(&record.topic)) {
        let topic = of_queue.map(|_| record.topic.clone());
        return match node.producer.try_send(record) {
            Ok(delivery) => Box::pin(arrive(node, delivery, topic, offer)),
            Err(record) => Box::pin(async move {
                let delivery = node.producer.send(record).await;
                arrive(node, delivery, topic, offer).await
            }),
        };
    }
    Box::pin(async move {
        let topic = record.topic.clone();
        if let Some(kind) = of_queue {
            node.task_topics.ensure(&topic, kind).await?;
        }
        let delivery = node.producer.send(record).await;
        arrive(node, delivery, Some(topic), offer).await
    })
}

/// The record, and what its topic is for if it belongs to a task queue: then it may have to be made.
fn record(node: &Node, outbound: Outbound) -> (Record, Option<TopicKind>) {
    let mut of_queue = None;
    let (topic, partition) = match outbound.to {
        Destination::Tasks(key) => {
            of_queue = Some(TopicKind::Tasks);
            // Without a key it may go anywhere. What is sent again did not arrive where somebody was said to be.
            let is_first = !outbound.headers.iter().any(|(name, _)| name == headers::POSSIBLE_REPEAT);
            let places = (outbound.key.is_none() && is_first).then(|| node.presence.activity_places(&key.task_queue));
            (node.task_topic(&key), places.and_then(|places| by_room(&places, rand::random())))
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

/// One of those that have room, the rather the more it has; any of them if nobody has room; none if nobody is there.
pub(crate) fn by_room<T: Clone>(places: &[(T, u32)], random: u64) -> Option<T> {
    let room: u64 = places.iter().map(|(_, free)| u64::from(*free)).sum();
    let Some(mut left) = random.checked_rem(room) else {
        let at = random.checked_rem(places.len() as u64)?;
        return places.get(usize::try_from(at).ok()?).map(|(place, _)| place.clone());
    };
    for (place, free) in places {
        match left.checked_sub(u64::from(*free)) {
            Some(rest) => left = rest,
            None => return Some(place.clone()),
        }
    }
    None
}

async fn arrive(node: Arc<Node>, delivery: Delivery, topic_of_queue: Option<String>, offer: Option<Offer>) -> Sent {
    let error = match delivery.await {
        Ok(at) => {
            if let Some(offer) = offer {
                offer.make(&node, at.partition, at.offset);
            }
            return Ok(());
        }
        Err(error) => error,
    };
    let failure = failure(&error);
    match (&topic_of_queue, failure) {
        // It was there once: made again with the next try.
        (Some(topic), SendFailure::Permanent(EffectFailure::TopicMissing)) => {
            node.task_topics.forget(topic);
            Err((SendFailure::Transient, error.message))
        }
        _ => Err((failure, error.message)),
    }
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

#[cfg(test)]
mod tests {
    use super::by_room;

    fn shares(places: &[(u32, u32)]) -> Vec<usize> {
        let placed: Vec<_> = (0..12).filter_map(|random| by_room(places, random)).collect();
        (0..3).map(|partition| placed.iter().filter(|placed| **placed == partition).count()).collect()
    }

    #[test]
    fn a_task_goes_where_there_is_room() {
        assert_eq!(shares(&[(0, 0), (1, 1), (2, 3)]), [0, 3, 9]);
        assert_eq!(shares(&[(0, 0), (1, 0)]), [6, 6, 0], "nobody has room");
        assert_eq!(shares(&[]), [0, 0, 0], "nobody is there");
        let much = [(0, u32::MAX), (1, u32::MAX)];
        assert_eq!(by_room(&much, u64::from(u32::MAX) - 1), Some(0), "sums of room do not overflow");
        assert_eq!(by_room(&much, u64::from(u32::MAX)), Some(1));
    }
}
