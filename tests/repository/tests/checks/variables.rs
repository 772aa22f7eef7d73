//! Every variable that is named anywhere is one that the code reads.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use repository::{SourceFile, files_with_extension, read};

const MARK: &str = "TIDEWRIGHT_";
/// Each stands for many: what follows is a property of Kafka's.
const OPEN: &[&str] = &["TIDEWRIGHT_KAFKA_"];
/// Files without an extension, and hidden ones, that name variables.
const FURTHER: &[&str] = &["Makefile", "Dockerfile", ".ci/run", "scripts/test-kafka", "scripts/test-quickstart"];

/// The variables in a text; a name that goes on with `*` or `<` stands for many.
fn variables(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(MARK) {
        let is_part = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_name = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_';
        let name: String = text[at..].chars().take_while(is_name).collect();
        if !is_part && name != MARK {
            found.insert(name);
        }
    }
    found
}

/// What the code reads: literals outside of comments, and the settings, whose variables are made of their keys.
fn known() -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    for file in files_with_extension("rs")? {
        let lines = file.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        known.extend(lines.flat_map(variables));
        if file.path == "cli/src/config/settings.rs" {
            let keys = file.text.split("key: \"").skip(1).filter_map(|rest| rest.split('"').next());
            known.extend(keys.map(|key| format!("{MARK}{}", key.to_ascii_uppercase())));
        }
    }
    Ok(known)
}

#[test]
fn variables_that_are_named_are_read() -> Result<()> {
    let known = known()?;
    let mut files: Vec<SourceFile> = Vec::new();
    for extension in ["md", "yaml", "yml", "toml", "py", "sh", "rs"] {
        files.extend(files_with_extension(extension)?);
    }
    for path in FURTHER {
        files.push(SourceFile { path: (*path).to_owned(), text: read(path)? });
    }
    for file in &files {
        for variable in variables(&file.text) {
            let is_open = OPEN.iter().any(|open| variable.starts_with(open));
            ensure!(is_open || known.contains(&variable), "{} names {variable}, which nothing reads", file.path);
        }
    }
    Ok(())
}
