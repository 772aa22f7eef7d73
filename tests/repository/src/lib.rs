//! The repository as data, for the checks under `tests/`: its files, its manifests, its documents.
//!
//! Reads the work tree that the crate lies in. Runs nothing, changes nothing.

mod files;
mod manifests;
mod markdown;

pub use files::{SourceFile, files_with_extension, read, root};
pub use manifests::{Dependency, DependencyKind, Manifest, closure, manifests};
pub use markdown::{Block, Document, Link, documents};
