//! The manifests, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::files::files_with_extension;

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyKind {
    /// `[dependencies]`, for any target.
    Normal,
    /// `[build-dependencies]`.
    Build,
    /// `[dev-dependencies]`.
    Dev,
}

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The package's name in its registry or workspace.
    pub package: String,
    /// What it is for.
    pub kind: DependencyKind,
}

/// A package's manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Below the root.
    pub path: String,
    /// The package's name.
    pub package: String,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// All of it.
    pub table: Table,
}

impl Manifest {
    /// The packages that it depends on for one purpose.
    pub fn of_kind(&self, kind: DependencyKind) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(move |found| found.kind == kind).map(|found| found.package.as_str())
    }
}

/// The packages of the workspace by their names.
pub fn manifests() -> Result<BTreeMap<String, Manifest>> {
    let mut manifests = BTreeMap::new();
    for file in files_with_extension("toml")?.into_iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let table: Table = file.text.parse().with_context(|| format!("{} is no TOML", file.path))?;
        let package = table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        let package = package.with_context(|| format!("{} names no package", file.path))?.to_owned();
        let dependencies = dependencies(&table);
        manifests.insert(package.clone(), Manifest { path: file.path, package, dependencies, table });
    }
    Ok(manifests)
}

fn dependencies(table: &Table) -> Vec<Dependency> {
    let of_targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let sections: Vec<&Table> = std::iter::once(table).chain(of_targets.filter_map(Value::as_table)).collect();
    let kinds = [
        ("dependencies", DependencyKind::Normal),
        ("build-dependencies", DependencyKind::Build),
        ("dev-dependencies", DependencyKind::Dev),
    ];
    let mut found = Vec::new();
    for section in sections {
        for (name, kind) in kinds {
            for (key, value) in section.get(name).and_then(Value::as_table).into_iter().flatten() {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned();
                found.push(Dependency { package, kind });
            }
        }
    }
    found
}

/// A package and everything that it needs to be built, as far as the workspace's own manifests tell.
#[must_use]
pub fn closure(manifests: &BTreeMap<String, Manifest>, package: &str) -> BTreeSet<String> {
    let mut closure = BTreeSet::new();
    let mut open = vec![package.to_owned()];
    while let Some(package) = open.pop() {
        if !closure.insert(package.clone()) {
            continue;
        }
        let needed = manifests.get(&package).into_iter().flat_map(|manifest| &manifest.dependencies);
        open.extend(needed.filter(|d| d.kind != DependencyKind::Dev).map(|d| d.package.clone()));
    }
    closure
}
