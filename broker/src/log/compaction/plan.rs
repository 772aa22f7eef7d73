//! Whether a log is worth cleaning now, and which part of it.

use std::sync::Arc;

use super::super::segment::Segment;

/// What of a topic's configuration compaction needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CompactionRules {
    /// A segment with a record younger than this is left alone.
    pub min_lag_ms: i64,
    /// A record that has waited for so long is worth cleaning for.
    pub max_lag_ms: i64,
    /// The share of the log that has never been cleaned from which on it is worth it.
    pub min_dirty_ratio: f64,
    /// How long after its first cleaning a tombstone stays, so that who follows the log sees it.
    pub delete_retention_ms: i64,
    /// Cleaned segments are merged up to this size.
    pub segment_bytes: u64,
}

pub(super) enum Plan {
    Clean {
        /// All that may be rewritten: a beginning of the log.
        segments: Vec<Arc<Segment>>,
        /// Keys are looked at from this offset on.
        dirty_from: i64,
    },
    /// Nothing is worth it before that time, unless another segment is completed.
    Wait { until_ms: Option<i64> },
}

/// `segments` are all of a partition's, the active one last.
pub(super) fn plan(segments: &[Arc<Segment>], rules: &CompactionRules, now_ms: i64) -> Plan {
    let complete = &segments[..segments.len().saturating_sub(1)];
    let youngest_allowed = now_ms.saturating_sub(rules.min_lag_ms);
    let may_clean =
        |segment: &&Arc<Segment>| segment.is_sealed() && segment.visible().max_timestamp <= youngest_allowed;
    let cleanable = complete.iter().take_while(may_clean).count();
    let barred = complete.get(cleanable).filter(|segment| segment.is_sealed());
    let unbarred_ms = barred.map(|segment| segment.visible().max_timestamp.saturating_add(rules.min_lag_ms));
    let is_dirty = |segment: &&Arc<Segment>| segment.cleaned().to < segment.visible().next_offset;
    let Some(first_dirty) = complete[..cleanable].iter().find(is_dirty) else {
        return Plan::Wait { until_ms: unbarred_ms };
    };
    let bytes = |dirty: bool| -> u64 {
        let counted = complete[..cleanable].iter().filter(|segment| is_dirty(segment) == dirty);
        counted.map(|segment| segment.visible().size).sum()
    };
    let ratio = bytes(true) as f64 / (bytes(true) + bytes(false)).max(1) as f64;
    let overdue_ms = first_dirty.first_timestamp().saturating_add(rules.max_lag_ms);
    if ratio <= rules.min_dirty_ratio && now_ms <= overdue_ms {
        let until_ms = unbarred_ms.map_or(overdue_ms, |unbarred_ms| unbarred_ms.min(overdue_ms));
        return Plan::Wait { until_ms: Some(until_ms.max(now_ms + 1)) };
    }
    let dirty_from = first_dirty.cleaned().to.max(first_dirty.base_offset);
    Plan::Clean { segments: complete[..cleanable].to_vec(), dirty_from }
}

/// Divides what is to be rewritten: neighbours whose sizes fit into one segment become one. A segment that is cleaned only
/// in part, because the map of keys ended in it, stays alone.
pub(super) fn group(segments: &[Arc<Segment>], clean_to: i64, segment_bytes: u64) -> Vec<Vec<Arc<Segment>>> {
    let mut groups: Vec<Vec<Arc<Segment>>> = Vec::new();
    let mut size = 0;
    for segment in segments.iter().filter(|segment| segment.base_offset < clean_to) {
        let visible = segment.visible();
        let fits = size + visible.size <= segment_bytes && visible.next_offset <= clean_to;
        match groups.last_mut().filter(|_| fits) {
            Some(group) => group.push(segment.clone()),
            None => {
                groups.push(vec![segment.clone()]);
                size = 0;
            }
        }
        size += visible.size;
    }
    groups
}
