//! What a broker can be told when it is started. The defaults are those of a Kafka node for development: no topic is
//! created by accident, a session timeout may be as short as a second, and every resource that a client could ask for
//! without end has a limit.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use crate::log::fsync::Fsync;

/// Where records, topics and committed offsets live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In this process; gone when the broker stops.
    Memory,
    /// In this directory, which one broker at a time may use. It is created if it does not exist.
    Directory(PathBuf),
}

/// How a [`crate::Broker`] listens, stores and limits. Build it with struct update syntax from `BrokerConfig::default()`.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Port 0 takes any free port; [`crate::Broker::address`] says which.
    pub listen: SocketAddr,
    pub storage: Storage,
    /// When records in a directory are made to survive a loss of power.
    pub fsync: Fsync,
    /// The host name that clients are told to connect to; the listening address if `None`.
    pub advertised_host: Option<String>,
    /// Whether asking for an unknown topic creates it.
    pub auto_create_topics: bool,
    /// Partitions of a topic that is created without saying how many.
    pub default_partitions: i32,
    /// How long committed offsets are kept after the last member left their group, or after the commit of a consumer that
    /// never was in one.
    pub offsets_retention: Duration,
    /// How often records are deleted that are older, or more, than their topic keeps.
    pub retention_check_interval: Duration,
    pub limits: Limits,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            storage: Storage::Memory,
            fsync: Fsync::Every,
            advertised_host: None,
            auto_create_topics: false,
            default_partitions: 1,
            offsets_retention: Duration::from_secs(7 * 24 * 3_600),
            retention_check_interval: Duration::from_secs(300),
            limits: Limits::default(),
        }
    }
}

/// What bounds the memory and the time that clients can take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A request frame beyond this closes its connection before anything is allocated for it.
    pub frame_bytes_max: usize,
    /// All large requests and answers together. A connection whose request would exceed it is closed; answers get smaller.
    pub buffered_bytes_max: usize,
    /// Array elements and tagged fields of one request.
    pub request_elements_max: usize,
    /// The most bytes of records that one fetch answers, whatever it asks for.
    pub fetch_bytes_max: usize,
    /// A further connection is closed at once.
    pub connections_max: usize,
    /// A connection that sends nothing for so long, or does not finish a frame or take its answer, is closed.
    pub idle_timeout: Duration,
    /// Partitions of all topics together.
    pub partitions_max: usize,
    pub groups_max: usize,
    pub group_members_max: usize,
    /// What members tell of themselves and are assigned, of all groups together.
    pub group_bytes_max: usize,
    /// Committed offsets with their metadata, of all groups together.
    pub offset_bytes_max: usize,
    /// Idempotent producers remembered per partition; the one that wrote least recently is forgotten first.
    pub producers_per_partition_max: usize,
    /// What compaction remembers of keys; a log with more of them is compacted in several passes.
    pub compaction_bytes_max: usize,
    pub session_timeout_min: Duration,
    pub session_timeout_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 100 << 20,
            buffered_bytes_max: 512 << 20,
            request_elements_max: 100_000,
            fetch_bytes_max: 55 << 20,
            connections_max: 1_000,
            idle_timeout: Duration::from_secs(600),
            partitions_max: 20_000,
            groups_max: 10_000,
            group_members_max: 1_000,
            group_bytes_max: 128 << 20,
            offset_bytes_max: 128 << 20,
            producers_per_partition_max: 5_000,
            compaction_bytes_max: 32 << 20,
            session_timeout_min: Duration::from_secs(1),
            session_timeout_max: Duration::from_secs(1_800),
        }
    }
}
