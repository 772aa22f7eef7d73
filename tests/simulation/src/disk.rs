//! A node's store of one partition: what was not synced may be lost in a crash, from the newest batch backwards (R16).

use std::cell::RefCell;
use std::rc::Rc;

use tidewright_core::{Found, MemoryRows, Row, Rows, RowsError, Store};

use crate::dice::Dice;

#[derive(Debug, Default)]
struct Content {
    synced: MemoryRows,
    unsynced: Vec<Vec<Row>>,
    rows: MemoryRows,
    writes: u64,
}

/// A handle of a store; the owner holds one, the node another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Rc<RefCell<Content>>);

impl Disk {
    /// Looks at what it holds now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&MemoryRows) -> T) -> T {
        look(&self.0.borrow().rows)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.look(|rows| rows.all().is_empty())
    }

    pub(crate) fn writes(&self) -> u64 {
        self.0.borrow().writes
    }

    pub(crate) fn sync(&self) {
        let content = &mut *self.0.borrow_mut();
        content.unsynced.clear();
        content.synced.clone_from(&content.rows);
    }

    /// What is left after a crash: a prefix of the batches, at least what was synced.
    pub(crate) fn after_crash(&self, dice: &mut Dice) -> Self {
        let content = self.0.borrow();
        let kept = dice.below(content.unsynced.len() + 1);
        let mut rows = content.synced.clone();
        for batch in &content.unsynced[..kept] {
            // Memory takes every write.
            let _ = rows.write(batch.clone());
        }
        Self(Rc::new(RefCell::new(Content { synced: rows.clone(), unsynced: Vec::new(), rows, writes: 0 })))
    }
}

impl Rows for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsError> {
        self.0.borrow().rows.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Found, RowsError> {
        self.0.borrow().rows.scan(prefix, from, limit)
    }
}

impl Store for Disk {
    fn write(&mut self, batch: Vec<Row>) -> Result<(), RowsError> {
        let content = &mut *self.0.borrow_mut();
        content.writes += 1;
        content.unsynced.push(batch.clone());
        content.rows.write(batch)
    }
}
