//! The programs that a benchmark runs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// This program, for the worker.
pub(crate) fn own() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program does not know where it lies")
}

/// The engine and the broker: the `tidewright` program beside this one. Under cargo it is built first, in the same
/// profile, so that what is measured is what the sources say.
pub(crate) fn tidewright() -> anyhow::Result<PathBuf> {
    let own = own()?;
    let folder = own.parent().context("this program lies in no folder")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let target = folder.parent().context("this program lies in no target folder")?;
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "-p", "tidewright-cli", "--bin", "tidewright"]);
        if folder.file_name().is_some_and(|profile| profile == "release") {
            build.arg("--release");
        }
        build.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target);
        ensure!(build.status()?.success(), "the tidewright program cannot be built");
    }
    let program = folder.join(format!("tidewright{}", std::env::consts::EXE_SUFFIX));
    ensure!(program.exists(), "{} is not there: build it with cargo build -p tidewright-cli", program.display());
    Ok(program)
}
