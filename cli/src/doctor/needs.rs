//! What each role does with which topic and group, and so which ACLs it needs.

use std::collections::BTreeSet;

use clap::ValueEnum;
use tidewright_log::Operation::{self, Delete, Describe, DescribeConfigs, Read, Write};
use tidewright_log::{TopicKind, TopicSpec};
use tidewright_schemas::topics::Topics;

/// Who is going to use Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// A node: `tidewright serve`
    Engine,
    /// A worker or a client of the SDK
    Worker,
}

/// A topic that a role uses.
pub(super) struct TopicNeed {
    pub(super) spec: TopicSpec,
    pub(super) operations: &'static [Operation],
    /// Whether the role makes it if it is missing.
    pub(super) is_made: bool,
}

/// A consumer group that a role uses.
pub(super) struct GroupNeed {
    pub(super) group: String,
    pub(super) operation: Operation,
}

/// What a namespace looks like, as far as is known.
pub(super) struct Shape<'a> {
    pub(super) topics: &'a Topics,
    pub(super) partitions: u32,
    pub(super) task_partitions: u32,
    /// Topics of task queues: those that exist, and those that were named.
    pub(super) task_topics: BTreeSet<String>,
    /// Control topics of task queues, likewise.
    pub(super) control_topics: BTreeSet<String>,
}

impl Shape<'_> {
    pub(super) fn topics_of(&self, role: Role) -> Vec<TopicNeed> {
        let topics = self.topics;
        let need = |name: String, kind, partitions, operations, is_made| TopicNeed {
            spec: TopicSpec::new(name, kind, partitions),
            operations,
            is_made,
        };
        let mut needs = match role {
            Role::Engine => vec![
                need(topics.cluster(), TopicKind::Cluster, 1, &[Read, Write, DescribeConfigs][..], true),
                need(
                    topics.commands(),
                    TopicKind::Commands,
                    self.partitions,
                    &[Read, Write, Delete, DescribeConfigs],
                    true,
                ),
                need(topics.history(), TopicKind::History, self.partitions, &[Read, Write, DescribeConfigs], true),
                need(topics.replies(), TopicKind::Replies, 1, &[Read, Write, DescribeConfigs], true),
                need(topics.dead_letters(), TopicKind::DeadLetters, 1, &[Write, DescribeConfigs], true),
                need(topics.workers(), TopicKind::Workers, 1, &[Read, Write, DescribeConfigs], true),
            ],
            Role::Worker => vec![
                need(topics.cluster(), TopicKind::Cluster, 1, &[Read][..], false),
                need(topics.commands(), TopicKind::Commands, self.partitions, &[Write], false),
                need(topics.replies(), TopicKind::Replies, 1, &[Read, Write], false),
                need(topics.workers(), TopicKind::Workers, 1, &[Write], false),
            ],
        };
        let operations: &[Operation] = match role {
            Role::Engine => &[Read, Write, Delete, DescribeConfigs],
            Role::Worker => &[Read, DescribeConfigs],
        };
        for name in &self.task_topics {
            needs.push(need(name.clone(), TopicKind::Tasks, self.task_partitions, operations, true));
        }
        let operations: &[Operation] = match role {
            Role::Engine => &[Write, DescribeConfigs],
            Role::Worker => &[Read, DescribeConfigs],
        };
        for name in &self.control_topics {
            needs.push(need(name.clone(), TopicKind::Control, 1, operations, true));
        }
        needs
    }

    pub(super) fn groups_of(&self, role: Role) -> Vec<GroupNeed> {
        let of_tasks = match role {
            Role::Engine => Describe,
            Role::Worker => Read,
        };
        let own = (role == Role::Engine).then(|| GroupNeed { group: self.topics.commands(), operation: Read });
        let tasks = self.task_topics.iter().map(|topic| GroupNeed { group: topic.clone(), operation: of_tasks });
        own.into_iter().chain(tasks).collect()
    }
}

/// What follows if an operation is not allowed.
pub(super) fn consequence(operation: Operation) -> &'static str {
    match operation {
        Read => "what stands there cannot be worked on",
        Write => "what has to go there cannot be sent: no partition goes on without it",
        Delete => "records that are done are never deleted, so the topic grows for ever",
        Describe => "what is done cannot be told from what waits",
        DescribeConfigs => "whether the topic is set as it must be cannot be verified, and a node does not start",
    }
}
