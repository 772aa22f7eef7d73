//! How sources look.

use anyhow::{Result, ensure};
use repository::{files_with_extension, read};

const LINES_MAX: usize = 500;

#[test]
fn no_source_file_is_too_long() -> Result<()> {
    for file in files_with_extension("rs")? {
        let lines = file.text.lines().count();
        ensure!(lines <= LINES_MAX, "{} has {lines} lines; split it: at most {LINES_MAX} are allowed", file.path);
    }
    Ok(())
}

#[test]
fn a_library_or_program_opens_with_its_contract() -> Result<()> {
    for file in files_with_extension("rs")? {
        let is_root = file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs");
        ensure!(!is_root || file.text.starts_with("//!"), "{} does not open with `//!` and what it is for", file.path);
    }
    Ok(())
}

#[test]
fn decisions_are_numbered_without_gaps() -> Result<()> {
    let mut expected = 1;
    for file in files_with_extension("md")?.into_iter().filter(|file| file.path.starts_with("docs/adr/")) {
        let name = file.path.trim_start_matches("docs/adr/");
        if name == "README.md" {
            continue;
        }
        let number = format!("{expected:04}");
        ensure!(name.starts_with(&format!("{number}-")), "{} should have the number {number}", file.path);
        ensure!(file.text.starts_with(&format!("# {number}: ")), "{} should open with `# {number}: `", file.path);
        expected += 1;
    }
    Ok(())
}

#[test]
fn the_licence_is_the_one_that_the_manifests_name() -> Result<()> {
    let manifest = read("Cargo.toml")?;
    ensure!(manifest.contains("license = \"Apache-2.0\""), "the workspace's licence changed: change LICENSE, too");
    let licence = read("LICENSE")?;
    ensure!(licence.contains("Apache License") && licence.contains("Version 2.0"), "LICENSE is not Apache-2.0");
    Ok(())
}
