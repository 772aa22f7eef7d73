//! The JSON in documents fits the published schemas.
//!
//! A fenced `json` block is preceded by `<!-- schema: Name -->`, which names a file of `schemas/json/`, or a definition in
//! one as `Name#Definition`; `<!-- schema: none -->` is for JSON that no schema describes.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use repository::{Block, Document, documents, files_with_extension, read, root};
use serde_json::{Value, json};

/// Folders whose pages are for readers and writers of records.
const PAGES: &[&str] = &["docs/topics.md", "docs/schemas.md", "docs/guarantees.md", "docs/errors/"];

#[test]
fn json_in_documents_fits_the_schemas() -> Result<()> {
    let mut checked = 0;
    for document in documents()? {
        for block in document.blocks.iter().filter(|block| block.language == "json") {
            let place = format!("{}:{}", document.file.path, block.line);
            let value: Value = serde_json::from_str(&block.lines.join("\n")).with_context(|| place.clone())?;
            match schema_of(&document, block) {
                None => {
                    let must = PAGES.iter().any(|page| document.file.path.starts_with(page));
                    ensure!(!must, "{place}: say above it which schema describes it: <!-- schema: Command -->");
                }
                Some("none") => {}
                Some(schema) => {
                    check(schema, &value).with_context(|| format!("{place} does not fit {schema}"))?;
                    checked += 1;
                }
            }
        }
    }
    ensure!(checked > 5, "only {checked} examples were checked");
    Ok(())
}

/// What the comment above a block says.
fn schema_of<'a>(document: &'a Document, block: &Block) -> Option<&'a str> {
    let above = document.file.text.lines().nth(block.line.checked_sub(2)?)?;
    above.trim().strip_prefix("<!-- schema: ")?.strip_suffix(" -->")
}

fn check(schema: &str, value: &Value) -> Result<()> {
    let (file, definition) = schema.split_once('#').map_or((schema, None), |(file, name)| (file, Some(name)));
    let mut schema: Value = serde_json::from_str(&read(&format!("schemas/json/{file}.json"))?)?;
    if let Some(definition) = definition {
        ensure!(schema["$defs"][definition].is_object(), "{file}.json has no definition {definition}");
        let reference = format!("#/$defs/{definition}");
        schema = json!({"$schema": schema["$schema"], "$ref": reference, "$defs": schema["$defs"]});
    }
    let validator = jsonschema::validator_for(&schema)?;
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    ensure!(errors.is_empty(), "{}", errors.join("; "));
    Ok(())
}

#[test]
fn schemas_that_are_named_exist() -> Result<()> {
    for extension in ["md", "rs", "py"] {
        for file in files_with_extension(extension)?.into_iter().filter(|file| !file.path.starts_with("tests/")) {
            for (_, rest) in
                file.text.match_indices("schemas/json/").map(|(at, name)| file.text.split_at(at + name.len()))
            {
                let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
                let is_file = Path::new(&name).extension().is_some_and(|extension| extension == "json");
                let exists = root().join("schemas/json").join(&name).is_file();
                ensure!(!is_file || exists, "{} names schemas/json/{name}, which is not there", file.path);
            }
        }
    }
    Ok(())
}

#[test]
fn the_page_on_schemas_names_each_of_them() -> Result<()> {
    let page = read("docs/schemas.md")?;
    for file in files_with_extension("json")?.into_iter().filter(|file| file.path.starts_with("schemas/json/")) {
        let name = file.path.trim_start_matches("schemas/json/");
        ensure!(page.contains(&format!("(../schemas/json/{name})")), "docs/schemas.md does not link {name}");
    }
    Ok(())
}
