//! The cluster's secret: a text file of its own, the same on every node.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tidewright_owner::trust::Secret;

use crate::error::CliError;

/// A file beyond this is something else.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Anyone but the owner.
const OTHERS: u32 = 0o077;
/// How to make one.
const HOW: &str = "make one with `openssl rand -hex 32 > FILE && chmod 600 FILE`, and give the same file to every node";

/// Reads a secret; whitespace around it does not count.
pub(crate) fn read(path: &Path) -> Result<Secret, CliError> {
    let refuse = |problem: &dyn std::fmt::Display| CliError::secret(path, problem).hint(HOW);
    let file = std::fs::File::open(path).map_err(|e| refuse(&e))?;
    let mode = file.metadata().map_err(|e| refuse(&e))?.permissions().mode();
    if mode & OTHERS != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{:o}", mode & 0o777),
            "others than its owner may read the secret file: whoever knows the secret can forge tasks; chmod 600 it"
        );
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| refuse(&e))?;
    Secret::new(text.trim().as_bytes()).map_err(|e| refuse(&e))
}

/// Reads a secret, or makes one if there is none yet.
pub(crate) fn read_or_make(path: &Path) -> Result<Secret, CliError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file {
        Ok(mut file) => {
            let written = writeln!(file, "{}", text(&random())).and_then(|()| file.sync_all());
            written.map_err(|e| CliError::secret(path, e))?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(CliError::secret(path, error)),
    }
    read(path)
}

/// A secret that is gone with the process.
pub(crate) fn ephemeral() -> Result<Secret, CliError> {
    Secret::new(text(&random()).into_bytes()).map_err(|e| CliError::plain(e.to_string()))
}

fn random() -> [u8; 32] {
    rand::random()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_is_nobody_elses_business() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let made = read_or_make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path).unwrap().id(), made.id());
        assert_eq!(read(&path).unwrap().id(), made.id());
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert!(read(&path).is_err());
        std::fs::write(&path, "  too short\n").unwrap();
        assert!(read(&path).is_err());
    }
}
