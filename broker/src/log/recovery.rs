//! Opens what a partition's directory holds after any kind of stop. A segment with an index is complete and was synced, so
//! damage in one is an error and never silently becomes a hole. Everything after the last of these may be torn, and is cut
//! back to its last whole batch.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::files;
use super::index::SealedIndex;
use super::producers::Producers;
use super::segment::{Scan, ScanFault, Segment};
use super::store::Store;
use crate::error::BrokerError;

pub(crate) struct Recovered {
    pub segments: Vec<Arc<Segment>>,
    pub start: i64,
    pub end: i64,
    pub producers: Producers,
}

pub(crate) fn recover(directory: &Path, producers_max: usize) -> Result<Recovered, BrokerError> {
    let io = |action| BrokerError::storage(action, directory);
    let bases = files::segments(directory).map_err(io("list the segments in"))?;
    let mut producers = Producers::new(producers_max);
    let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(bases.len());
    for (n, &base) in bases.iter().enumerate() {
        let follows = segments.last().is_none_or(|before| before.next_offset() == base);
        if !follows {
            drop_unreachable(directory, &bases[n..])?;
            break;
        }
        segments.push(Arc::new(open(directory, base, bases.get(n + 1).copied(), &mut producers)?));
    }
    let first = segments.first().map_or(0, |segment| segment.base_offset);
    let mut end = segments.last().map_or(0, |segment| segment.next_offset());
    let start = files::read_log_start(directory).map_err(io("read the start of the log in"))?;
    let start = start.unwrap_or(first).max(first);
    if start > end {
        // Records were deleted up to an offset whose own segment was lost with the torn end: go on from there.
        for &base in &bases {
            files::remove_segment(directory, base).map_err(io("remove an emptied segment in"))?;
        }
        segments.clear();
        end = start;
    }
    Ok(Recovered { segments, start, end, producers })
}

/// What stands behind a torn segment was written after what is lost, and cannot be read without a hole.
fn drop_unreachable(directory: &Path, bases: &[i64]) -> Result<(), BrokerError> {
    for &base in bases {
        tracing::error!(segment = %files::log_path(directory, base).display(), "removed a segment behind a torn one");
        files::remove_segment(directory, base).map_err(BrokerError::storage("remove a segment in", directory))?;
    }
    Ok(())
}

fn open(directory: &Path, base: i64, next: Option<i64>, producers: &mut Producers) -> Result<Segment, BrokerError> {
    let path = files::log_path(directory, base);
    let file = files::open_log(directory, base).map_err(BrokerError::storage("open the segment", &path))?;
    let size = file.metadata().map_err(BrokerError::storage("look at the segment", &path))?.len();
    let index = files::read_index::<SealedIndex>(directory, base)
        .map_err(BrokerError::storage("read the index of a segment in", directory))?;
    let Some(sealed) = index else {
        return read(Segment::new(base, Store::File(file)), directory, size, next, producers);
    };
    if sealed.size != size || next.is_some_and(|next| next != sealed.next_offset) {
        let reason = format!("its index knows of {} bytes up to offset {}", sealed.size, sealed.next_offset);
        return Err(BrokerError::Damaged { path, position: size, reason });
    }
    producers.replace(sealed.producers.clone());
    Ok(Segment::from_sealed(base, Store::File(file), sealed))
}

/// Reads a segment that has no index: the last one, or one that was not sealed in time.
fn read(
    segment: Segment,
    directory: &Path,
    size: u64,
    next: Option<i64>,
    producers: &mut Producers,
) -> Result<Segment, BrokerError> {
    let path = files::log_path(directory, segment.base_offset);
    match replay(&segment, size, producers) {
        None => {}
        Some((_, ScanFault::Io(source))) => {
            return Err(BrokerError::Storage { action: "read the segment", path, source });
        }
        Some((position, ScanFault::Batch(fault))) => {
            tracing::warn!(segment = %path.display(), position, cut_bytes = size - position, %fault,
                "cut a torn end off the log");
            segment.store.truncate(position).map_err(BrokerError::storage("cut the torn end off", path))?;
        }
    }
    if next == Some(segment.next_offset()) {
        let sealed = segment
            .store
            .sync()
            .and_then(|()| files::write_index(directory, segment.base_offset, &segment.seal(producers.snapshot())));
        sealed.map_err(BrokerError::storage("seal a segment in", directory))?;
    }
    Ok(segment)
}

/// Publishes every whole batch in order. Returns where and why it stopped early.
fn replay(segment: &Segment, size: u64, producers: &mut Producers) -> Option<(u64, ScanFault)> {
    let end = AtomicI64::new(segment.base_offset);
    let mut scan = Scan::new(&segment.store, 0, size);
    loop {
        let position = scan.position;
        match scan.next_batch() {
            Ok(None) => return None,
            Ok(Some((batch, _))) if batch.base_offset >= segment.next_offset() => {
                segment.publish(&batch, &end);
                producers.note(&batch);
            }
            Ok(Some(_)) => {
                let fault = super::batch::BatchFault::Invalid("the batch's offset is lower than the one before it");
                return Some((position, fault.into()));
            }
            Err(fault) => return Some((position, fault)),
        }
    }
}
