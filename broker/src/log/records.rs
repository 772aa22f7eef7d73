//! A walk over the records inside an uncompressed batch, without copying them.

use super::batch::{Batch, BatchFault, HEADER_BYTES};

const CUT_OFF: BatchFault = BatchFault::Invalid("a record reaches beyond its batch");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub has_key: bool,
}

/// The records of a batch whose compression is none, in order. Yields a fault once and ends.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Records<'a> {
    /// `bytes` is the whole batch.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes.get(HEADER_BYTES..).unwrap_or_default(), failed: false }
    }

    fn next_record(&mut self) -> Result<Record, BatchFault> {
        let length = length(read_varint(&mut self.rest)?)?;
        if length > self.rest.len() {
            return Err(CUT_OFF);
        }
        let (mut record, rest) = self.rest.split_at(length);
        self.rest = rest;
        skip(&mut record, 1)?;
        let timestamp_delta = read_varint(&mut record)?;
        let offset_delta = i32::try_from(read_varint(&mut record)?)
            .map_err(|_| BatchFault::Invalid("a record's offset is out of range"))?;
        let has_key = skip_nullable(&mut record)?;
        skip_nullable(&mut record)?;
        for _ in 0..read_varint(&mut record)? {
            let key = self::length(read_varint(&mut record)?)?;
            skip(&mut record, key)?;
            skip_nullable(&mut record)?;
        }
        if !record.is_empty() {
            return Err(BatchFault::Invalid("a record is longer than its fields"));
        }
        Ok(Record { offset_delta, timestamp_delta, has_key })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, BatchFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let record = self.next_record();
        self.failed = record.is_err();
        Some(record)
    }
}

/// Checks that an uncompressed batch holds as many records as its header says, numbered from 0 without a gap.
pub(crate) fn check(batch: &Batch, bytes: &[u8], key_required: bool) -> Result<(), BatchFault> {
    let mut expected = 0;
    for record in Records::of(bytes) {
        let record = record?;
        if record.offset_delta != expected {
            return Err(BatchFault::Invalid("the records of a batch must be numbered from 0 without a gap"));
        }
        if key_required && !record.has_key {
            return Err(BatchFault::Invalid("a record of a compacted topic needs a key"));
        }
        expected += 1;
    }
    if expected != batch.record_count {
        return Err(BatchFault::Invalid("the batch holds another number of records than its header says"));
    }
    Ok(())
}

fn length(value: i64) -> Result<usize, BatchFault> {
    usize::try_from(value).map_err(|_| BatchFault::Invalid("a length is negative"))
}

fn skip(bytes: &mut &[u8], count: usize) -> Result<(), BatchFault> {
    *bytes = bytes.get(count..).ok_or(CUT_OFF)?;
    Ok(())
}

fn skip_nullable(bytes: &mut &[u8]) -> Result<bool, BatchFault> {
    let value = read_varint(bytes)?;
    if value == -1 {
        return Ok(false);
    }
    skip(bytes, length(value)?)?;
    Ok(true)
}

fn read_varint(bytes: &mut &[u8]) -> Result<i64, BatchFault> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(CUT_OFF)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(BatchFault::Invalid("a number is longer than ten bytes"))
}

#[cfg(test)]
mod tests {
    use super::super::batch::testing::batch;
    use super::*;

    #[test]
    fn records_are_walked_in_order() {
        let bytes = batch(None, &[(1_000, b"a"), (990, b""), (1_300, b"ccc")]);
        let records: Vec<_> = Records::of(&bytes).map(Result::unwrap).collect();
        let deltas: Vec<_> = records.iter().map(|r| (r.offset_delta, r.timestamp_delta)).collect();
        assert_eq!(deltas, [(0, 0), (1, -10), (2, 300)]);
        check(&Batch::parse(&bytes).unwrap(), &bytes, false).unwrap();
    }

    #[test]
    fn a_compacted_topic_wants_keys() {
        let bytes = batch(None, &[(1_000, b"a")]);
        assert!(check(&Batch::parse(&bytes).unwrap(), &bytes, true).is_err());
    }

    #[test]
    fn a_wrong_count_and_cut_records_are_found() {
        let mut bytes = batch(None, &[(1_000, b"a"), (1_001, b"b")]);
        let cut = &bytes[..bytes.len() - 1];
        assert!(check(&Batch::parse(&bytes).unwrap(), cut, false).is_err());
        bytes[60] = 3;
        assert!(check(&Batch::parse(&bytes).unwrap(), &bytes, false).is_err());
    }
}
