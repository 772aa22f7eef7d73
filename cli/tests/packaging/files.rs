//! Reading the repository.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_yaml_ng::Value;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file below the root.
pub fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("{path} cannot be read"))
}

/// A YAML file below the root.
pub fn yaml(path: &str) -> Result<Value> {
    serde_yaml_ng::from_str(&read(path)?).with_context(|| format!("{path} is no YAML"))
}

/// The texts of a YAML list; an absent one is empty.
pub fn texts(list: &Value) -> Vec<&str> {
    list.as_sequence().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The entries of a YAML mapping whose keys are texts; an absent one is empty.
pub fn entries(mapping: &Value) -> Vec<(&str, &Value)> {
    let pairs = mapping.as_mapping().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.as_str()?, value))).collect()
}

/// Checks that an image is named with a tag that says which one it is.
pub fn check_pinned(image: &str) -> Result<()> {
    let tag = image.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
    ensure!(tag.contains(|c: char| c.is_ascii_digit()), "the image {image} is not pinned by a tag with a version");
    Ok(())
}

/// Checks a line of shell as far as it runs what is in this repository: make targets, scripts, cargo packages.
pub fn check_shell(line: &str) -> Result<()> {
    for command in line.split(['\n', ';']).flat_map(|part| part.split("&&")) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["make", arguments @ ..] => check_make(arguments).with_context(|| format!("in `{command}`"))?,
            ["cargo", arguments @ ..] => check_cargo(arguments).with_context(|| format!("in `{command}`"))?,
            [program, ..] if program.starts_with("scripts/") || program.starts_with(".ci/") => {
                ensure!(root().join(program).is_file(), "there is no {program}");
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_make(arguments: &[&str]) -> Result<()> {
    let makefile = read("Makefile")?;
    for argument in arguments {
        match argument.split_once('=') {
            Some((variable, _)) => {
                let sets = makefile.lines().any(|line| line.starts_with(&format!("{variable} ?=")));
                ensure!(sets, "the Makefile has no variable {variable}");
            }
            None => {
                let makes = makefile.lines().any(|line| line.starts_with(&format!("{argument}:")));
                ensure!(makes, "the Makefile has no target {argument}");
            }
        }
    }
    Ok(())
}

fn check_cargo(arguments: &[&str]) -> Result<()> {
    for pair in arguments.windows(2).filter(|pair| pair[0] == "-p") {
        let lock = read("Cargo.lock")?;
        ensure!(lock.contains(&format!("name = \"{}\"\n", pair[1])), "there is no package {}", pair[1]);
    }
    Ok(())
}
