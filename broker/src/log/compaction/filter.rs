//! Taking records out of a batch. What stays is copied byte for byte, at the offset, with the timestamp and in the order
//! that it had; the batch keeps its offsets and its producer's sequence numbers.

use std::io;

use bytes::{Bytes, BytesMut};

use super::super::batch::{self, Batch, HEADER_BYTES};
use super::super::compression::Codec;
use super::super::records::{self, Record, Records};
use super::super::segment::ScanFault;

pub(super) enum Filtered {
    /// Every record stays, so the batch stays as it is.
    Whole,
    Some(Bytes),
    /// No record stays.
    None,
}

/// Keeps the records for which `keep` says so.
pub(super) fn filter(
    batch: &Batch,
    bytes: &[u8],
    mut keep: impl FnMut(&Record<'_>, i64) -> bool,
) -> Result<Filtered, ScanFault> {
    if batch.record_count == 0 {
        return Ok(Filtered::None);
    }
    let body = records::body(batch, bytes)?;
    let (mut kept, mut count, mut max_timestamp) = (Vec::new(), 0, i64::MIN);
    for record in Records::of(&body) {
        let record = record?;
        if keep(&record, batch.base_offset + i64::from(record.offset_delta)) {
            kept.extend_from_slice(record.bytes);
            count += 1;
            max_timestamp = max_timestamp.max(batch.base_timestamp + record.timestamp_delta);
        }
    }
    if count == batch.record_count {
        return Ok(Filtered::Whole);
    }
    if count == 0 {
        return Ok(Filtered::None);
    }
    if batch.is_log_append_time() {
        max_timestamp = batch.max_timestamp;
    }
    let kept = match Codec::find(batch.compression()) {
        Some(codec) => codec.pack(&kept)?,
        None => kept,
    };
    rebuild(bytes, &kept, count, batch.attributes, max_timestamp).map(Filtered::Some)
}

/// The batch without records: it says how far the log and its producer have come.
pub(super) fn emptied(batch: &Batch, bytes: &[u8]) -> Result<Bytes, ScanFault> {
    rebuild(bytes, &[], 0, batch::without_compression(batch.attributes), batch.max_timestamp)
}

fn rebuild(bytes: &[u8], body: &[u8], count: i32, attributes: i16, max_timestamp: i64) -> Result<Bytes, ScanFault> {
    let mut rebuilt = BytesMut::with_capacity(HEADER_BYTES + body.len());
    rebuilt.extend_from_slice(&bytes[..HEADER_BYTES]);
    rebuilt.extend_from_slice(body);
    batch::refill(&mut rebuilt, count, attributes, max_timestamp).map_err(io::Error::other)?;
    Ok(rebuilt.freeze())
}
