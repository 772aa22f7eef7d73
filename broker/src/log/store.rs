//! Where the bytes of one segment are: a file or memory; journals are such files, too. Positions are given by the caller; a store neither knows what the
//! bytes mean nor guards against two writers.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::RwLock;

use bytes::{Bytes, BytesMut};

use crate::sync;

pub(crate) enum Store {
    File(LogFile),
    /// What each append brought, with its position.
    Memory(RwLock<Vec<(u64, Bytes)>>),
}

pub(crate) struct LogFile {
    file: File,
    #[cfg(test)]
    pub(crate) faults: super::faults::Faults,
}

impl LogFile {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(test)]
            faults: super::faults::Faults::default(),
        }
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    pub(super) fn write(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.faults.before_write(&self.file, position, bytes)?;
        self.file.write_all_at(bytes, position)
    }

    /// Makes what was written survive a loss of power. A file that is no longer in its directory cannot.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        let length = self.faults.before_sync(&self.file)?;
        self.file.sync_data()?;
        #[cfg(test)]
        self.faults.after_sync(length);
        match self.file.metadata()?.nlink() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "somebody removed the file")),
            _ => Ok(()),
        }
    }
}

impl Store {
    pub(crate) fn file(file: File) -> Self {
        Self::File(LogFile::new(file))
    }

    pub(crate) fn memory() -> Self {
        Self::Memory(RwLock::new(Vec::new()))
    }

    /// Writes through to the operating system. A write that failed half-way is overwritten by the next one, since its
    /// caller does not move on.
    pub(crate) fn write(&self, position: u64, bytes: &Bytes) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(position, bytes),
            Self::Memory(chunks) => {
                sync::write(chunks).push((position, bytes.clone()));
                Ok(())
            }
        }
    }

    /// Reads exactly `length` bytes, which must have been written.
    pub(crate) fn read(&self, position: u64, length: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file) => {
                #[cfg(test)]
                file.faults.before_read()?;
                let mut bytes = BytesMut::zeroed(length);
                file.file.read_exact_at(&mut bytes, position)?;
                Ok(bytes.freeze())
            }
            Self::Memory(chunks) => read_chunks(&sync::read(chunks), position, length),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Makes what was written survive a loss of power.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::File(file) => file.sync(),
            Self::Memory(_) => Ok(()),
        }
    }

    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.truncate(length),
            Self::Memory(chunks) => {
                sync::write(chunks).retain(|(position, bytes)| position + bytes.len() as u64 <= length);
                Ok(())
            }
        }
    }
}

/// One chunk is shared; a range over several is copied together.
fn read_chunks(chunks: &[(u64, Bytes)], position: u64, length: usize) -> io::Result<Bytes> {
    let first = chunks.partition_point(|(start, bytes)| start + bytes.len() as u64 <= position);
    let mut collected: Option<BytesMut> = None;
    let mut remaining = length;
    let mut position = position;
    for (start, bytes) in &chunks[first..] {
        let skip = (position - start) as usize;
        let take = remaining.min(bytes.len() - skip);
        if take == length {
            return Ok(bytes.slice(skip..skip + take));
        }
        collected.get_or_insert_with(|| BytesMut::with_capacity(length)).extend_from_slice(&bytes[skip..skip + take]);
        remaining -= take;
        position += take as u64;
        if remaining == 0 {
            break;
        }
    }
    match remaining {
        0 => Ok(collected.unwrap_or_default().freeze()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_reads(store: &Store) {
        store.write(0, &Bytes::from_static(b"abc")).unwrap();
        store.write(3, &Bytes::from_static(b"defg")).unwrap();
        assert_eq!(store.read(0, 3).unwrap(), "abc");
        assert_eq!(store.read(1, 4).unwrap(), "bcde");
        assert_eq!(store.read(4, 3).unwrap(), "efg");
        assert_eq!(store.read(2, 0).unwrap(), "");
        assert_eq!(store.read(5, 3).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        store.truncate(3).unwrap();
        assert!(store.read(0, 4).is_err());
        store.write(3, &Bytes::from_static(b"X")).unwrap();
        assert_eq!(store.read(0, 4).unwrap(), "abcX");
    }

    #[test]
    fn memory_and_file_read_alike() {
        check_reads(&Store::memory());
        check_reads(&Store::file(tempfile::tempfile().unwrap()));
    }
}
