//! A small append-only file of changes, for what is not records: topics, committed offsets, producer ids. Its owner holds
//! the state; the journal only gets it back after a restart, and is rewritten as a snapshot when most of it is history.

use std::fs::{self, OpenOptions};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::files;
use super::store::LogFile;
use crate::error::BrokerError;

const FORMAT: u8 = 1;
/// Length and checksum of the entry that follows.
const FRAME_BYTES: usize = 8;
/// A journal shorter than this is not worth rewriting.
const REWRITE_ENTRIES_MIN: usize = 10_000;

/// Entries are of one type, whose variants may be added to but not changed.
pub(crate) struct Journal<E> {
    pub(super) file: Option<(PathBuf, Arc<LogFile>)>,
    pub(super) entries: usize,
    /// Where the file must be cut before anything is added to it: a failed write left a part of itself there.
    pub(super) torn_at: Option<u64>,
    entry: PhantomData<fn(E)>,
}

impl<E: Serialize + DeserializeOwned> Journal<E> {
    /// For memory storage: nothing is kept.
    pub(crate) fn none() -> Self {
        Self { file: None, entries: 0, torn_at: None, entry: PhantomData }
    }

    /// Opens or creates the file and returns its entries in order; a torn end is cut off.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<E>), BrokerError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(BrokerError::storage("read the journal", path))?,
        };
        let mut entries = Vec::new();
        let mut whole = 0;
        while let Some((entry, length)) = next_entry(&bytes[whole..]) {
            let entry = decode(entry).map_err(|reason| BrokerError::Damaged {
                path: path.to_path_buf(),
                position: whole as u64,
                reason,
            })?;
            entries.push(entry);
            whole += length;
        }
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(BrokerError::storage("open the journal", path))?;
        if let Some(directory) = path.parent().filter(|_| is_new) {
            files::sync_directory(directory).map_err(BrokerError::storage("sync the directory", directory))?;
        }
        if whole < bytes.len() {
            tracing::warn!(journal = %path.display(), cut_bytes = bytes.len() - whole, "cut a torn end off the journal");
            file.set_len(whole as u64).map_err(BrokerError::storage("cut the torn end off", path))?;
        }
        let file = Some((path.to_path_buf(), Arc::new(LogFile::new(file))));
        Ok((Self { file, entries: entries.len(), torn_at: None, entry: PhantomData }, entries))
    }

    /// Adds entries in one write. After a failed write the file is cut back, so that a torn entry never stands inside it.
    pub(crate) fn append(&mut self, entries: &[E]) -> io::Result<()> {
        let Some((_, file)) = &self.file else { return Ok(()) };
        if let Some(length) = self.torn_at {
            file.truncate(length)?;
            self.torn_at = None;
        }
        let bytes = encode(entries)?;
        let length = file.length()?;
        if let Err(error) = file.write(length, &bytes) {
            self.torn_at = file.truncate(length).is_err().then_some(length);
            return Err(error);
        }
        self.entries += entries.len();
        Ok(())
    }

    /// Behind the last whole entry; 0 if nothing is kept.
    pub(super) fn end(&self) -> io::Result<u64> {
        let length = || self.file.as_ref().map_or(Ok(0), |(_, file)| file.length());
        self.torn_at.map_or_else(length, Ok)
    }

    /// Makes the entries so far survive a loss of power.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |(_, file)| file.sync())
    }

    /// Whether most entries have been overtaken by later ones, given how many a snapshot would have.
    pub(crate) fn is_bloated(&self, live: usize) -> bool {
        self.file.is_some() && self.entries > REWRITE_ENTRIES_MIN && self.entries > live.saturating_mul(4)
    }

    /// Puts a snapshot in place of everything so far.
    pub(crate) fn rewrite(&mut self, snapshot: &[E]) -> io::Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        files::replace_file(path, &encode(snapshot)?)?;
        *file = Arc::new(LogFile::new(OpenOptions::new().append(true).open(&*path)?));
        self.entries = snapshot.len();
        self.torn_at = None;
        Ok(())
    }
}

pub(super) fn encode<E: Serialize>(entries: &[E]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        let body = postcard::to_extend(entry, vec![FORMAT]).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
    }
    Ok(bytes)
}

/// The body of the entry that starts here and its length with the frame; `None` at the end and at a torn entry.
fn next_entry(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let body = rest.get(..length)?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*checksum) && !body.is_empty()).then_some((body, length + FRAME_BYTES))
}

fn decode<E: DeserializeOwned>(body: &[u8]) -> Result<E, String> {
    match body.split_first() {
        Some((&FORMAT, body)) => postcard::from_bytes(body).map_err(|error| error.to_string()),
        _ => Err("it was written by another version of this program".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_without_a_torn_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.journal");
        let (mut journal, entries) = Journal::<String>::open(&path).unwrap();
        assert!(entries.is_empty());
        journal.append(&["a".to_owned(), "b".to_owned()]).unwrap();
        journal.append(&["c".to_owned()]).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let (mut journal, entries) = Journal::<String>::open(&path).unwrap();
        assert_eq!(entries, ["a", "b"]);
        journal.append(&["d".to_owned()]).unwrap();
        assert_eq!(Journal::<String>::open(&path).unwrap().1, ["a", "b", "d"]);
    }

    #[test]
    fn a_rewritten_journal_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.journal");
        let (mut journal, _) = Journal::<u32>::open(&path).unwrap();
        journal.append(&[1, 2, 3]).unwrap();
        journal.rewrite(&[3]).unwrap();
        journal.append(&[4]).unwrap();
        assert_eq!(Journal::<u32>::open(&path).unwrap().1, [3, 4]);
    }
}
