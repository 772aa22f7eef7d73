//! Documents: their fenced blocks and their links.

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

    /// Targets of its links, but for those to the web and within the page.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let parts = self.file.text.split("](").skip(1);
        let targets = parts.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let local = targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '/']));
        local.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
    }
}

/// All Markdown files.
pub fn documents() -> Result<Vec<Document>> {
    Ok(files_with_extension("md")?.into_iter().map(Document::new).collect())
}
