//! Finding and reading files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A file with its path below the root, as it is written in documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Below the root, with slashes.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file below the root.
pub fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("{path} cannot be read"))
}

/// All files whose name ends in `.<extension>`, in order of their paths; hidden folders and build output are left out.
pub fn files_with_extension(extension: &str) -> Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    collect(&root(), "", extension, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(directory: &Path, below: &str, extension: &str, found: &mut Vec<SourceFile>) -> Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| format!("{} cannot be listed", directory.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_output = below.is_empty() && name.starts_with("target");
        if name.starts_with('.') || is_output {
            continue;
        }
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, extension, found)?;
        } else if Path::new(&path).extension().is_some_and(|e| e == extension) {
            let text = std::fs::read_to_string(entry.path()).with_context(|| format!("{path} cannot be read"))?;
            found.push(SourceFile { path, text });
        }
    }
    Ok(())
}
