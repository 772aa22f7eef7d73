//! Who may depend on whom. The manifests are what makes the layers true; this is what keeps them so.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use repository::{DependencyKind, closure, manifests};

/// Each package of the workspace and which others of it its own code may use. Tests may use what they like.
const LAYERS: &[(&str, &[&str])] = &[
    ("tidewright-schemas", &[]),
    ("tidewright-core", &["tidewright-schemas"]),
    ("tidewright-owner", &["tidewright-core", "tidewright-schemas"]),
    ("tidewright-store", &["tidewright-core"]),
    ("tidewright-log", &["tidewright-schemas"]),
    ("tidewright-telemetry", &["tidewright-schemas"]),
    (
        "tidewright-runtime",
        &[
            "tidewright-core",
            "tidewright-log",
            "tidewright-owner",
            "tidewright-schemas",
            "tidewright-store",
            "tidewright-telemetry",
        ],
    ),
    ("tidewright-api", &["tidewright-runtime", "tidewright-schemas", "tidewright-telemetry"]),
    ("tidewright-broker", &[]),
    ("tidewright-macros", &[]),
    ("tidewright-replay", &["tidewright-schemas"]),
    ("tidewright-client", &["tidewright-log", "tidewright-schemas"]),
    (
        "tidewright",
        &[
            "tidewright-client",
            "tidewright-log",
            "tidewright-macros",
            "tidewright-replay",
            "tidewright-schemas",
            "tidewright-telemetry",
        ],
    ),
    ("bench", &["tidewright", "tidewright-log"]),
    ("checkout", &["tidewright"]),
    ("guide", &["tidewright"]),
    ("order-fulfilment", &["tidewright"]),
    (
        "playground",
        &[
            "tidewright",
            "tidewright-api",
            "tidewright-broker",
            "tidewright-log",
            "tidewright-owner",
            "tidewright-runtime",
        ],
    ),
    ("expense-approval", &["playground", "tidewright"]),
    ("incident-escalation", &["playground", "tidewright"]),
    ("order-saga", &["playground", "tidewright"]),
    ("slow-resource", &["playground", "tidewright"]),
    ("provisioning", &["playground", "tidewright"]),
    ("http-service", &["order-fulfilment", "playground", "tidewright"]),
    (
        "tidewright-cli",
        &[
            "order-fulfilment",
            "tidewright",
            "tidewright-api",
            "tidewright-broker",
            "tidewright-log",
            "tidewright-owner",
            "tidewright-runtime",
            "tidewright-schemas",
            "tidewright-telemetry",
        ],
    ),
];

/// What the pure functions may use of the world's libraries.
const LIBRARIES_OF_THE_CORE: &[&str] = &["postcard", "serde", "serde_json", "sha2", "thiserror", "tidewright-schemas"];

/// A library and the only packages that may name it, tests included.
const ADAPTERS: &[(&str, &[&str])] =
    &[("rdkafka", &["tidewright-log", "conformance"]), ("rocksdb", &["tidewright-store"])];

/// Packages that do no I/O: they build without C++.
const SANS_IO: &[&str] =
    &["tidewright-schemas", "tidewright-core", "tidewright-owner", "tidewright-replay", "simulation"];

#[test]
fn a_package_uses_only_the_layers_below_it() -> Result<()> {
    let manifests = manifests()?;
    for (name, manifest) in manifests.iter().filter(|(_, manifest)| !manifest.path.starts_with("tests/")) {
        let layer = LAYERS.iter().find(|(package, _)| package == name);
        let Some((_, allowed)) = layer else {
            anyhow::bail!("{} has no place in LAYERS: give it one", manifest.path);
        };
        let used = manifest.of_kind(DependencyKind::Normal).chain(manifest.of_kind(DependencyKind::Build));
        let above: Vec<_> = used.filter(|used| manifests.contains_key(*used) && !allowed.contains(used)).collect();
        ensure!(above.is_empty(), "{} must not depend on {above:?}", manifest.path);
    }
    Ok(())
}

#[test]
fn an_adapted_library_is_named_by_its_adapter_only() -> Result<()> {
    for manifest in manifests()?.values() {
        for (library, adapters) in ADAPTERS {
            let names_it = manifest.dependencies.iter().any(|dependency| dependency.package == *library);
            let may = adapters.contains(&manifest.package.as_str());
            ensure!(may || !names_it, "{} names {library}, which is for {adapters:?} only", manifest.path);
        }
    }
    Ok(())
}

#[test]
fn the_core_is_pure() -> Result<()> {
    let manifests = manifests()?;
    let used: BTreeSet<_> = manifests["tidewright-core"].of_kind(DependencyKind::Normal).collect();
    let allowed = LIBRARIES_OF_THE_CORE.iter().copied().collect();
    let more: Vec<_> = used.difference(&allowed).collect();
    ensure!(more.is_empty(), "coordinator/core must do without {more:?}");
    Ok(())
}

#[test]
fn what_does_no_io_builds_without_cpp() -> Result<()> {
    let manifests = manifests()?;
    let adapters = ["rdkafka", "rocksdb", "tidewright-log", "tidewright-store", "tokio"];
    for package in SANS_IO {
        let found = closure(&manifests, package);
        let io: Vec<_> = adapters.iter().filter(|adapter| found.contains(**adapter)).collect();
        ensure!(io.is_empty(), "{package} depends on {io:?}, directly or through others");
    }
    Ok(())
}

#[test]
fn manifests_inherit_what_all_packages_share() -> Result<()> {
    for manifest in manifests()?.values() {
        let inherits = |section: &str, field: Option<&str>| {
            let section = manifest.table.get(section);
            let value = field.map_or(section, |field| section.and_then(|section| section.get(field)));
            value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            ensure!(inherits("package", Some(field)), "{}: write `{field}.workspace = true`", manifest.path);
        }
        ensure!(inherits("lints", None), "{}: write `workspace = true` under [lints]", manifest.path);
    }
    Ok(())
}
