//! Links in documents lead somewhere, also those to a heading.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use repository::{documents, root};

#[test]
fn links_in_documents_lead_somewhere() -> Result<()> {
    let documents = documents()?;
    for document in &documents {
        let page = &document.file.path;
        let folder = Path::new(page).parent().context("a file lies in a folder")?;
        for link in document.links() {
            let target = if link.path.is_empty() { PathBuf::from(page) } else { plain(&folder.join(&link.path)) };
            ensure!(root().join(&target).exists(), "{page}: the link to {} leads nowhere", link.path);
            let Some(anchor) = link.anchor else { continue };
            let there = documents.iter().find(|document| Path::new(&document.file.path) == target);
            let there = there.with_context(|| format!("{page}: {} is no page with headings", target.display()))?;
            let found = there.anchors().contains(&anchor);
            ensure!(found, "{page}: {} has no heading #{anchor}", target.display());
        }
    }
    Ok(())
}

#[test]
fn every_page_under_docs_is_linked_from_the_index() -> Result<()> {
    let documents = documents()?;
    let index =
        documents.iter().find(|document| document.file.path == "docs/README.md").context("no docs/README.md")?;
    let linked: Vec<_> = index.links().into_iter().map(|link| plain(&Path::new("docs").join(link.path))).collect();
    for document in &documents {
        let path = Path::new(&document.file.path);
        let is_page = path.parent() == Some(Path::new("docs")) && path != Path::new("docs/README.md");
        ensure!(!is_page || linked.contains(&path.to_owned()), "docs/README.md does not link {}", path.display());
    }
    Ok(())
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
