//! The broker's own identity: its cluster id, the directory that it holds alone, and the ids it gives to producers, none
//! of which is ever given twice.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::BrokerError;
use crate::log::journal::Journal;
use crate::sync;

const LOCK: &str = "lock";
const JOURNAL: &str = "cluster.journal";
/// How many producer ids one journal entry sets aside.
const PRODUCER_ID_BLOCK: i64 = 1_000;

#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    ClusterId(String),
    /// Ids below this one may have been given.
    ProducerIdsBelow(i64),
}

pub(crate) struct Cluster {
    pub id: String,
    producer_ids: Mutex<ProducerIds>,
    /// The operating system lets go of the lock when this process ends, however it ends.
    _lock: Option<File>,
}

struct ProducerIds {
    next: i64,
    reserved_below: i64,
    journal: Journal<Entry>,
}

impl Cluster {
    pub(crate) fn in_memory() -> Self {
        let producer_ids = ProducerIds { next: 0, reserved_below: 0, journal: Journal::none() };
        Self { id: new_cluster_id(), producer_ids: Mutex::new(producer_ids), _lock: None }
    }

    pub(crate) fn open(root: &Path) -> Result<Self, BrokerError> {
        std::fs::create_dir_all(root).map_err(BrokerError::storage("create the directory", root))?;
        let lock = File::create(root.join(LOCK)).map_err(BrokerError::storage("create the lock in", root))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BrokerError::DirectoryInUse { directory: root.to_path_buf() }),
            Err(TryLockError::Error(source)) => return Err(BrokerError::storage("lock the directory", root)(source)),
        }
        let (mut journal, entries) = Journal::open(&root.join(JOURNAL))?;
        let (mut id, mut next) = (None, 0);
        for entry in entries {
            match entry {
                Entry::ClusterId(cluster_id) => id = Some(cluster_id),
                Entry::ProducerIdsBelow(below) => next = below,
            }
        }
        let id = match id {
            Some(id) => id,
            None => {
                let id = new_cluster_id();
                let entry = Entry::ClusterId(id.clone());
                journal
                    .append(&[entry])
                    .and_then(|()| journal.sync())
                    .map_err(BrokerError::storage("write the cluster's id in", root))?;
                id
            }
        };
        let producer_ids = ProducerIds { next, reserved_below: next, journal };
        Ok(Self { id, producer_ids: Mutex::new(producer_ids), _lock: Some(lock) })
    }

    pub(crate) fn next_producer_id(&self) -> io::Result<i64> {
        let mut ids = sync::lock(&self.producer_ids);
        if ids.next == ids.reserved_below {
            let below = ids.next + PRODUCER_ID_BLOCK;
            ids.journal.append(&[Entry::ProducerIdsBelow(below)])?;
            ids.journal.sync()?;
            ids.reserved_below = below;
        }
        ids.next += 1;
        Ok(ids.next - 1)
    }
}

fn new_cluster_id() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broker_at_a_time_holds_a_directory() {
        let root = tempfile::tempdir().unwrap();
        let first = Cluster::open(root.path()).unwrap();
        assert!(matches!(Cluster::open(root.path()), Err(BrokerError::DirectoryInUse { .. })));
        let id = first.id.clone();
        drop(first);
        assert_eq!(Cluster::open(root.path()).unwrap().id, id);
    }

    #[test]
    fn no_producer_id_is_given_twice() {
        let root = tempfile::tempdir().unwrap();
        let mut last = -1;
        for _ in 0..3 {
            let cluster = Cluster::open(root.path()).unwrap();
            for _ in 0..1_500 {
                let id = cluster.next_producer_id().unwrap();
                assert!(id > last);
                last = id;
            }
        }
    }
}
