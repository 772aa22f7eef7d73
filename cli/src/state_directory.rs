//! Directories that a process keeps data in.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// Makes a directory, for its owner only, if it is not there.
pub(crate) fn make(path: &Path) -> Result<(), CliError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| CliError::directory(path, e))
}

/// The path as others can use it.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The node's id, which stays with its state directory: a node that comes back takes its own place in the cluster.
pub(crate) fn node_id(state_directory: &Path) -> Result<String, CliError> {
    let path = state_directory.join("node-id");
    let fail = |error: std::io::Error| CliError::directory(state_directory, format!("{}: {error}", path.display()));
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => writeln!(file, "node-{:08x}", rand::random::<u32>()).map_err(fail)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fail(error)),
    }
    let id = std::fs::read_to_string(&path).map_err(fail)?.trim().to_owned();
    let is_usable = !id.is_empty() && id.len() <= 200 && id.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if is_usable { Ok(id) } else { Err(fail(std::io::Error::other("it holds no node id; delete it"))) }
}
