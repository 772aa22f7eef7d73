//! The code in documents is code that is compiled and tested: each Rust block is taken from an example.

use anyhow::{Result, ensure};
use repository::{documents, files_with_extension};

/// Stands for lines that are left out.
const ELISION: &str = "// …";

#[test]
fn rust_in_documents_is_taken_from_an_example() -> Result<()> {
    let examples: Vec<Vec<String>> = files_with_extension("rs")?
        .into_iter()
        .filter(|file| file.path.starts_with("examples/"))
        .map(|file| file.text.lines().map(|line| line.trim().to_owned()).collect())
        .collect();
    for document in documents()? {
        for block in document.blocks.iter().filter(|block| block.language == "rust") {
            let lines: Vec<_> = block.lines.iter().map(|line| line.trim().to_owned()).collect();
            for part in lines.split(|line| line == ELISION) {
                let part = trimmed(part);
                let is_there = examples.iter().any(|example| part.is_empty() || contains(example, part));
                let (path, line) = (&document.file.path, block.line);
                ensure!(is_there, "{path}:{line}: no example has these lines:\n{}", part.join("\n"));
            }
        }
    }
    Ok(())
}

fn trimmed(mut lines: &[String]) -> &[String] {
    while let [first, rest @ ..] = lines
        && first.is_empty()
    {
        lines = rest;
    }
    while let [rest @ .., last] = lines
        && last.is_empty()
    {
        lines = rest;
    }
    lines
}

fn contains(example: &[String], part: &[String]) -> bool {
    example.windows(part.len()).any(|window| window == part)
}
