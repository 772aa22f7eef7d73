//! RocksDB as the state store of a partition (R16).
//!
//! Each partition has a database of its own, without a write-ahead log: history is the log, and what a crash takes from
//! the memtable is applied again. All databases of a process share one block cache and one budget for memtables.
//! A write is atomic; reads see whole batches only, through a [`PartitionSnapshot`] where several reads belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, FlushOptions, IteratorMode, Options, ReadOptions,
    Snapshot, WriteBatch, WriteBufferManager, WriteOptions,
};
use tidewright_core::{Found, Row, Rows, RowsError, Store};

/// Memory that all partitions of a process share.
#[derive(Clone)]
pub struct SharedMemory {
    cache: Cache,
    memtables: WriteBufferManager,
}

impl SharedMemory {
    /// A block cache and a memtable budget, in bytes.
    #[must_use]
    pub fn new(cache_bytes: usize, memtable_bytes: usize) -> Self {
        let cache = Cache::new_lru_cache(cache_bytes);
        let memtables = WriteBufferManager::new_write_buffer_manager_with_cache(memtable_bytes, false, cache.clone());
        Self { cache, memtables }
    }

    /// How much the block cache holds, in bytes.
    #[must_use]
    pub fn block_cache_bytes(&self) -> u64 {
        u64::try_from(self.cache.get_usage()).unwrap_or(u64::MAX)
    }
}

/// How much a store takes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files on disk.
    pub disk_bytes: u64,
    /// What is written and not yet on disk; part of the shared budget for memtables.
    pub memtable_bytes: u64,
    /// Indexes and filters outside the block cache.
    pub table_reader_bytes: u64,
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state directory {path} cannot be opened: {problem}. If another process uses it, stop that one; if it is damaged, delete it: it is rebuilt from Kafka"
)]
pub struct OpenError {
    /// Where.
    pub path: PathBuf,
    /// What RocksDB says.
    pub problem: String,
}

/// The store of one partition. Cheap to clone; the database closes with the last clone.
#[derive(Clone)]
pub struct PartitionStore {
    db: Arc<DB>,
}

impl PartitionStore {
    /// Opens or creates the store in a directory.
    pub fn open(path: &Path, memory: &SharedMemory) -> Result<Self, OpenError> {
        let problem = |problem: String| OpenError { path: path.to_owned(), problem };
        std::fs::create_dir_all(path).map_err(|e| problem(e.to_string()))?;
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&memory.cache);
        blocks.set_bloom_filter(10.0, false);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_manager(&memory.memtables);
        options.set_write_buffer_size(32 * 1024 * 1024);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_atomic_flush(true);
        options.set_keep_log_file_num(2);
        options.set_max_open_files(256);
        let db = DB::open(&options, path).map_err(|e| problem(e.into_string()))?;
        Ok(Self { db: Arc::new(db) })
    }

    /// Deletes a closed store, so that it is rebuilt.
    pub fn destroy(path: &Path) -> Result<(), OpenError> {
        match std::fs::remove_dir_all(path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(OpenError { path: path.to_owned(), problem: e.to_string() }),
        }
    }

    /// Writes what is in memory to disk: after it a restart has nothing to apply again.
    pub fn flush(&self) -> Result<(), RowsError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db.flush_opt(&options).map_err(failed)
    }

    /// How much it takes, as far as RocksDB knows.
    #[must_use]
    pub fn usage(&self) -> Usage {
        // What RocksDB does not tell counts as nothing.
        let ask = |property: &str| self.db.property_int_value(property).ok().flatten().unwrap_or_default();
        Usage {
            disk_bytes: ask("rocksdb.total-sst-files-size"),
            memtable_bytes: ask("rocksdb.cur-size-all-mem-tables"),
            table_reader_bytes: ask("rocksdb.estimate-table-readers-mem"),
        }
    }

    /// A view of one moment.
    #[must_use]
    pub fn snapshot(&self) -> PartitionSnapshot<'_> {
        PartitionSnapshot { db: &self.db, snapshot: self.db.snapshot() }
    }
}

/// A view of one moment of a store.
pub struct PartitionSnapshot<'a> {
    db: &'a DB,
    snapshot: Snapshot<'a>,
}

fn failed(error: rocksdb::Error) -> RowsError {
    RowsError::Store(error.into_string())
}

fn scan(db: &DB, mut options: ReadOptions, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
    options.set_total_order_seek(true);
    if let Some(end) = successor(prefix) {
        options.set_iterate_upper_bound(end);
    }
    let start = from.max(prefix);
    let rows = db.iterator_opt(IteratorMode::From(start, Direction::Forward), options);
    rows.take(limit).map(|row| row.map(|(key, value)| (key.into_vec(), value.into_vec())).map_err(failed)).collect()
}

/// The first key after all that start with `prefix`; none if there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

impl Rows for PartitionStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.db.get(key).map_err(failed)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
        scan(&self.db, ReadOptions::default(), prefix, from, limit)
    }
}

impl Rows for PartitionSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.snapshot.get(key).map_err(failed)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        scan(self.db, options, prefix, from, limit)
    }
}

impl Store for PartitionStore {
    fn write(&mut self, batch: Vec<Row>) -> Result<(), RowsError> {
        let mut writes = WriteBatch::default();
        for (key, value) in &batch {
            match value {
                Some(value) => writes.put(key, value),
                None => writes.delete(key),
            }
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(writes, &options).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(directory: &Path) -> PartitionStore {
        PartitionStore::open(directory, &SharedMemory::new(1 << 20, 1 << 20)).unwrap()
    }

    fn put(key: &str, value: &str) -> Row {
        (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))
    }

    #[test]
    fn scans_stay_within_prefix_and_limit() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = store(directory.path());
        store.write(vec![put("a1", "1"), put("a2", "2"), put("a3", "3"), put("b1", "4")]).unwrap();
        store.write(vec![(b"a2".to_vec(), None)]).unwrap();
        let keys = |from: &str, limit| -> Vec<_> {
            let found = store.scan(b"a", from.as_bytes(), limit).unwrap();
            found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
        };
        assert_eq!(keys("", 9), ["a1", "a3"]);
        assert_eq!(keys("a2", 9), ["a3"]);
        assert_eq!(keys("", 1), ["a1"]);
        assert_eq!(store.scan(&[u8::MAX], &[], 9).unwrap(), []);
    }

    #[test]
    fn what_is_flushed_survives_and_a_snapshot_stands_still() {
        let directory = tempfile::tempdir().unwrap();
        {
            let mut store = store(directory.path());
            store.write(vec![put("k", "old")]).unwrap();
            let reader = store.clone();
            let snapshot = reader.snapshot();
            store.write(vec![put("k", "new")]).unwrap();
            assert_eq!(snapshot.get(b"k").unwrap().unwrap(), b"old");
            assert!(store.usage().memtable_bytes > 0 && store.usage().disk_bytes == 0);
            store.flush().unwrap();
            assert!(store.usage().disk_bytes > 0);
        }
        assert_eq!(store(directory.path()).get(b"k").unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_store_in_use_is_not_opened_twice() {
        let directory = tempfile::tempdir().unwrap();
        let _held = store(directory.path());
        let second = PartitionStore::open(directory.path(), &SharedMemory::new(1 << 20, 1 << 20));
        assert!(second.err().unwrap().to_string().contains("another process"));
    }
}
