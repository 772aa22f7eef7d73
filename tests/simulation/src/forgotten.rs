//! Deletions that are forgotten. Compaction may take all that is said of one, the run's records included, while a history
//! is read or an older state comes back; then a state may differ in what is about the run, until the tombstone of the
//! record that began the deletion (R31).

use std::collections::BTreeMap;

use tidewright_schemas::RunId;

/// By the key of the record that began the deletion.
#[derive(Default)]
pub(crate) struct Forgotten(BTreeMap<String, End>);

/// A deletion that ended.
struct End {
    run_id: RunId,
    tombstoned_at: Option<u64>,
}

impl Forgotten {
    /// The record landed that ends a deletion.
    pub(crate) fn landed(&mut self, began_with: String, run_id: RunId) {
        self.0.insert(began_with, End { run_id, tombstoned_at: None });
    }

    /// A tombstone landed; only the first one counts.
    pub(crate) fn tombstoned(&mut self, offset: u64, key: &str) {
        if let Some(end) = self.0.get_mut(key) {
            end.tombstoned_at.get_or_insert(offset);
        }
    }

    /// Runs about which a state up to this history offset may differ.
    pub(crate) fn may_linger_at(&self, history_offset: u64) -> Vec<&RunId> {
        let lingering = self.0.values().filter(|end| end.tombstoned_at.is_none_or(|offset| history_offset <= offset));
        lingering.map(|end| &end.run_id).collect()
    }
}
