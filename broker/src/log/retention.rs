//! Deleting what is too old or too much: whole segments, from the beginning of the log.

use std::sync::Arc;

use super::partition::{Partition, TrimError};
use super::segment::Segment;
use crate::sync;

/// What of a topic's configuration retention needs; `None` keeps for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionRules {
    pub ms: Option<i64>,
    pub bytes: Option<u64>,
}

impl Partition {
    /// Deletes segments whose last record is too old, and the oldest ones without which there is still enough. The active
    /// segment goes, too, when nothing of it is young enough.
    pub(crate) fn enforce_retention(self: &Arc<Self>, rules: RetentionRules, now_ms: i64) -> Result<(), TrimError> {
        let segments = self.segments();
        let total: u64 = segments.iter().map(|segment| segment.visible().size).sum();
        let mut surplus = rules.bytes.map(|bytes| total.saturating_sub(bytes));
        let mut start = None;
        for (n, segment) in segments.iter().enumerate() {
            let visible = segment.visible();
            if visible.size == 0 || visible != segment.written() {
                break;
            }
            let age_ms = now_ms.saturating_sub(visible.max_timestamp);
            // Records without a timestamp have no age.
            let is_expired = visible.max_timestamp >= 0 && rules.ms.is_some_and(|ms| age_ms > ms);
            let is_surplus = surplus.is_some_and(|surplus| surplus >= visible.size);
            let is_active = n + 1 == segments.len();
            if !is_expired && !is_surplus || is_active && !self.complete_active(visible.next_offset)? {
                break;
            }
            surplus = surplus.map(|surplus| surplus.saturating_sub(visible.size));
            start = Some(visible.next_offset);
        }
        if let Some(start) = start.filter(|&start| start > self.start()) {
            self.trim(Some(start))?;
            tracing::debug!(start, "retention has moved the start of a log");
        }
        // What was active when its records were deleted may be complete now.
        let is_leftover = |first: &Arc<Segment>| first.visible().next_offset <= self.start();
        if segments.len() > 1 && segments.first().is_some_and(is_leftover) {
            self.drop_segments_before_start()?;
        }
        Ok(())
    }

    /// Starts a new segment behind the active one, unless something was appended to it meanwhile.
    fn complete_active(self: &Arc<Self>, next_offset: i64) -> std::io::Result<bool> {
        let mut appender = sync::lock(&self.appender);
        if appender.end != next_offset {
            return Ok(false);
        }
        self.roll(&mut appender)?;
        self.queue_flush(&mut appender);
        Ok(true)
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
