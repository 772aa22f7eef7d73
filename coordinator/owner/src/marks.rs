//! Recognising commands in their log (R15).

use tidewright_schemas::CommandMark;

use crate::io::LogRecord;

pub(crate) fn mark_of(record: &LogRecord) -> CommandMark {
    let part = |bytes: &Option<Vec<u8>>| bytes.as_deref().unwrap_or_default().to_vec();
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&part(&record.key)), &part(&record.value));
    CommandMark { offset: record.offset, time_ms: record.timestamp_ms, checksum }
}
