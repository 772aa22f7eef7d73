//! A walk over the records inside a batch, without copying them.

use std::borrow::Cow;

use super::batch::{Batch, BatchFault, HEADER_BYTES};
use super::compression::Codec;

const CUT_OFF: BatchFault = BatchFault::Invalid("a record reaches beyond its batch");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The whole record, with its length before it.
    pub bytes: &'a [u8],
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    /// A record without a value says that its key is to be forgotten.
    pub has_value: bool,
}

/// What lies behind a batch's header, without compression.
pub(crate) fn body<'a>(batch: &Batch, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, BatchFault> {
    let body = bytes.get(HEADER_BYTES..batch.bytes).ok_or(BatchFault::Torn)?;
    match (Codec::find(batch.compression()), batch.compression()) {
        (None, 0) => Ok(Cow::Borrowed(body)),
        (None, _) => Err(BatchFault::Invalid("the batch's compression is not known")),
        (Some(codec), _) => Ok(Cow::Owned(codec.unpack(body)?)),
    }
}

/// The records of a batch in order. Yields a fault once and ends.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Records<'a> {
    /// `body` is what lies behind the batch's header, without compression.
    pub(crate) fn of(body: &'a [u8]) -> Self {
        Self { rest: body, failed: false }
    }

    fn next_record(&mut self) -> Result<Record<'a>, BatchFault> {
        let from = self.rest;
        let length = length(read_varint(&mut self.rest)?)?;
        let (mut record, rest) = self.rest.split_at_checked(length).ok_or(CUT_OFF)?;
        self.rest = rest;
        let bytes = &from[..from.len() - rest.len()];
        skip(&mut record, 1)?;
        let timestamp_delta = read_varint(&mut record)?;
        let offset_delta = i32::try_from(read_varint(&mut record)?)
            .map_err(|_| BatchFault::Invalid("a record's offset is out of range"))?;
        let key = take_nullable(&mut record)?;
        let has_value = take_nullable(&mut record)?.is_some();
        for _ in 0..read_varint(&mut record)? {
            let name = self::length(read_varint(&mut record)?)?;
            skip(&mut record, name)?;
            take_nullable(&mut record)?;
        }
        if !record.is_empty() {
            return Err(BatchFault::Invalid("a record is longer than its fields"));
        }
        Ok(Record { bytes, offset_delta, timestamp_delta, key, has_value })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let record = self.next_record();
        self.failed = record.is_err();
        Some(record)
    }
}

/// Checks that a batch holds as many records as its header says, numbered from 0 without a gap.
pub(crate) fn check(batch: &Batch, bytes: &[u8], key_required: bool) -> Result<(), BatchFault> {
    let mut expected = 0;
    let body = body(batch, bytes)?;
    for record in Records::of(&body) {
        let record = record?;
        if record.offset_delta != expected {
            return Err(BatchFault::Invalid("the records of a batch must be numbered from 0 without a gap"));
        }
        if key_required && record.key.is_none() {
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

fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchFault> {
    let value = read_varint(bytes)?;
    if value == -1 {
        return Ok(None);
    }
    let (taken, rest) = bytes.split_at_checked(length(value)?).ok_or(CUT_OFF)?;
    *bytes = rest;
    Ok(Some(taken))
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
        let records: Vec<_> = Records::of(&bytes[HEADER_BYTES..]).map(Result::unwrap).collect();
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
        let cut = bytes[..bytes.len() - 1].to_vec();
        assert!(check(&Batch::parse(&bytes).unwrap(), &cut, false).is_err());
        bytes[60] = 3;
        assert!(check(&Batch::parse(&bytes).unwrap(), &bytes, false).is_err());
    }
}
