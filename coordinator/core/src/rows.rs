//! Rows: the state of a partition as ordered keys and values.
//!
//! A store implements [`Rows`] and [`Store`]; an [`Overlay`] lays uncommitted changes over it. Only [`crate::apply`]
//! writes to an overlay.

use std::collections::BTreeMap;

/// A row as it is written: its key, and its value or `None` when it is removed.
pub type Row = (Vec<u8>, Option<Vec<u8>>);

/// Rows that were found: keys and values.
pub type Found = Vec<(Vec<u8>, Vec<u8>)>;

/// State that cannot be read or written: an I/O error, or a row that is not what it should be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RowsError {
    /// The store failed.
    #[error("the state store failed: {0}")]
    Store(String),
    /// A row is not in the form that this version writes.
    #[error("the row {key} cannot be read: {problem}; delete the state directory, it is rebuilt from Kafka")]
    Corrupt {
        /// The row's key, readable.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// Reads rows. Keys are ordered bytewise.
pub trait Rows {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError>;

    /// Rows whose key starts with `prefix` and is at least `from`, in order, at most `limit` of them.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError>;
}

/// Rows that can be written, all of a batch or nothing of it.
pub trait Store: Rows {
    /// Writes a batch atomically.
    fn write(&mut self, batch: Vec<Row>) -> Result<(), RowsError>;
}

impl<R: Rows + ?Sized> Rows for &R {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        (**self).get(key)
    }
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
        (**self).scan(prefix, from, limit)
    }
}

/// Rows in memory: for tests and simulation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryRows {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryRows {
    /// All rows.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.rows
    }
}

impl Rows for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
        let start = from.max(prefix).to_vec();
        let found = self.rows.range(start..).take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Store for MemoryRows {
    fn write(&mut self, batch: Vec<Row>) -> Result<(), RowsError> {
        for (key, value) in batch {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
        Ok(())
    }
}

/// Changes laid over rows.
#[derive(Debug)]
pub struct Overlay<R> {
    base: R,
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<R: Rows> Overlay<R> {
    /// Nothing changed yet.
    pub fn new(base: R) -> Self {
        Self { base, changed: BTreeMap::new() }
    }

    /// Continues with what was changed before.
    pub fn with_changes(base: R, changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Self {
        Self { base, changed }
    }

    /// What was changed.
    pub fn into_changes(self) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        self.changed
    }

    pub(crate) fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.changed.insert(key, value);
    }
}

impl<R: Rows> Rows for Overlay<R> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        match self.changed.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
        let start = from.max(prefix).to_vec();
        let changed = || self.changed.range(start.clone()..).take_while(|(key, _)| key.starts_with(prefix));
        let removed = changed().filter(|(_, value)| value.is_none()).count();
        // Rows that the overlay removed must not use up the limit.
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> =
            self.base.scan(prefix, &start, limit.saturating_add(removed))?.into_iter().collect();
        for (key, value) in changed() {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_hides_and_adds_rows_within_the_limit() {
        let mut base = MemoryRows::default();
        let rows = ["a1", "a2", "a3", "b1"].map(|k| (k.as_bytes().to_vec(), Some(b"base".to_vec())));
        base.write(rows.to_vec()).unwrap();
        let mut overlay = Overlay::new(&base);
        overlay.set(b"a1".to_vec(), None);
        overlay.set(b"a4".to_vec(), Some(b"new".to_vec()));
        let keys = |limit| -> Vec<_> {
            let found = overlay.scan(b"a", b"", limit).unwrap();
            found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
        };
        assert_eq!(keys(2), ["a2", "a3"]);
        assert_eq!(keys(9), ["a2", "a3", "a4"]);
    }
}
