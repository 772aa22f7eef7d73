//! `make install` and `make uninstall`, and what they install.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::files::root;
use crate::program;

fn make(target: &str, destination: &Path) -> Result<()> {
    let made = Command::new("make")
        .arg(target)
        .arg(format!("DESTDIR={}", destination.display()))
        .args(["PREFIX=/usr", concat!("PROGRAM=", env!("CARGO_BIN_EXE_tidewright"))])
        .current_dir(root())
        .output()
        .context("make does not run")?;
    ensure!(made.status.success(), "make {target} failed: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Runs a tool on what was installed, if the machine has it.
fn check_with(tool: &str, arguments: &[&str]) -> Result<()> {
    match Command::new(tool).args(arguments).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("{tool} is not here: not checked with it");
            Ok(())
        }
        Err(error) => Err(error).with_context(|| format!("{tool} does not run")),
        Ok(output) => {
            let complaints = [output.stdout, output.stderr].concat();
            let complaints = String::from_utf8_lossy(&complaints);
            ensure!(output.status.success() && complaints.is_empty(), "{tool} {arguments:?}: {complaints}");
            Ok(())
        }
    }
}

#[test]
fn what_is_installed_works_and_is_removed_again() -> Result<()> {
    let destination = tempfile::tempdir()?;
    make("install", destination.path())?;
    let installed = |path: &str| destination.path().join("usr").join(path);
    let version = Command::new(installed("bin/tidewright")).arg("--version").output()?;
    ensure!(String::from_utf8(version.stdout)? == concat!("tidewright ", env!("CARGO_PKG_VERSION"), "\n"));
    for file in ["share/man/man1/tidewright.1", "share/man/man1/tidewright-serve.1", "share/doc/tidewright/LICENSE"] {
        ensure!(installed(file).is_file(), "{file} is not installed");
    }

    let bash = installed("share/bash-completion/completions/tidewright");
    check_with("bash", &["-c", ". \"$0\" && complete -p tidewright >/dev/null", &bash.to_string_lossy()])?;
    let zsh = installed("share/zsh/site-functions");
    let load = "fpath=($1 $fpath); autoload -Uz compinit && compinit -u -D && autoload +X _tidewright";
    check_with("zsh", &["-fc", load, "zsh", &zsh.to_string_lossy()])?;
    let fish = installed("share/fish/vendor_completions.d/tidewright.fish");
    check_with("fish", &["--no-config", "-c", "source $argv[1]", &fish.to_string_lossy()])?;
    for page in files_below(&installed("share/man"))? {
        let page = page.to_string_lossy();
        check_with("groff", &["-man", "-Tutf8", "-ww", "-z", &page])?;
        check_with("mandoc", &["-T", "lint", "-W", "error", &page])?;
    }

    make("uninstall", destination.path())?;
    let left = files_below(destination.path())?;
    ensure!(left.is_empty(), "make uninstall leaves {left:?}");
    Ok(())
}

#[test]
fn completions_are_for_the_shells_that_are_installed_for() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let output = program::run(&["completions", shell])?;
        ensure!(output.status.success() && !output.stdout.is_empty(), "no completions for {shell}");
    }
    ensure!(program::run(&["completions", "cmd.exe"])?.status.code() == Some(2), "an unknown shell is a usage error");
    Ok(())
}
