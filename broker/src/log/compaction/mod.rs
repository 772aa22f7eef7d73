//! Compaction: of every key the last record stays. Complete segments are rewritten beside the log, which goes on meanwhile;
//! only the exchange of the files takes turns with other changes to them.
//!
//! A pass maps the keys of what has not been cleaned yet, as far as its memory allows, and rewrites everything up to there;
//! what does not fit waits for the next pass. A record that stays is copied as it is. A batch without records stays, empty,
//! if it is the last of its producer or of its segment: what sequence number follows, and where the log goes on, is then
//! still in the log itself.

mod filter;
mod offset_map;
pub(crate) mod plan;
pub(crate) mod swap;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::filter::Filtered;
use self::offset_map::OffsetMap;
use self::plan::{CompactionRules, Plan};
use super::batch::{Batch, BatchFault};
use super::files;
use super::index::{Cleaned, SealedIndex, Tombstones};
use super::partition::{Partition, Status};
use super::records::{self, Record, Records};
use super::segment::{ScanFault, Segment, WriteFault};
use super::store::Store;
use crate::sync;

/// After so much it gives way to others for as long as it has worked.
const TURN: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactionError {
    #[error(transparent)]
    Scan(#[from] ScanFault),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the broker stops")]
    Stopped,
}

impl From<WriteFault> for CompactionError {
    fn from(fault: WriteFault) -> Self {
        let (WriteFault::Undone(error) | WriteFault::Torn(error)) = fault;
        Self::Io(error)
    }
}

/// One pass over one partition.
struct Pass<'a> {
    partition: &'a Partition,
    rules: &'a CompactionRules,
    now_ms: i64,
    dirty_from: i64,
    /// Below this offset the map knows every key.
    clean_to: i64,
    map: OffsetMap,
    last_batches: HashMap<i64, i64>,
    turn_began: Instant,
}

/// Cleans the partition if it is worth it. Returns when to look again, if no segment is completed before.
pub(crate) fn compact(
    partition: &Partition,
    rules: &CompactionRules,
    map_bytes_max: usize,
    now_ms: i64,
) -> Result<Option<i64>, CompactionError> {
    loop {
        let (segments, dirty_from) = match plan::plan(&partition.segments(), rules, now_ms) {
            Plan::Wait { until_ms } => return Ok(until_ms),
            Plan::Clean { segments, dirty_from } => (segments, dirty_from),
        };
        let last_batches = sync::lock(&partition.appender).producers.last_batches();
        let mut pass = Pass {
            partition,
            rules,
            now_ms,
            dirty_from,
            clean_to: dirty_from,
            map: OffsetMap::new(map_bytes_max),
            last_batches,
            turn_began: Instant::now(),
        };
        pass.map_keys(&segments)?;
        for group in plan::group(&segments, pass.clean_to, rules.segment_bytes) {
            if !pass.clean(&group)? {
                // Records were deleted meanwhile, and segments with them.
                break;
            }
        }
    }
}

impl Pass<'_> {
    fn map_keys(&mut self, segments: &[Arc<Segment>]) -> Result<(), CompactionError> {
        let (start, dirty_from) = (self.partition.start(), self.dirty_from);
        for segment in segments.iter().filter(|segment| segment.visible().next_offset > dirty_from) {
            let mut scan = segment.scan();
            while let Some((batch, bytes)) = scan.next_batch()? {
                self.give_way()?;
                if batch.last_offset() < dirty_from.max(start) {
                    continue;
                }
                match self.map_batch(&batch, &bytes) {
                    Ok(Some(full_at)) => {
                        self.clean_to = full_at;
                        return Ok(());
                    }
                    // It stays as it is, so what it replaces does not matter.
                    Ok(None) | Err(BatchFault::Invalid(_)) => {}
                    Err(fault) => return Err(ScanFault::from(fault).into()),
                }
            }
            self.clean_to = segment.visible().next_offset;
        }
        Ok(())
    }

    /// The offset of the first record for which there is no room.
    fn map_batch(&mut self, batch: &Batch, bytes: &[u8]) -> Result<Option<i64>, BatchFault> {
        if batch.record_count == 0 {
            return Ok(None);
        }
        let body = records::body(batch, bytes)?;
        for record in Records::of(&body) {
            let record = record?;
            let offset = batch.base_offset + i64::from(record.offset_delta);
            let Some(key) = record.key.filter(|_| offset >= self.dirty_from) else { continue };
            if !self.map.put(key, offset) {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Puts one segment in the place of a group. False if the group is no longer what it was.
    fn clean(&mut self, group: &[Arc<Segment>]) -> Result<bool, CompactionError> {
        let Some((first, last)) = group.first().zip(group.last()) else { return Ok(true) };
        let base = first.base_offset;
        let store = match &self.partition.directory {
            Some(directory) => Store::file(swap::create_cleaned(directory, base)?),
            None => Store::memory(),
        };
        let written = self.write(group, last, Segment::new(base, store));
        if let (Err(_), Some(directory)) = (&written, &self.partition.directory) {
            // On a full disk it would be in the way; what cannot be removed now is by the next pass or start.
            if let Err(error) = swap::discard_cleaned(directory, base) {
                tracing::warn!(directory = %directory.display(), base, %error, "cannot remove an unfinished segment");
            }
        }
        self.partition.exchange(group, written?).map_err(CompactionError::Io)
    }

    fn write(
        &mut self,
        group: &[Arc<Segment>],
        last: &Arc<Segment>,
        cleaned: Segment,
    ) -> Result<Segment, CompactionError> {
        let known: Vec<Tombstones> = group.iter().flat_map(|segment| segment.cleaned().tombstones).collect();
        let mut tombstones = TombstonesLeft::new(known, self.now_ms);
        for segment in group {
            self.copy(segment, Arc::ptr_eq(segment, last), &cleaned, &mut tombstones)?;
        }
        let next_offset = last.visible().next_offset;
        let to = next_offset.min(self.clean_to);
        cleaned.set_cleaned(Cleaned { to, tombstones: tombstones.left(to) });
        cleaned.reveal_all();
        cleaned.set_sealed();
        if cleaned.visible().next_offset != next_offset {
            return Err(io::Error::other("a cleaned segment does not end where the log goes on").into());
        }
        cleaned.store.sync()?;
        Ok(cleaned)
    }

    fn copy(
        &mut self,
        segment: &Segment,
        is_last: bool,
        cleaned: &Segment,
        tombstones: &mut TombstonesLeft,
    ) -> Result<(), CompactionError> {
        let mut scan = segment.scan();
        while let Some((batch, bytes)) = scan.next_batch()? {
            self.give_way()?;
            let ends_group = is_last && batch.last_offset() + 1 == segment.visible().next_offset;
            let is_needed = ends_group || self.last_batches.get(&batch.producer_id) == Some(&batch.base_offset);
            if let Some(bytes) = self.filter(&batch, bytes, is_needed, tombstones)? {
                cleaned.append(&Batch::parse(&bytes).map_err(ScanFault::from)?, &bytes)?;
            }
        }
        Ok(())
    }

    fn filter(
        &self,
        batch: &Batch,
        bytes: Bytes,
        is_needed: bool,
        tombstones: &mut TombstonesLeft,
    ) -> Result<Option<Bytes>, ScanFault> {
        if batch.base_offset >= self.clean_to {
            return Ok(Some(bytes));
        }
        let start = self.partition.start();
        let keep = |record: &Record<'_>, offset: i64| self.keeps(record, offset, start, tombstones);
        match filter::filter(batch, &bytes, keep) {
            // A batch that cannot be unpacked is nobody's to judge: it stays as it is.
            Ok(Filtered::Whole) | Err(ScanFault::Batch(BatchFault::Invalid(_))) => Ok(Some(bytes)),
            Ok(Filtered::Some(bytes)) => Ok(Some(bytes)),
            Ok(Filtered::None) if is_needed => filter::emptied(batch, &bytes).map(Some),
            Ok(Filtered::None) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn keeps(&self, record: &Record<'_>, offset: i64, start: i64, tombstones: &mut TombstonesLeft) -> bool {
        if offset >= self.clean_to {
            return true;
        }
        // What has no key was written before the topic was compacted; Kafka drops it, too.
        let Some(key) = record.key.filter(|_| offset >= start) else { return false };
        if self.map.supersedes(key, offset) {
            return false;
        }
        record.has_value || tombstones.keep(offset, self.rules.delete_retention_ms)
    }

    /// Half of the time is for others, and a broker that stops does not wait.
    fn give_way(&mut self) -> Result<(), CompactionError> {
        let bell = &self.partition.context.upkeep;
        let worked = self.turn_began.elapsed();
        if worked >= TURN {
            bell.pause(worked);
            self.turn_began = Instant::now();
        }
        match bell.is_stopped() || self.partition.status() != Status::Online {
            true => Err(CompactionError::Stopped),
            false => Ok(()),
        }
    }
}

/// Which tombstones of a group are left, and since when.
struct TombstonesLeft {
    known: Vec<Tombstones>,
    /// Of each entry of `known`, and of what is new, whether any is left.
    is_left: Vec<bool>,
    now_ms: i64,
}

impl TombstonesLeft {
    fn new(known: Vec<Tombstones>, now_ms: i64) -> Self {
        Self { is_left: vec![false; known.len() + 1], known, now_ms }
    }

    fn keep(&mut self, offset: i64, retention_ms: i64) -> bool {
        let at = self.known.partition_point(|tombstones| tombstones.to <= offset);
        let cleaned_at_ms = self.known.get(at).map_or(self.now_ms, |tombstones| tombstones.cleaned_at_ms);
        let is_kept = self.now_ms.saturating_sub(cleaned_at_ms) <= retention_ms;
        self.is_left[at] |= is_kept;
        is_kept
    }

    fn left(self, clean_to: i64) -> Vec<Tombstones> {
        let new = Tombstones { to: clean_to, cleaned_at_ms: self.now_ms };
        let all = self.known.into_iter().chain([new]).zip(self.is_left);
        all.filter_map(|(tombstones, is_left)| is_left.then_some(tombstones)).collect()
    }
}

impl Partition {
    /// Puts a cleaned segment in the place of those that it was made of. False if they are not there any more.
    fn exchange(&self, group: &[Arc<Segment>], cleaned: Segment) -> io::Result<bool> {
        let base = cleaned.base_offset;
        let _upkeep = sync::lock(&self.upkeep);
        let is_there = self.status() == Status::Online && group.iter().all(|segment| self.holds(segment));
        if let Some(directory) = &self.directory {
            if !is_there {
                swap::discard_cleaned(directory, base)?;
                return Ok(false);
            }
            let producers = self.producers_at_end_of(group)?;
            if let Err(error) = swap::commit(directory, base, &cleaned.seal(producers)) {
                // The files may be the old ones or the new; a start finds out.
                self.go_offline(&error);
                return Err(error);
            }
        }
        if is_there {
            let mut segments = sync::write(&self.segments);
            let is_old = |segment: &Arc<Segment>| group.iter().any(|old| Arc::ptr_eq(old, segment));
            let before = segments.iter().take_while(|segment| !is_old(segment)).cloned();
            let after =
                segments.iter().skip_while(|segment| !is_old(segment)).filter(|segment| !is_old(segment)).cloned();
            *segments = before.chain([Arc::new(cleaned)]).chain(after).collect();
        }
        Ok(is_there)
    }

    fn producers_at_end_of(&self, group: &[Arc<Segment>]) -> io::Result<Vec<super::producers::ProducerSnapshot>> {
        let last = self.directory.as_ref().zip(group.last());
        let Some((directory, last)) = last else { return Ok(Vec::new()) };
        let index = files::read_index::<SealedIndex>(directory, last.base_offset)?;
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the index of a complete segment is gone");
        index.map(|index| index.producers).ok_or_else(missing)
    }
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
