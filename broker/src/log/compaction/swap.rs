//! Putting a cleaned segment in the place of those that it was made of, so that a stop at any point leaves the one or the
//! others, whole.
//!
//! | files | means | a start |
//! |---|---|---|
//! | `.cleaned` | being written | removes it |
//! | `.swap-index`, `.cleaned` | written and synced | removes both |
//! | `.swap-index`, `.swap` | decided: it covers its base offset up to the index's last | finishes |
//! | `.swap-index`, the new `.log` | all but the index is in place | finishes |

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::super::files;
use super::super::index::SealedIndex;
use crate::error::BrokerError;

const CLEANED: &str = "cleaned";
const SWAP: &str = "swap";
const SWAP_INDEX: &str = "swap-index";

/// Where tests stop as if killed.
fn step() -> io::Result<()> {
    #[cfg(test)]
    super::super::faults::crash_point()?;
    Ok(())
}

/// An empty file to write a cleaned segment into.
pub(super) fn create_cleaned(directory: &Path, base: i64) -> io::Result<File> {
    step()?;
    let path = files::segment_path(directory, base, CLEANED);
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}

/// Gives up a cleaned segment that is not wanted.
pub(super) fn discard_cleaned(directory: &Path, base: i64) -> io::Result<()> {
    step()?;
    files::absent_is_fine(fs::remove_file(files::segment_path(directory, base, CLEANED)))
}

/// Replaces the segments from `base` up to the end of `index` by the cleaned one, which has been synced.
pub(super) fn commit(directory: &Path, base: i64, index: &SealedIndex) -> io::Result<()> {
    step()?;
    files::write_swap_index(&files::segment_path(directory, base, SWAP_INDEX), index)?;
    step()?;
    fs::rename(files::segment_path(directory, base, CLEANED), files::segment_path(directory, base, SWAP))?;
    files::sync_directory(directory)?;
    finish(directory, base, index.progress.next_offset)
}

/// May be begun again after a stop anywhere in it.
fn finish(directory: &Path, base: i64, next_offset: i64) -> io::Result<()> {
    for covered in files::segments(directory)?.into_iter().filter(|other| (base..next_offset).contains(other)) {
        step()?;
        files::remove_index(directory, covered)?;
        if covered != base {
            step()?;
            files::remove_segment(directory, covered)?;
        }
    }
    files::sync_directory(directory)?;
    step()?;
    fs::rename(files::segment_path(directory, base, SWAP), files::log_path(directory, base))?;
    step()?;
    fs::rename(files::segment_path(directory, base, SWAP_INDEX), files::index_path(directory, base))?;
    files::sync_directory(directory)
}

/// Finishes or undoes what a stop interrupted.
pub(crate) fn recover(directory: &Path) -> Result<(), BrokerError> {
    let io = |action| BrokerError::storage(action, directory);
    let bases = |extension| files::bases(directory, extension);
    for base in bases(CLEANED).map_err(io("list cleaned segments in"))? {
        discard_cleaned(directory, base).map_err(io("remove an unfinished segment in"))?;
    }
    for base in bases(SWAP).map_err(io("list cleaned segments in"))? {
        let path = files::segment_path(directory, base, SWAP_INDEX);
        let index = read_swap_index(&path)?.ok_or_else(|| {
            let reason = "the index of a cleaned segment is not whole".to_owned();
            BrokerError::Damaged { path, position: 0, reason }
        })?;
        finish(directory, base, index.progress.next_offset).map_err(io("finish the compaction of"))?;
    }
    for base in bases(SWAP_INDEX).map_err(io("list cleaned segments in"))? {
        settle_index(directory, base)?;
    }
    Ok(())
}

fn read_swap_index(path: &PathBuf) -> Result<Option<SealedIndex>, BrokerError> {
    files::read_swap_index(path).map_err(BrokerError::storage("read the index of a cleaned segment", path))
}

/// An index without its `.swap` belongs to the log in place if that has no other one, or to a segment that was given up.
fn settle_index(directory: &Path, base: i64) -> Result<(), BrokerError> {
    let io = |action| BrokerError::storage(action, directory);
    let (from, to) = (files::segment_path(directory, base, SWAP_INDEX), files::index_path(directory, base));
    let size = fs::metadata(files::log_path(directory, base)).map(|metadata| metadata.len()).ok();
    let fits = read_swap_index(&from)?.is_some_and(|index| Some(index.progress.size) == size);
    let settled = if fits && !to.exists() { fs::rename(from, to) } else { fs::remove_file(from) };
    settled.map_err(io("settle the index of a cleaned segment in"))
}
