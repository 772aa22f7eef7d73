//! The table in `docs/temporal.md`: sections named by a message, with a row for each of its fields.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};

const PAGE: &str = include_str!("../../../docs/temporal.md");

/// What becomes of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// It has a place in our JSON.
    Carried {
        /// Where: keys from the outside in.
        path: Vec<String>,
        /// Only these variants have it; empty if all do.
        of: Vec<String>,
        /// A value that we do not have.
        except: Option<String>,
        /// Ours cannot do without it, and Temporal's always has it.
        always: bool,
    },
    /// It is one of several, of this type of ours.
    Variant(String),
    /// It is not carried; why is for people.
    NotCarried,
}

/// All sections.
#[derive(Debug)]
pub struct Table {
    /// For each message, what becomes of its fields; `a.b` is the field b of the message in field a.
    pub sections: BTreeMap<String, BTreeMap<String, Rule>>,
}

impl Table {
    /// Reads the page.
    pub fn read() -> anyhow::Result<Self> {
        let mut sections: BTreeMap<String, BTreeMap<String, Rule>> = BTreeMap::new();
        let mut current = None;
        for line in PAGE.lines() {
            if let Some(name) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
                ensure!(name.starts_with("temporal.api."), "`{name}` is no message of Temporal's");
                let new = sections.insert(name.to_owned(), BTreeMap::new()).is_none();
                ensure!(new, "{name} has two sections");
                current = Some(name.to_owned());
            } else if let Some(row) = line.strip_prefix("| `") {
                let section = current.as_ref().and_then(|name| sections.get_mut(name));
                let rows = section.with_context(|| format!("the row `{line}` belongs to no message"))?;
                let (fields, rule) =
                    row.strip_suffix(" |").and_then(|row| row.split_once(" | ")).context("a torn row")?;
                let rule = rule_of(rule).with_context(|| format!("the row of `{fields}"))?;
                for field in fields.split(", ").map(|field| field.trim_matches('`')) {
                    ensure!(rows.insert(field.to_owned(), rule.clone()).is_none(), "{field} has two rows");
                }
            }
        }
        Ok(Self { sections })
    }

    /// The rows of a message.
    pub fn section(&self, message: &str) -> anyhow::Result<&BTreeMap<String, Rule>> {
        self.sections.get(message).with_context(|| format!("docs/temporal.md has no section for {message}"))
    }
}

fn rule_of(text: &str) -> anyhow::Result<Rule> {
    let words = in_code_style(text);
    let first = || words.first().cloned().context("nothing is in code style");
    if text.starts_with("variant ") {
        return first().map(Rule::Variant);
    }
    if !text.starts_with('`') {
        let reasons = ["derived: ", "not needed: ", "later: "];
        let Some(reason) = reasons.iter().find_map(|reason| text.strip_prefix(reason)) else {
            bail!("`{text}` is neither a name of ours nor one of {reasons:?}");
        };
        ensure!(!reason.is_empty(), "`{text}` gives no reason");
        return Ok(Rule::NotCarried);
    }
    let path = first()?.split('.').map(str::to_owned).collect();
    let of = if text.contains("` of `") { words[1..].to_vec() } else { Vec::new() };
    let except = text.contains("` except `").then(|| words[1].clone());
    Ok(Rule::Carried { path, of, except, always: text.ends_with(" (always)") })
}

fn in_code_style(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
