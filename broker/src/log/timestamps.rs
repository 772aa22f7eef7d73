//! Finding records by time.

use super::batch::Batch;
use super::partition::Partition;
use super::records::{self, Records};
use super::segment::{NO_TIMESTAMP, ScanFault};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOffset {
    pub offset: i64,
    pub timestamp: i64,
}

/// The first record that is not older than `timestamp`.
pub(crate) fn first_since(partition: &Partition, timestamp: i64) -> Result<Option<TimedOffset>, ScanFault> {
    let start = partition.start();
    for segment in partition.segments().iter() {
        if segment.visible().max_timestamp < timestamp || segment.visible().next_offset <= start {
            continue;
        }
        let mut scan = segment.scan_from_timestamp(timestamp);
        while let Some((batch, bytes)) = scan.next_batch()? {
            if batch.max_timestamp < timestamp || batch.last_offset() < start {
                continue;
            }
            let found = locate(&batch, &bytes, |offset, at| offset >= start && at >= timestamp)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// The first record that carries the greatest timestamp.
pub(crate) fn latest(partition: &Partition) -> Result<Option<TimedOffset>, ScanFault> {
    let start = partition.start();
    let segments = partition.segments();
    let live = segments.iter().filter(|segment| segment.visible().next_offset > start);
    let max_timestamp = live.map(|segment| segment.visible().max_timestamp).max().unwrap_or(NO_TIMESTAMP);
    first_since(partition, max_timestamp)
}

fn locate(batch: &Batch, bytes: &[u8], wanted: impl Fn(i64, i64) -> bool) -> Result<Option<TimedOffset>, ScanFault> {
    let body = records::body(batch, bytes)?;
    for record in Records::of(&body) {
        let record = record?;
        let offset = batch.base_offset + i64::from(record.offset_delta);
        let timestamp = match batch.is_log_append_time() {
            true => batch.max_timestamp,
            false => batch.base_timestamp + record.timestamp_delta,
        };
        if wanted(offset, timestamp) {
            return Ok(Some(TimedOffset { offset, timestamp }));
        }
    }
    Ok(None)
}
