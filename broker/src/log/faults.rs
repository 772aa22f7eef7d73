//! For tests: files that fail, and files of which only what was synced is left.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sync;

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) fail_writes: AtomicBool,
    pub(crate) fail_syncs: AtomicBool,
    /// How many reads succeed before all fail; `None` never fails.
    pub(crate) reads_left: Mutex<Option<u32>>,
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

    pub(crate) fn before_read(&self) -> io::Result<()> {
        match &mut *sync::lock(&self.reads_left) {
            Some(0) => Err(io::Error::other("injected")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
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

thread_local! {
    static STEPS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Lets this thread take so many more steps in changing files, and fail at the next as if it had been killed there.
pub(crate) fn crash_after(steps: u32) {
    STEPS_LEFT.set(Some(steps));
}

pub(crate) fn never_crash() {
    STEPS_LEFT.set(None);
}

pub(crate) fn crash_point() -> io::Result<()> {
    match STEPS_LEFT.get() {
        Some(0) => Err(io::Error::other("killed")),
        Some(left) => {
            STEPS_LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}
