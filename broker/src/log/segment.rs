//! One stretch of a partition's log. There is one writer (the partition's appender); readers see what `append` published
//! and hold no lock while they read.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::batch::{self, Batch, BatchFault, EXTENT_BYTES};
use super::index::{Cleaned, INTERVAL_BYTES, Index, SealedIndex};
use super::producers::ProducerSnapshot;
use super::store::Store;
use crate::sync;

/// A read beyond this is worth a thread of its own when it comes from a file.
const INLINE_READ_BYTES: usize = 128 << 10;
const SCAN_BYTES: usize = 64 << 10;

pub(crate) const NO_TIMESTAMP: i64 = -1;

pub(crate) struct Segment {
    pub base_offset: i64,
    pub(crate) store: Store,
    extent: Mutex<Extent>,
}

/// How far a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub size: u64,
    pub next_offset: i64,
    pub max_timestamp: i64,
}

#[derive(Debug)]
struct Extent {
    written: Progress,
    /// What readers may see; it follows `written` at once, or when that is synced.
    visible: Progress,
    first_timestamp: i64,
    index: Index,
    /// Whether it is complete, synced and indexed: compaction leaves other segments alone.
    is_sealed: bool,
    cleaned: Cleaned,
}

impl Segment {
    pub(crate) fn new(base_offset: i64, store: Store) -> Self {
        let empty = Progress { size: 0, next_offset: base_offset, max_timestamp: NO_TIMESTAMP };
        let extent = Extent {
            written: empty,
            visible: empty,
            first_timestamp: NO_TIMESTAMP,
            index: Index::default(),
            is_sealed: false,
            cleaned: Cleaned::default(),
        };
        Self { base_offset, store, extent: Mutex::new(extent) }
    }

    pub(crate) fn from_sealed(base_offset: i64, store: Store, sealed: SealedIndex) -> Self {
        let SealedIndex { index, progress, first_timestamp, cleaned, producers: _ } = sealed;
        let (written, visible, is_sealed) = (progress, progress, false);
        let extent = Extent { written, visible, first_timestamp, index, is_sealed, cleaned };
        Self { base_offset, store, extent: Mutex::new(extent) }
    }

    pub(crate) fn seal(&self, producers: Vec<ProducerSnapshot>) -> SealedIndex {
        let extent = sync::lock(&self.extent);
        let (index, progress, first_timestamp) = (extent.index.clone(), extent.written, extent.first_timestamp);
        SealedIndex { index, progress, first_timestamp, cleaned: extent.cleaned.clone(), producers }
    }

    /// Nothing will be written any more, and a start will trust what is there.
    pub(crate) fn set_sealed(&self) {
        sync::lock(&self.extent).is_sealed = true;
    }

    pub(crate) fn is_sealed(&self) -> bool {
        sync::lock(&self.extent).is_sealed
    }

    pub(crate) fn cleaned(&self) -> Cleaned {
        sync::lock(&self.extent).cleaned.clone()
    }

    pub(crate) fn set_cleaned(&self, cleaned: Cleaned) {
        sync::lock(&self.extent).cleaned = cleaned;
    }

    /// How far the log has been written, for its writer.
    pub(crate) fn written(&self) -> Progress {
        sync::lock(&self.extent).written
    }

    /// How far the log may be read.
    pub(crate) fn visible(&self) -> Progress {
        sync::lock(&self.extent).visible
    }

    /// The timestamp of the first batch, from which the segment's age is counted.
    pub(crate) fn first_timestamp(&self) -> i64 {
        sync::lock(&self.extent).first_timestamp
    }

    /// Writes a batch behind the last one; a failed write leaves the segment as it was, or says so with `Torn`.
    pub(crate) fn append(&self, batch: &Batch, bytes: &Bytes) -> Result<(), WriteFault> {
        let size = self.written().size;
        if let Err(source) = self.store.write(size, bytes) {
            // What was written of it would stand behind the last batch, or within a later one that is shorter.
            return Err(match self.store.truncate(size) {
                Ok(()) => WriteFault::Undone(source),
                Err(_) => WriteFault::Torn(source),
            });
        }
        self.note(batch);
        Ok(())
    }

    /// Takes note of a batch that stands in the store behind the others.
    pub(crate) fn note(&self, batch: &Batch) {
        let mut extent = sync::lock(&self.extent);
        let Progress { size, next_offset: _, max_timestamp } = extent.written;
        extent.index.note(batch, size, max_timestamp);
        if size == 0 {
            extent.first_timestamp = batch.max_timestamp;
        }
        extent.written = Progress {
            size: size + batch.bytes as u64,
            next_offset: batch.last_offset() + 1,
            max_timestamp: max_timestamp.max(batch.max_timestamp),
        };
    }

    /// Lets readers see what has been written up to there, and moves the log's end. Both happen under the lock under which
    /// readers look, so that nobody is given what lies beyond the end.
    pub(crate) fn reveal(&self, progress: Progress, end: &AtomicI64) {
        let mut extent = sync::lock(&self.extent);
        if progress.next_offset > extent.visible.next_offset {
            extent.visible = progress;
        }
        end.fetch_max(progress.next_offset, Ordering::AcqRel);
    }

    /// For a segment that nobody else knows of yet.
    pub(crate) fn reveal_all(&self) {
        let mut extent = sync::lock(&self.extent);
        extent.visible = extent.written;
    }

    /// Walks all batches that readers may see.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan::new(&self.store, 0, self.visible().size)
    }

    /// Prepares to read the batches from the one that holds `offset` on; `None` if there is none yet.
    pub(crate) fn plan_read(self: &Arc<Self>, offset: i64, bytes_max: usize, at_least_one: bool) -> Option<Read> {
        let extent = sync::lock(&self.extent);
        if offset >= extent.visible.next_offset {
            return None;
        }
        let position = extent.index.position_of(offset);
        Some(Read { segment: self.clone(), position, end: extent.visible.size, offset, bytes_max, at_least_one })
    }

    /// Walks the batches from the position that the index names for a timestamp.
    pub(crate) fn scan_from_timestamp(&self, timestamp: i64) -> Scan<'_> {
        let extent = sync::lock(&self.extent);
        let end = extent.visible.size;
        Scan::new(&self.store, extent.index.position_of_timestamp(timestamp).min(end), end)
    }
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteFault {
    /// Nothing is left of the attempt.
    #[error("{0}")]
    Undone(io::Error),
    /// A part of the batch may stand in the file, and could not be taken back.
    #[error("{0}")]
    Torn(io::Error),
}

/// A read that is ready to run, on any thread.
pub(crate) struct Read {
    segment: Arc<Segment>,
    position: u64,
    end: u64,
    offset: i64,
    bytes_max: usize,
    at_least_one: bool,
}

impl Read {
    pub(crate) fn may_block(&self) -> bool {
        self.segment.store.is_file() && self.window_bytes() > INLINE_READ_BYTES
    }

    /// Without a gap before it, the wanted batch starts less than an index interval behind `position`.
    fn window_bytes(&self) -> usize {
        let wanted = INTERVAL_BYTES + EXTENT_BYTES as u64 + self.bytes_max as u64;
        wanted.min(self.end - self.position) as usize
    }

    /// Whole batches of at most `bytes_max`, or one larger batch if there must be one.
    pub(crate) fn run(&self) -> io::Result<Bytes> {
        let mut position = self.position;
        let mut window = self.segment.store.read(position, self.window_bytes())?;
        let mut start = 0;
        let first_bytes = loop {
            if start + EXTENT_BYTES > window.len() {
                // What is wanted has been compacted away behind a large batch: the next one lies beyond the window.
                (position, start) = (position + start as u64, 0);
                let length = (self.end.saturating_sub(position)).min(window.len() as u64) as usize;
                window = self.segment.store.read(position, length)?;
            }
            let (_, bytes, last_offset) = batch::extent(&window[start..]).map_err(|fault| self.damaged(&fault))?;
            if last_offset >= self.offset {
                break bytes;
            }
            start += bytes;
        };
        if first_bytes > self.bytes_max {
            return match self.at_least_one {
                true => self.segment.store.read(position + start as u64, first_bytes),
                false => Ok(Bytes::new()),
            };
        }
        let wanted = (self.end - position - start as u64).min(self.bytes_max as u64) as usize;
        if start + wanted > window.len() {
            window = self.segment.store.read(position + start as u64, wanted)?;
            start = 0;
        }
        let limit = window.len().min(start + self.bytes_max);
        let mut end = start;
        while let Ok((_, bytes, _)) = batch::extent(&window[end..]) {
            if end + bytes > limit {
                break;
            }
            end += bytes;
        }
        Ok(window.slice(start..end))
    }

    fn damaged(&self, fault: &BatchFault) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("offset {} cannot be read: {fault}", self.offset))
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanFault {
    #[error("{0}")]
    Batch(#[from] BatchFault),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Walks whole, verified batches in order, reading in large pieces.
pub(crate) struct Scan<'a> {
    store: &'a Store,
    pub position: u64,
    end: u64,
    piece: Bytes,
    piece_at: u64,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(store: &'a Store, position: u64, end: u64) -> Self {
        Self { store, position, end, piece: Bytes::new(), piece_at: position }
    }

    /// The next batch; `position` then stands behind it. At a fault it stays before the batch at fault.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(Batch, Bytes)>, ScanFault> {
        if self.position == self.end {
            return Ok(None);
        }
        let (_, bytes, _) = batch::extent(&self.bytes(EXTENT_BYTES)?)?;
        let whole = self.bytes(bytes)?;
        let batch = Batch::verify(&whole)?;
        self.position += bytes as u64;
        Ok(Some((batch, whole)))
    }

    fn bytes(&mut self, count: usize) -> Result<Bytes, ScanFault> {
        let remaining = self.end - self.position;
        if count as u64 > remaining {
            return Err(BatchFault::Torn.into());
        }
        let skip = (self.position - self.piece_at) as usize;
        if skip + count > self.piece.len() {
            let piece_bytes = (count.max(SCAN_BYTES) as u64).min(remaining) as usize;
            self.piece = self.store.read(self.position, piece_bytes)?;
            self.piece_at = self.position;
            return Ok(self.piece.slice(..count));
        }
        Ok(self.piece.slice(skip..skip + count))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::batch::testing;
    use super::*;

    fn segment_of(batches: usize, value: &[u8]) -> Arc<Segment> {
        let segment = Arc::new(Segment::new(100, Store::file(tempfile::tempfile().unwrap())));
        for n in 0..batches {
            let at = 1_000 + n as i64;
            let mut bytes = BytesMut::from(&testing::batch(None, &[(at, value), (at, value)])[..]);
            batch::place(&mut bytes, segment.written().next_offset);
            segment.append(&Batch::parse(&bytes).unwrap(), &bytes.freeze()).unwrap();
        }
        assert!(segment.plan_read(100, 1_000, true).is_none());
        segment.reveal(segment.written(), &AtomicI64::new(100));
        segment
    }

    fn offsets(bytes: &[u8]) -> Vec<i64> {
        let mut offsets = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let batch = Batch::verify(&bytes[at..]).unwrap();
            offsets.push(batch.base_offset);
            at += batch.bytes;
        }
        offsets
    }

    #[test]
    fn every_offset_is_found_and_reads_are_whole_batches() {
        let segment = segment_of(300, &[7; 50]);
        for offset in 100..700 {
            let bytes = segment.plan_read(offset, 1_000, true).unwrap().run().unwrap();
            let found = offsets(&bytes);
            assert_eq!(found[0], offset - offset % 2);
            assert!(bytes.len() <= 1_000);
        }
        assert!(segment.plan_read(700, 1_000, true).is_none());
    }

    #[test]
    fn a_batch_beyond_the_limit_comes_alone_and_only_if_wanted() {
        let segment = segment_of(3, &[7; 20_000]);
        let alone = segment.plan_read(103, 10, true).unwrap().run().unwrap();
        assert_eq!(offsets(&alone), [102]);
        assert!(segment.plan_read(103, 10, false).unwrap().run().unwrap().is_empty());
    }

    #[test]
    fn a_scan_from_a_timestamp_starts_before_it() {
        let segment = segment_of(300, &[7; 50]);
        let mut scan = segment.scan_from_timestamp(1_250);
        let (first, _) = scan.next_batch().unwrap().unwrap();
        assert!(first.max_timestamp <= 1_250);
        assert!(first.max_timestamp > 1_150);
    }
}
