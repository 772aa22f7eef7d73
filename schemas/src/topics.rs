//! Topic names, and which partition a workflow id belongs to.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Kafka's own limit for a topic name.
const TOPIC_BYTES_MAX: usize = 249;
/// Longest encoded task queue name that is kept readable; a longer one is hashed.
const QUEUE_BYTES_MAX: usize = 100;
/// Longest namespace.
const NAMESPACE_BYTES_MAX: usize = 80;

/// The topics of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
    namespace: String,
}

/// A prefix or namespace that cannot name topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// The namespace is unusable.
    #[error("`{0}` is no namespace: use 1 to {NAMESPACE_BYTES_MAX} of the characters a-z, A-Z, 0-9, `_` and `-`")]
    Namespace(String),
    /// The prefix is unusable.
    #[error("`{0}` is no topic prefix: it must end in a dot and hold only a-z, A-Z, 0-9, `.`, `_` and `-`, at most 40")]
    Prefix(String),
}

impl Topics {
    /// The prefix that is used when none is configured.
    pub const DEFAULT_PREFIX: &'static str = "tidewright.";
    /// The namespace that is used when none is configured.
    pub const DEFAULT_NAMESPACE: &'static str = "default";

    /// Topics of `namespace` under `prefix`.
    pub fn new(prefix: &str, namespace: &str) -> Result<Self, TopicNameError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !prefix.ends_with('.') || prefix.len() > 40 || !prefix.chars().all(|c| plain(c) || c == '.') {
            return Err(TopicNameError::Prefix(prefix.to_owned()));
        }
        if namespace.is_empty() || namespace.len() > NAMESPACE_BYTES_MAX || !namespace.chars().all(plain) {
            return Err(TopicNameError::Namespace(namespace.to_owned()));
        }
        Ok(Self { prefix: prefix.to_owned(), namespace: namespace.to_owned() })
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn named(&self, topic: &str) -> String {
        format!("{}{}.{topic}", self.prefix, self.namespace)
    }

    /// Requests to workflows.
    #[must_use]
    pub fn commands(&self) -> String {
        self.named("commands")
    }

    /// Histories.
    #[must_use]
    pub fn history(&self) -> String {
        self.named("history")
    }

    /// Answers.
    #[must_use]
    pub fn replies(&self) -> String {
        self.named("replies")
    }

    /// What could not be understood.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        self.named("dead-letters")
    }

    /// Who is alive.
    #[must_use]
    pub fn workers(&self) -> String {
        self.named("workers")
    }

    /// Workflow tasks of a task queue.
    #[must_use]
    pub fn workflow_tasks(&self, task_queue: &str) -> String {
        self.named(&format!("workflow-tasks.{}", encode_queue(task_queue)))
    }

    /// Activity tasks of a task queue.
    #[must_use]
    pub fn activity_tasks(&self, task_queue: &str) -> String {
        self.named(&format!("activity-tasks.{}", encode_queue(task_queue)))
    }

    /// What all workers of a task queue are told.
    #[must_use]
    pub fn control(&self, task_queue: &str) -> String {
        self.named(&format!("control.{}", encode_queue(task_queue)))
    }

    /// Nodes, owners and namespaces: one for all namespaces under a prefix.
    #[must_use]
    pub fn cluster(&self) -> String {
        format!("{}cluster", self.prefix)
    }
}

/// A task queue's name as part of a topic name: what Kafka forbids becomes hexadecimal (`_x2f_` for `/`); a
/// long name keeps its beginning and ends in a hash. Two queues never share a topic.
fn encode_queue(task_queue: &str) -> String {
    let mut encoded = String::with_capacity(task_queue.len());
    for c in task_queue.chars() {
        if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
            encoded.push(c);
        } else if c == '_' {
            encoded.push_str("__");
        } else {
            // Cannot fail: writing to a String never does.
            let _ = write!(encoded, "_x{:x}_", u32::from(c));
        }
    }
    const { assert!(QUEUE_BYTES_MAX + NAMESPACE_BYTES_MAX + 40 + 20 < TOPIC_BYTES_MAX) };
    if encoded.len() <= QUEUE_BYTES_MAX && !encoded.is_empty() {
        return encoded;
    }
    let digest = Sha256::digest(task_queue.as_bytes());
    let hash: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    // `_h` cannot come out of the encoding above, so a hashed name never meets a plain one.
    let keep: String = encoded.chars().take(QUEUE_BYTES_MAX - 2 - hash.len()).collect();
    format!("{keep}_h{hash}")
}

/// The partition of a key among `partitions`: the Java client's default partitioner (murmur2).
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    positive % partitions.max(1)
}

/// Kafka's murmur2 with its fixed seed.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut h = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partitioner_agrees_with_the_java_client() {
        // From Kafka's own test of Utils.murmur2.
        let cases: [(&[u8], i32); 5] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key).cast_signed(), expected);
        }
    }

    #[test]
    fn queues_never_share_a_topic() {
        let long = "q".repeat(300);
        let longer = "q".repeat(301);
        let names = ["orders", "a/b", "a_b", "a_x2f_b", "ä", "", &long, &longer, "a.b", "a__b"];
        let topics = Topics::new("tidewright.", "default").unwrap();
        let encoded: std::collections::BTreeSet<_> = names.iter().map(|n| topics.activity_tasks(n)).collect();
        assert_eq!(encoded.len(), names.len());
        assert!(encoded.iter().all(|t| t.len() <= TOPIC_BYTES_MAX
            && t.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))));
        assert_eq!(topics.workflow_tasks("orders"), "tidewright.default.workflow-tasks.orders");
    }

    #[test]
    fn a_namespace_holds_no_dot_and_a_prefix_ends_in_one() {
        assert!(Topics::new("tidewright.", "a.b").is_err());
        assert!(Topics::new("tidewright", "a").is_err());
        assert!(Topics::new("tidewright.", "").is_err());
    }
}
