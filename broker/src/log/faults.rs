//! For tests: files that fail, and files of which only what was synced is left.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) fail_writes: AtomicBool,
    pub(crate) fail_syncs: AtomicBool,
    /// Bytes that would be there after a loss of power.
    pub(crate) synced: AtomicU64,
    pub(crate) syncs: AtomicU64,
}

impl Faults {
    /// A disk that is full takes the beginning.
    pub(crate) fn before_write(&self, file: &File, position: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.fail_writes.load(Ordering::Acquire) {
            return Ok(());
        }
        file.write_all_at(&bytes[..bytes.len() / 2], position)?;
        Err(io::ErrorKind::StorageFull.into())
    }

    /// What a sync that begins now is sure to cover.
    pub(crate) fn before_sync(&self, file: &File) -> io::Result<u64> {
        match self.fail_syncs.load(Ordering::Acquire) {
            true => Err(io::Error::other("injected")),
            false => Ok(file.metadata()?.len()),
        }
    }

    pub(crate) fn after_sync(&self, length: u64) {
        self.synced.fetch_max(length, Ordering::AcqRel);
        self.syncs.fetch_add(1, Ordering::AcqRel);
    }
}
