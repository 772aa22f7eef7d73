//! The programs that tests run as processes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The folder that cargo builds into.
fn folder() -> anyhow::Result<PathBuf> {
    // A test lies in `<target>/<profile>/deps`.
    let test = std::env::current_exe()?;
    Ok(test.parent().and_then(|deps| deps.parent()).context("the test is in no target folder")?.to_owned())
}

/// Builds the program and the worker for orders, since a test of this crate alone does not.
pub fn build() -> anyhow::Result<()> {
    build_packages(&["tidewright-cli", "order-fulfilment"])
}

/// Builds the programs of some packages.
pub fn build_packages(packages: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let target = folder()?.parent().context("no target folder")?.to_owned();
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--bins"])
        .args(packages.iter().flat_map(|package| ["-p", package]))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target)
        .status()?;
    ensure!(built.success(), "the programs cannot be built");
    Ok(())
}

/// Where a program is.
pub fn path(name: &str) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(name);
    ensure!(path.exists(), "{} is not there", path.display());
    Ok(path)
}
