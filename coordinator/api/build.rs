//! Takes the pages under `docs/errors/` into the crate, so that a node explains its own error codes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let directory = Path::new(&manifest).join("../../docs/errors");
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut pages: Vec<PathBuf> = match fs::read_dir(&directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    let mut code = String::from("&[\n");
    for path in pages {
        let path = path.canonicalize()?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        // Only pages of codes: an index beside them is not one.
        if name.starts_with("TW") {
            // Cannot fail: writing to a String never does.
            let _ = writeln!(code, "    ({name:?}, include_str!({path:?})),");
        }
    }
    code.push(']');
    fs::write(Path::new(&variable("OUT_DIR")?).join("pages.rs"), code)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
