//! Names and small files of a partition's directory: `<base offset>.log`, `<base offset>.index` beside a complete segment,
//! `log-start`, and `clean-stop` after a stop in good order. Small files are a format byte, a checksum and a postcard body, and are replaced by renaming.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Of each kind of small file; a file of another format counts as absent.
const LOG_START_FORMAT: u8 = 1;
const INDEX_FORMAT: u8 = 3;
const LOG_START: &str = "log-start";
const CLEAN_STOP: &str = "clean-stop";

pub(crate) fn partition_directory(root: &Path, topic: &str, partition: i32) -> PathBuf {
    root.join(format!("{topic}-{partition}"))
}

pub(crate) fn segment_path(directory: &Path, base_offset: i64, extension: &str) -> PathBuf {
    directory.join(format!("{base_offset:020}.{extension}"))
}

pub(crate) fn log_path(directory: &Path, base_offset: i64) -> PathBuf {
    segment_path(directory, base_offset, "log")
}

pub(crate) fn index_path(directory: &Path, base_offset: i64) -> PathBuf {
    segment_path(directory, base_offset, "index")
}

pub(crate) fn open_log(directory: &Path, base_offset: i64) -> io::Result<File> {
    let path = log_path(directory, base_offset);
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// The base offsets of the segments in a directory, ascending; none if there is no directory.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<i64>> {
    bases(directory, "log")
}

/// The base offsets in the names of all files with an extension, ascending.
pub(crate) fn bases(directory: &Path, extension: &str) -> io::Result<Vec<i64>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut base_offsets = Vec::new();
    for entry in entries {
        let path = PathBuf::from(entry?.file_name());
        let base = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<i64>().ok());
        base_offsets.extend(base.filter(|_| path.extension().is_some_and(|found| found == extension)));
    }
    base_offsets.sort_unstable();
    Ok(base_offsets)
}

pub(crate) fn remove_segment(directory: &Path, base_offset: i64) -> io::Result<()> {
    for path in [log_path(directory, base_offset), index_path(directory, base_offset)] {
        absent_is_fine(fs::remove_file(path))?;
    }
    Ok(())
}

pub(crate) fn remove_index(directory: &Path, base_offset: i64) -> io::Result<()> {
    absent_is_fine(fs::remove_file(index_path(directory, base_offset)))
}

pub(crate) fn remove_directory(directory: &Path) -> io::Result<()> {
    absent_is_fine(fs::remove_dir_all(directory))
}

pub(crate) fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

pub(crate) fn write_index<T: Serialize>(directory: &Path, base_offset: i64, index: &T) -> io::Result<()> {
    replace(&index_path(directory, base_offset), INDEX_FORMAT, index)
}

/// `None` if there is no index or not a whole one: it can be made again from the segment.
pub(crate) fn read_index<T: DeserializeOwned>(directory: &Path, base_offset: i64) -> io::Result<Option<T>> {
    read_small(&index_path(directory, base_offset), INDEX_FORMAT)
}

/// Beside a cleaned segment that is about to take its place.
pub(crate) fn write_swap_index<T: Serialize>(path: &Path, index: &T) -> io::Result<()> {
    replace(path, INDEX_FORMAT, index)
}

pub(crate) fn read_swap_index<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    read_small(path, INDEX_FORMAT)
}

pub(crate) fn write_log_start(directory: &Path, offset: i64) -> io::Result<()> {
    replace(&directory.join(LOG_START), LOG_START_FORMAT, &offset)
}

pub(crate) fn read_log_start(directory: &Path) -> io::Result<Option<i64>> {
    read_small(&directory.join(LOG_START), LOG_START_FORMAT)
}

pub(crate) fn write_clean_stop<T: Serialize>(directory: &Path, stop: &T) -> io::Result<()> {
    replace(&directory.join(CLEAN_STOP), INDEX_FORMAT, stop)
}

pub(crate) fn read_clean_stop<T: DeserializeOwned>(directory: &Path) -> io::Result<Option<T>> {
    read_small(&directory.join(CLEAN_STOP), INDEX_FORMAT)
}

/// It need not be synced: what comes back after a loss of power holds if the log has the size that it names, since a log
/// only grows behind it.
pub(crate) fn remove_clean_stop(directory: &Path) -> io::Result<()> {
    absent_is_fine(fs::remove_file(directory.join(CLEAN_STOP)))
}

/// Makes a partition's directory if it is not there, so that a loss of power does not take it.
pub(crate) fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    directory.parent().map_or(Ok(()), sync_directory)
}

/// Makes what was created, renamed and removed in a directory survive a loss of power.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Puts a whole, synced file in the place of another, or leaves that one as it is.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn replace<T: Serialize>(path: &Path, format: u8, value: &T) -> io::Result<()> {
    let body = postcard::to_stdvec(value).map_err(io::Error::other)?;
    let mut bytes = vec![format];
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    replace_file(path, &bytes)
}

fn read_small<T: DeserializeOwned>(path: &Path, format: u8) -> io::Result<Option<T>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let Some((header, body)) = bytes.split_at_checked(5) else { return Ok(None) };
    let whole = header[0] == format && header[1..] == crc32c::crc32c(body).to_le_bytes();
    Ok(whole.then(|| postcard::from_bytes(body).ok()).flatten())
}
