//! Each error code has a page that explains it, and each page a code.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use repository::files_with_extension;

/// `TW` and four digits.
fn codes(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices("TW").map(|(at, _)| at);
    let words = starts.filter_map(|at| text.get(at..at + 6));
    words.filter(|word| word[2..].bytes().all(|byte| byte.is_ascii_digit())).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() -> Result<()> {
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for file in files_with_extension("rs")? {
        // A comment may name a code as an example of one.
        let code_lines = file.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for code in code_lines.flat_map(codes) {
            used.entry(code.to_owned()).or_insert_with(|| file.path.clone());
        }
    }
    let pages: BTreeSet<_> = files_with_extension("md")?
        .into_iter()
        .filter_map(|file| Some(file.path.strip_prefix("docs/errors/")?.strip_suffix(".md")?.to_owned()))
        .filter(|name| name.starts_with("TW"))
        .collect();
    for (code, path) in &used {
        ensure!(pages.contains(code), "{path} uses {code}: write docs/errors/{code}.md");
    }
    for page in &pages {
        ensure!(used.contains_key(page), "docs/errors/{page}.md explains a code that nothing uses: remove it");
    }
    Ok(())
}

#[test]
fn a_page_names_its_error_and_says_what_to_do() -> Result<()> {
    for file in files_with_extension("md")?.into_iter().filter(|file| file.path.starts_with("docs/errors/TW")) {
        let code = file.path.trim_start_matches("docs/errors/").trim_end_matches(".md");
        let heading = file.text.lines().next().unwrap_or_default();
        let name = heading.strip_prefix(&format!("# {code} ")).unwrap_or_default();
        let is_name =
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric());
        ensure!(is_name, "{}: the first line is `# {code} NameOfTheError`, not `{heading}`", file.path);
        for part in ["**What happened.**", "**Why", "**What to do.**"] {
            ensure!(file.text.contains(part), "{} has no paragraph {part}", file.path);
        }
    }
    Ok(())
}
