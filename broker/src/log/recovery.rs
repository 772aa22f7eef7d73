//! Opens what a partition's directory holds after any kind of stop. A segment with an index is complete and was synced, so
//! damage in one is an error and never silently becomes a hole. Everything after the last of these may be torn, and is cut
//! back to its last whole batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compaction::swap;
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
    /// Whether the end of the log did not have to be looked for.
    pub is_clean: bool,
}

pub(crate) fn recover(directory: &Path, producers_max: usize) -> Result<Recovered, BrokerError> {
    let io = |action| BrokerError::storage(action, directory);
    swap::recover(directory)?;
    let bases = files::segments(directory).map_err(io("list the segments in"))?;
    let mut producers = Producers::new(producers_max);
    let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(bases.len());
    let stop = files::read_clean_stop(directory).map_err(io("read how the broker stopped in"))?;
    let mut is_clean = false;
    for (n, &base) in bases.iter().enumerate() {
        let follows = segments.last().is_none_or(|before| before.written().next_offset == base);
        if !follows {
            drop_unreachable(directory, &bases[n..])?;
            break;
        }
        let segment = match bases.get(n + 1) {
            Some(&next) => open_complete(directory, base, next, &mut producers)?,
            None => open_last(directory, base, stop.as_ref(), &mut producers, &mut is_clean)?,
        };
        segments.push(Arc::new(segment));
    }
    let first = segments.first().map_or(0, |segment| segment.base_offset);
    let mut end = segments.last().map_or(0, |segment| segment.written().next_offset);
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
    if !is_clean {
        files::remove_clean_stop(directory).map_err(io("remove an outdated file in"))?;
    }
    Ok(Recovered { segments, start, end, producers, is_clean })
}

/// What stands behind a torn segment was written after what is lost, and cannot be read without a hole.
fn drop_unreachable(directory: &Path, bases: &[i64]) -> Result<(), BrokerError> {
    for &base in bases {
        tracing::error!(segment = %files::log_path(directory, base).display(), "removed a segment behind a torn one");
        files::remove_segment(directory, base).map_err(BrokerError::storage("remove a segment in", directory))?;
    }
    Ok(())
}

fn open_file(directory: &Path, base: i64) -> Result<(Store, u64, PathBuf), BrokerError> {
    let path = files::log_path(directory, base);
    let file = files::open_log(directory, base).map_err(BrokerError::storage("open the segment", &path))?;
    let size = file.metadata().map_err(BrokerError::storage("look at the segment", &path))?.len();
    Ok((Store::file(file), size, path))
}

fn read_index(directory: &Path, base: i64) -> Result<Option<SealedIndex>, BrokerError> {
    files::read_index(directory, base).map_err(BrokerError::storage("read the index of a segment in", directory))
}

fn open_complete(directory: &Path, base: i64, next: i64, producers: &mut Producers) -> Result<Segment, BrokerError> {
    let (store, size, path) = open_file(directory, base)?;
    let Some(sealed) = read_index(directory, base)? else {
        return read(Segment::new(base, store), directory, size, Some(next), producers);
    };
    if sealed.progress.size != size || next != sealed.progress.next_offset {
        let (size, next) = (sealed.progress.size, sealed.progress.next_offset);
        let reason = format!("its index knows of {size} bytes up to offset {next}");
        return Err(BrokerError::Damaged { path, position: size, reason });
    }
    producers.replace(sealed.producers.clone());
    let segment = Segment::from_sealed(base, store, sealed);
    segment.set_sealed();
    Ok(segment)
}

/// The segment that appends go on with, from what the last stop says of it or by reading it.
fn open_last(
    directory: &Path,
    base: i64,
    stop: Option<&(i64, SealedIndex)>,
    producers: &mut Producers,
    is_clean: &mut bool,
) -> Result<Segment, BrokerError> {
    let (store, size, path) = open_file(directory, base)?;
    // A complete segment whose successor was lost with the power: it grows again, and its index would not know.
    let sealed = read_index(directory, base)?;
    if let Some(sealed) = &sealed {
        if sealed.progress.size > size {
            let position = sealed.progress.size;
            let reason = format!("its index knows of {position} bytes");
            return Err(BrokerError::Damaged { path, position, reason });
        }
        files::remove_index(directory, base).map_err(BrokerError::storage("remove an index in", directory))?;
    }
    let stopped = stop.filter(|(stopped_in, stopped)| *stopped_in == base && stopped.progress.size == size);
    *is_clean = stopped.is_some();
    let known = stopped.map(|(_, stopped)| stopped.clone()).or(sealed.filter(|sealed| sealed.progress.size == size));
    match known {
        Some(known) => {
            producers.replace(known.producers.clone());
            Ok(Segment::from_sealed(base, store, known))
        }
        None => read(Segment::new(base, store), directory, size, None, producers),
    }
}

/// Reads a segment of which no file says what it holds: the last one, or one that was not sealed in time.
fn read(
    segment: Segment,
    directory: &Path,
    size: u64,
    next: Option<i64>,
    producers: &mut Producers,
) -> Result<Segment, BrokerError> {
    let path = files::log_path(directory, segment.base_offset);
    let fault = replay(&segment, size, producers);
    segment.reveal_all();
    match fault {
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
    if next == Some(segment.written().next_offset) {
        let sealed = segment
            .store
            .sync()
            .and_then(|()| files::write_index(directory, segment.base_offset, &segment.seal(producers.snapshot())));
        sealed.map_err(BrokerError::storage("seal a segment in", directory))?;
        segment.set_sealed();
    }
    Ok(segment)
}

/// Takes note of every whole batch in order. Returns where and why it stopped early.
fn replay(segment: &Segment, size: u64, producers: &mut Producers) -> Option<(u64, ScanFault)> {
    let mut scan = Scan::new(&segment.store, 0, size);
    loop {
        let position = scan.position;
        match scan.next_batch() {
            Ok(None) => return None,
            Ok(Some((batch, _))) if batch.base_offset >= segment.written().next_offset => {
                segment.note(&batch);
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
