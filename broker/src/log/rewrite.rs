//! Puts a snapshot in place of a journal while the journal goes on: the snapshot is written beside it without a lock, then
//! what came meanwhile is copied behind the snapshot, and the new file takes the old one's name. A process that ends at any
//! point leaves either file whole under that name. What is to survive a loss of power as well is copied with
//! [`Rewrite::catch_up`] before the file gets its name, and its directory is synced after.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::journal::{Journal, encode};
use super::store::LogFile;

/// As many entries are encoded at a time.
const CHUNK_ENTRIES: usize = 1_000;

/// A rewrite that has begun. Dropping it gives it up.
pub(crate) struct Rewrite<E> {
    path: PathBuf,
    temporary: PathBuf,
    /// How far the journal has been taken over.
    position: u64,
    entries_before: usize,
    file: File,
    entry: PhantomData<fn(E)>,
}

impl<E: Serialize + DeserializeOwned> Journal<E> {
    /// Begins at the journal's present end; the snapshot must hold exactly what was recorded until here. `None` if nothing
    /// is kept anyway.
    pub(crate) fn begin_rewrite(&self) -> io::Result<Option<Rewrite<E>>> {
        let Some((path, _)) = &self.file else { return Ok(None) };
        let temporary = path.with_extension("new");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let position = self.end()?;
        let file = OpenOptions::new().append(true).create_new(true).open(&temporary)?;
        Ok(Some(Rewrite {
            path: path.clone(),
            temporary,
            position,
            entries_before: self.entries,
            file,
            entry: PhantomData,
        }))
    }

    /// Takes the rewritten file's place. What is copied here, small against the snapshot, is not synced.
    pub(crate) fn finish_rewrite(&mut self, mut rewrite: Rewrite<E>, snapshot_entries: usize) -> io::Result<()> {
        rewrite.copy_until(self.end()?)?;
        fs::rename(&rewrite.temporary, &rewrite.path)?;
        let since = self.entries - rewrite.entries_before;
        self.entries = snapshot_entries + since;
        self.torn_at = None;
        self.file = Some((rewrite.path, Arc::new(LogFile::new(rewrite.file))));
        Ok(())
    }
}

impl<E: Serialize> Rewrite<E> {
    /// Takes as long as the disk does; nobody waits for it meanwhile.
    pub(crate) fn write(&mut self, snapshot: &[E]) -> io::Result<()> {
        for chunk in snapshot.chunks(CHUNK_ENTRIES) {
            self.file.write_all(&encode(chunk)?)?;
        }
        self.file.sync_data()
    }

    /// Copies what came before `end`, the journal's end at some time since, and syncs it.
    pub(crate) fn catch_up(&mut self, end: u64) -> io::Result<()> {
        self.copy_until(end)?;
        self.file.sync_data()
    }

    fn copy_until(&mut self, end: u64) -> io::Result<()> {
        let mut source = File::open(&self.path)?;
        source.seek(SeekFrom::Start(self.position))?;
        let bytes = end - self.position;
        if io::copy(&mut source.take(bytes), &mut self.file)? < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_during_a_rewrite_stands_behind_the_snapshot() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.journal");
        let (mut journal, _) = Journal::<u32>::open(&path).unwrap();
        journal.append(&[1, 2, 3]).unwrap();
        let mut rewrite = journal.begin_rewrite().unwrap().unwrap();
        journal.append(&[4]).unwrap();
        rewrite.write(&[3]).unwrap();
        journal.append(&[5]).unwrap();
        journal.finish_rewrite(rewrite, 1).unwrap();
        journal.append(&[6]).unwrap();
        assert_eq!(Journal::<u32>::open(&path).unwrap().1, [3, 4, 5, 6]);
    }

    /// Every state of the directory that a kill can leave behind holds all entries.
    #[test]
    fn a_rewrite_that_ends_anywhere_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.journal");
        let (mut journal, _) = Journal::<u32>::open(&path).unwrap();
        journal.append(&[1, 2]).unwrap();
        let _begun = journal.begin_rewrite().unwrap().unwrap();
        assert_eq!(Journal::<u32>::open(&path).unwrap().1, [1, 2]);
        let mut written = journal.begin_rewrite().unwrap().unwrap();
        written.write(&[2]).unwrap();
        journal.append(&[3]).unwrap();
        assert_eq!(Journal::<u32>::open(&path).unwrap().1, [1, 2, 3]);
        let (mut journal, _) = Journal::<u32>::open(&path).unwrap();
        let mut again = journal.begin_rewrite().unwrap().unwrap();
        again.write(&[2, 3]).unwrap();
        journal.finish_rewrite(again, 2).unwrap();
        assert_eq!(Journal::<u32>::open(&path).unwrap().1, [2, 3]);
    }
}
