//! What all connections share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cluster::Cluster;
use crate::config::{BrokerConfig, Storage};
use crate::error::BrokerError;
use crate::group::coordinator::Coordinator;
use crate::group::offsets::Offsets;
use crate::log::context::LogContext;
use crate::log::fsync::Flusher;
use crate::server::budget::Budget;
use crate::topics::registry::Topics;
use crate::topics::upkeep::{Pace, Upkeep};

/// The one node's id.
pub(crate) const NODE_ID: i32 = 1;

pub(crate) struct Shared {
    pub config: BrokerConfig,
    /// Before the topics, which they work for.
    _upkeep: Upkeep,
    _flusher: Flusher,
    pub topics: Arc<Topics>,
    pub coordinator: Coordinator,
    pub budget: Arc<Budget>,
    /// Behind everything that has files in the directory that this holds, so that it is dropped last.
    pub cluster: Cluster,
    /// Where it listens.
    pub address: SocketAddr,
    /// The name under which clients are told to connect.
    pub host: String,
}

impl Shared {
    /// Opens the storage, which may read a whole segment of every partition.
    pub(crate) fn open(config: BrokerConfig, address: SocketAddr) -> Result<Self, BrokerError> {
        let partitions_max = config.limits.partitions_max;
        let context = LogContext::new(config.fsync, config.limits.producers_per_partition_max);
        let flush_queue = context.flush_queue.clone();
        let (cluster, topics, offsets) = match &config.storage {
            Storage::Memory => {
                let topics = Topics::in_memory(partitions_max, context.clone());
                (Cluster::in_memory(), topics, Offsets::in_memory(context))
            }
            Storage::Directory(root) => {
                let cluster = Cluster::open(root)?;
                let topics = Topics::open(root, partitions_max, context.clone())?;
                (cluster, topics, Offsets::open(root, now_ms(), context)?)
            }
        };
        let host = config.advertised_host.clone().unwrap_or_else(|| reachable(address));
        let topics = Arc::new(topics);
        let pace = Pace {
            retention_interval: config.retention_check_interval,
            map_bytes_max: config.limits.compaction_bytes_max,
        };
        Ok(Self {
            _upkeep: Upkeep::start(topics.clone(), pace).map_err(BrokerError::Threads)?,
            _flusher: Flusher::start(flush_queue).map_err(BrokerError::Threads)?,
            cluster,
            topics,
            coordinator: Coordinator::new(offsets, config.limits.clone()),
            budget: Arc::new(Budget::new(config.limits.buffered_bytes_max)),
            host,
            address,
            config,
        })
    }
}

/// A broker that listens everywhere is at least reachable from here.
fn reachable(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "::1".to_owned(),
        address => address.ip().to_string(),
    }
}

/// The clock that stamps records: milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
