//! Documents: their fenced blocks and their links.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::files::{SourceFile, files_with_extension};

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence.
    pub language: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
    /// What is between the fences.
    pub lines: Vec<String>,
}

/// A Markdown file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file.
    pub file: SourceFile,
    /// Its fenced blocks.
    pub blocks: Vec<Block>,
}

impl Document {
    fn new(file: SourceFile) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (at, line) in file.text.lines().enumerate() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                is_open = !is_open;
                if is_open {
                    blocks.push(Block { language: language.trim().to_owned(), line: at + 1, lines: Vec::new() });
                }
            } else if let (true, Some(block)) = (is_open, blocks.last_mut()) {
                block.lines.push(line.to_owned());
            }
        }
        Self { file, blocks }
    }

    /// The shell commands of its blocks, with their lines: a line that ends in a backslash goes on in the next.
    #[must_use]
    pub fn commands(&self) -> Vec<(usize, String)> {
        let mut commands: Vec<(usize, String)> = Vec::new();
        for block in self.blocks.iter().filter(|block| ["sh", "bash", "console"].contains(&block.language.as_str())) {
            let mut goes_on = false;
            for (at, line) in block.lines.iter().enumerate() {
                let text = line.trim().trim_start_matches("$ ");
                let (part, continued) = text.strip_suffix('\\').map_or((text, false), |part| (part.trim_end(), true));
                match commands.last_mut() {
                    Some((_, command)) if goes_on => command.push_str(&format!(" {part}")),
                    _ => commands.push((block.line + 1 + at, part.to_owned())),
                }
                goes_on = continued;
            }
        }
        commands
    }

    /// Its links, but for those to the web: a path, which is empty for this page, and an anchor, if one is named.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let prose = self.prose().collect::<Vec<_>>().join("\n");
        let parts = prose.split("](").skip(1);
        let targets = parts.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let local = targets.filter(|target| !target.contains("://") && !target.starts_with('/'));
        local.map(Link::new).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    #[must_use]
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for heading in self.prose().filter(|line| line.starts_with('#')) {
            let anchor = anchor(heading.trim_start_matches('#').trim());
            let numbered = (1..).map(|n| format!("{anchor}-{n}"));
            let free = std::iter::once(anchor.clone()).chain(numbered).find(|name| !anchors.contains(name));
            anchors.extend(free);
        }
        anchors
    }

    /// The lines outside of fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let fenced = |at: usize| self.blocks.iter().any(|b| (b.line..=b.line + b.lines.len() + 1).contains(&at));
        self.file.text.lines().enumerate().filter(move |(at, _)| !fenced(at + 1)).map(|(_, line)| line)
    }
}

/// A link to a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Relative to the page; empty for the page itself.
    pub path: String,
    /// A heading there.
    pub anchor: Option<String>,
}

impl Link {
    fn new(target: &str) -> Self {
        match target.split_once('#') {
            Some((path, anchor)) => Self { path: path.to_owned(), anchor: Some(anchor.to_owned()) },
            None => Self { path: target.to_owned(), anchor: None },
        }
    }
}

/// A heading as an anchor: its letters and digits in lower case, dashes for blanks, nothing for the rest.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// All Markdown files.
pub fn documents() -> Result<Vec<Document>> {
    Ok(files_with_extension("md")?.into_iter().map(Document::new).collect())
}
