//! Deletions that are forgotten: a state may keep their rows until the tombstone of the record that began the deletion,
//! since compaction may take the record that ended it (R31).

use std::collections::{BTreeMap, BTreeSet};

/// By the key of the record that began the deletion.
#[derive(Default)]
pub(crate) struct Forgotten(BTreeMap<String, End>);

/// How a deletion ended.
struct End {
    /// Where the record stands that says so.
    said_at: u64,
    tombstoned_at: Option<u64>,
    rows: Vec<Vec<u8>>,
}

impl Forgotten {
    /// The record landed that ends a deletion, and removes these rows.
    pub(crate) fn landed(&mut self, said_at: u64, began_with: String, rows: impl Iterator<Item = Vec<u8>>) {
        self.0.insert(began_with, End { said_at, tombstoned_at: None, rows: rows.collect() });
    }

    /// A tombstone landed; only the first one counts.
    pub(crate) fn tombstoned(&mut self, offset: u64, key: &str) {
        if let Some(end) = self.0.get_mut(key) {
            end.tombstoned_at.get_or_insert(offset);
        }
    }

    /// Rows that a state up to this history offset may still have.
    pub(crate) fn may_linger_at(&self, history_offset: u64) -> BTreeSet<&[u8]> {
        let lingering = self.0.values().filter(|end| {
            end.said_at < history_offset && end.tombstoned_at.is_none_or(|offset| history_offset <= offset)
        });
        lingering.flat_map(|end| &end.rows).map(Vec::as_slice).collect()
    }
}
