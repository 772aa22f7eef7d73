//! What an owner writes into the store beside the state: how far it has come.

use serde::{Deserialize, Serialize};
use tidewright_core::{Row, Rows, RowsError};
use tidewright_schemas::{CommandMark, Epoch};

const KEY: &[u8] = b"m";
const FORMAT: u8 = 2;

/// How far the store has come. Only committed things are in it (R11).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Every history record below this offset is applied, or was found invalid.
    pub(crate) history_offset: u64,
    /// The first command that no applied record or position covers.
    pub(crate) next_source: u64,
    /// The last claim below `history_offset`.
    pub(crate) claim: Option<Epoch>,
    /// The last valid position below `history_offset`.
    pub(crate) position: Option<StoredPosition>,
    /// The last epochs, with the end of their valid sources: tells which keys were valid (R12).
    pub(crate) epochs: Vec<(Epoch, u64)>,
    /// The broker's time at which the store last held everything, in milliseconds since 1970 (R15).
    pub(crate) current_ms: u64,
}

/// A [`tidewright_schemas::Position`] as a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredPosition {
    pub(crate) applied_offset: u64,
    pub(crate) last_command: Option<CommandMark>,
    pub(crate) topic_id: Option<String>,
    pub(crate) released_offset: u64,
    pub(crate) released_history_offset: u64,
    pub(crate) released_epoch: Option<Epoch>,
}

impl From<&tidewright_schemas::Position> for StoredPosition {
    fn from(position: &tidewright_schemas::Position) -> Self {
        Self {
            applied_offset: position.applied_offset,
            last_command: position.last_command,
            topic_id: position.topic_id.clone(),
            released_offset: position.released_offset,
            released_history_offset: position.released_history_offset,
            released_epoch: position.released_epoch.clone(),
        }
    }
}

/// How many epochs are remembered: a zombie older than that leaves garbage, which harms nobody.
const EPOCHS_KEPT: usize = 16;

impl Meta {
    pub(crate) fn load<R: Rows>(rows: &R) -> Result<Self, RowsError> {
        let Some(value) = rows.get(KEY)? else { return Ok(Self::default()) };
        let corrupt = |problem: String| RowsError::Corrupt { key: "m".to_owned(), problem };
        match value.split_first() {
            Some((&FORMAT, body)) => postcard::from_bytes(body).map_err(|e| corrupt(e.to_string())),
            _ => Err(corrupt("it has a format that this version does not read".to_owned())),
        }
    }

    pub(crate) fn row(&self) -> Result<Row, RowsError> {
        let value = postcard::to_extend(self, vec![FORMAT])
            .map_err(|e| RowsError::Corrupt { key: "m".to_owned(), problem: e.to_string() })?;
        Ok((KEY.to_vec(), Some(value)))
    }

    /// A claim was read: a new epoch begins.
    pub(crate) fn begin_epoch(&mut self, epoch: Epoch) {
        self.claim = Some(epoch.clone());
        self.epochs.push((epoch, 0));
        if self.epochs.len() > EPOCHS_KEPT {
            self.epochs.remove(0);
        }
    }

    /// A record of the current epoch is valid: commands below `next` are covered by it.
    pub(crate) fn cover(&mut self, next: u64) {
        self.next_source = self.next_source.max(next);
        if let Some((_, end)) = self.epochs.last_mut() {
            *end = (*end).max(next);
        }
    }

    /// Whether a record of a past epoch was certainly never valid, so that its key may be tombstoned (R12).
    pub(crate) fn never_valid(&self, epoch: &Epoch, source_offset: u64) -> bool {
        self.epochs.iter().any(|(known, end)| known == epoch && source_offset >= *end)
    }
}
