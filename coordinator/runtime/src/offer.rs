//! Tasks that lie where nobody reads for now (ADR 0011).
//!
//! A group gives the partitions of a member that died to others only after its session timeout, six seconds on brokers as
//! shipped; a worker that had just come then has none until that time. An activity task that would wait for this is
//! offered to a worker with room, by name. The offer is a hint: whoever takes it confirms the task, as whoever meets the
//! record itself does, so one of them runs it.

use std::sync::Arc;

use tidewright_log::Record;
use tidewright_owner::{Destination, Outbound};
use tidewright_schemas::{ActivityTaskOffered, ControlMessage, TaskKind, headers};

use crate::node::Node;
use crate::outbox::by_room;

/// A worker that a task is to be offered to.
pub(crate) struct Offer {
    task_queue: String,
    incarnation: String,
}

impl Offer {
    /// To whom a task is to be offered once it is in its topic, if it is one that each of its takers confirms (it has no
    /// key), and no partition of the topic has a reader.
    pub(crate) fn of(node: &Node, outbound: &Outbound) -> Option<Self> {
        let Destination::Tasks(key) = &outbound.to else { return None };
        if key.kind != TaskKind::Activity || outbound.key.is_some() {
            return None;
        }
        if !node.presence.activity_places(&key.task_queue).is_empty() {
            return None;
        }
        Self::to_somebody(node, &key.task_queue)
    }

    /// To one of those who have room; none if nobody has.
    pub(crate) fn to_somebody(node: &Node, task_queue: &str) -> Option<Self> {
        let incarnation = by_room(&node.presence.free_for_activities(task_queue), rand::random())?;
        Some(Self { task_queue: task_queue.to_owned(), incarnation })
    }

    /// Offers the task that lies here.
    pub(crate) fn make(self, node: &Arc<Node>, partition: u32, offset: u64) {
        let Self { task_queue, incarnation } = self;
        tracing::debug!(task_queue, partition, offset, incarnation, "a task is offered: its partition has no reader");
        let offer = ControlMessage::from(ActivityTaskOffered { incarnation, partition, offset });
        let record = Record::to(node.topics.control(&task_queue))
            .partition(0)
            .value(offer.to_json())
            .header(headers::CONTENT_TYPE, headers::JSON)
            .header(headers::SCHEMA_VERSION, headers::CURRENT_SCHEMA_VERSION);
        // Without room in the buffer the task waits for the group, as it would without an offer.
        let Ok(delivery) = node.producer.try_send(record) else { return };
        tokio::spawn(async move {
            if let Err(error) = delivery.await {
                tracing::warn!(task_queue, %error, "a task cannot be offered; it waits until its partition has a reader");
            }
        });
    }
}
