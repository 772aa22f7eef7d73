//! The header of a record batch (format v2): read, checked and, at append, filled in by the broker. What lies behind the
//! header is looked at in `records`.

use std::num::TryFromIntError;

use bytes::BytesMut;

pub(crate) const HEADER_BYTES: usize = 61;
/// What must be read of a batch to know its extent: base offset, length and last offset delta.
pub(crate) const EXTENT_BYTES: usize = 27;
/// Base offset and length field, which the length does not count.
const PREFIX_BYTES: usize = 12;
const CRC_FROM: usize = 21;

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

pub(crate) const NO_PRODUCER: i64 = -1;
/// One node leads every partition for ever, so there is one leader epoch.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// Why bytes are not a batch that this log can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchFault {
    #[error("the batch is cut off")]
    Torn,
    #[error("the batch's checksum is {found:#010x} where its header says {stated:#010x}")]
    Checksum { stated: u32, found: u32 },
    #[error("record format {0} is not supported; only format 2 is")]
    Format(i8),
    #[error("{0}")]
    Invalid(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub base_offset: i64,
    /// The whole batch with its header.
    pub bytes: usize,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// Base offset, whole length and last offset of the batch that starts here, without a look at the rest.
pub(crate) fn extent(bytes: &[u8]) -> Result<(i64, usize, i64), BatchFault> {
    if bytes.len() < EXTENT_BYTES {
        return Err(BatchFault::Torn);
    }
    let base_offset = i64::from_be_bytes(field(bytes, 0));
    let length = i32::from_be_bytes(field(bytes, 8));
    let last_offset_delta = i32::from_be_bytes(field(bytes, 23));
    let whole = usize::try_from(length).map_or(0, |length| length + PREFIX_BYTES);
    if whole < HEADER_BYTES {
        return Err(BatchFault::Invalid("the batch's length is smaller than a batch header"));
    }
    if base_offset < 0 || last_offset_delta < 0 || base_offset.checked_add(last_offset_delta.into()).is_none() {
        return Err(BatchFault::Invalid("the batch's offsets are out of range"));
    }
    Ok((base_offset, whole, base_offset + i64::from(last_offset_delta)))
}

impl Batch {
    /// Reads the header; the batch itself may go on behind the end of `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BatchFault> {
        if bytes.len() < HEADER_BYTES {
            return Err(BatchFault::Torn);
        }
        let magic = bytes[16] as i8;
        if magic != 2 {
            return Err(BatchFault::Format(magic));
        }
        let (base_offset, whole, _) = extent(bytes)?;
        Ok(Self {
            base_offset,
            bytes: whole,
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        })
    }

    /// Reads the header of a batch that must be whole and unharmed.
    pub(crate) fn verify(bytes: &[u8]) -> Result<Self, BatchFault> {
        let batch = Self::parse(bytes)?;
        let body = bytes.get(CRC_FROM..batch.bytes).ok_or(BatchFault::Torn)?;
        let found = crc32c::crc32c(body);
        if found != batch.crc {
            return Err(BatchFault::Checksum { stated: batch.crc, found });
        }
        Ok(batch)
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    pub(crate) fn compression(&self) -> i16 {
        self.attributes & COMPRESSION_MASK
    }

    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.producer_id != NO_PRODUCER
    }

    /// Sequence numbers count records and wrap at `i32::MAX`.
    pub(crate) fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }
}

/// The sequence number `steps` records behind `sequence`.
pub(crate) fn sequence_after(sequence: i32, steps: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(steps);
    // 2^31 sequence numbers exist, 0 ..= i32::MAX, so the remainder fits.
    (sum % (i64::from(i32::MAX) + 1)) as i32
}

/// Writes the base offset and the leader epoch in; neither is part of the checksum.
pub(crate) fn place(bytes: &mut BytesMut, base_offset: i64) {
    bytes[0..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&LEADER_EPOCH.to_be_bytes());
}

/// Stamps every record of the batch with the time of its append.
pub(crate) fn stamp(bytes: &mut BytesMut, attributes: i16, append_time_ms: i64) {
    bytes[21..23].copy_from_slice(&(attributes | LOG_APPEND_TIME).to_be_bytes());
    bytes[35..43].copy_from_slice(&append_time_ms.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

pub(crate) fn without_compression(attributes: i16) -> i16 {
    attributes & !COMPRESSION_MASK
}

/// Makes a batch whole again whose records have been replaced: everything else in the header stays.
pub(crate) fn refill(
    bytes: &mut BytesMut,
    record_count: i32,
    attributes: i16,
    max_timestamp: i64,
) -> Result<(), TryFromIntError> {
    let length = i32::try_from(bytes.len() - PREFIX_BYTES)?;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
    bytes[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    bytes[57..61].copy_from_slice(&record_count.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing {
    fn put_varint(out: &mut Vec<u8>, value: i64) {
        let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
        while zigzag >= 0x80 {
            out.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        out.push(zigzag as u8);
    }

    /// Timestamp, key, value.
    pub(crate) type Keyed<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>);

    fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
        put_varint(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
        out.extend_from_slice(bytes.unwrap_or_default());
    }

    /// An uncompressed batch of records with these (timestamp, value) pairs, as a producer would send it.
    pub(crate) fn batch(producer: Option<(i64, i16, i32)>, records: &[(i64, &[u8])]) -> Vec<u8> {
        let records: Vec<_> = records.iter().map(|(timestamp, value)| (*timestamp, None, Some(*value))).collect();
        keyed_batch(producer, &records, None)
    }

    pub(crate) fn keyed_batch(
        producer: Option<(i64, i16, i32)>,
        records: &[Keyed<'_>],
        codec: Option<(i16, super::super::compression::Codec)>,
    ) -> Vec<u8> {
        let base_timestamp = records[0].0;
        let mut body = Vec::new();
        for (delta, (timestamp, key, value)) in records.iter().enumerate() {
            let mut record = vec![0];
            put_varint(&mut record, timestamp - base_timestamp);
            put_varint(&mut record, delta as i64);
            put_nullable(&mut record, *key);
            put_nullable(&mut record, *value);
            put_varint(&mut record, 0);
            put_varint(&mut body, record.len() as i64);
            body.extend_from_slice(&record);
        }
        let attributes = codec.map_or(0, |(number, _)| number);
        if let Some((_, codec)) = codec {
            body = codec.pack(&body).unwrap();
        }
        let (producer_id, epoch, sequence) = producer.unwrap_or((-1, -1, -1));
        let count = records.len() as i32;
        let mut tail = Vec::new();
        tail.extend_from_slice(&attributes.to_be_bytes());
        tail.extend_from_slice(&(count - 1).to_be_bytes());
        tail.extend_from_slice(&base_timestamp.to_be_bytes());
        tail.extend_from_slice(&records.iter().map(|r| r.0).max().unwrap().to_be_bytes());
        tail.extend_from_slice(&producer_id.to_be_bytes());
        tail.extend_from_slice(&epoch.to_be_bytes());
        tail.extend_from_slice(&sequence.to_be_bytes());
        tail.extend_from_slice(&count.to_be_bytes());
        tail.extend_from_slice(&body);
        let mut whole = 0i64.to_be_bytes().to_vec();
        whole.extend_from_slice(&((tail.len() + 9) as i32).to_be_bytes());
        whole.extend_from_slice(&(-1i32).to_be_bytes());
        whole.push(2);
        whole.extend_from_slice(&crc32c::crc32c(&tail).to_be_bytes());
        whole.extend_from_slice(&tail);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_back_as_it_was_written() {
        let bytes = testing::batch(Some((7, 1, 40)), &[(1_000, b"a"), (1_005, b"bc")]);
        let batch = Batch::verify(&bytes).unwrap();
        assert_eq!(batch.bytes, bytes.len());
        assert_eq!((batch.producer_id, batch.producer_epoch, batch.base_sequence), (7, 1, 40));
        assert_eq!((batch.base_timestamp, batch.max_timestamp, batch.record_count), (1_000, 1_005, 2));
        assert_eq!(batch.last_sequence(), 41);
    }

    #[test]
    fn placing_keeps_the_checksum_and_stamping_renews_it() {
        let mut bytes = BytesMut::from(&testing::batch(None, &[(1_000, b"a")])[..]);
        place(&mut bytes, 99);
        assert_eq!(Batch::verify(&bytes).unwrap().base_offset, 99);
        stamp(&mut bytes, 0, 5_000);
        let batch = Batch::verify(&bytes).unwrap();
        assert!(batch.is_log_append_time());
        assert_eq!(batch.max_timestamp, 5_000);
    }

    #[test]
    fn harm_is_noticed() {
        let whole = testing::batch(None, &[(1_000, b"abc")]);
        assert_eq!(Batch::verify(&whole[..whole.len() - 1]), Err(BatchFault::Torn));
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(matches!(Batch::verify(&flipped), Err(BatchFault::Checksum { .. })));
        let mut old = whole.clone();
        old[16] = 1;
        assert_eq!(Batch::verify(&old), Err(BatchFault::Format(1)));
        let mut negative = whole;
        negative[8] = 0xff;
        assert!(matches!(Batch::verify(&negative), Err(BatchFault::Invalid(_))));
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    }
}
