//! What Tidewright is built of may be passed on with it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use repository::root;
use serde_json::Value;

/// Licences that ask for no more than their notice.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression leaves a permissive choice in each of the parts that it joins.
fn is_permissive(expression: &str) -> bool {
    expression.split(" AND ").all(|part| {
        let choices = part.trim_matches(['(', ')']).split(" OR ").flat_map(|choice| choice.split('/'));
        choices.map(str::trim).any(|choice| PERMISSIVE.contains(&choice))
    })
}

/// The platform that this was built for, as rustc names it.
fn host() -> Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("-vV").output().context("rustc does not run")?;
    let about = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

#[test]
fn every_dependency_has_a_permissive_licence() -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // Whoever runs this test has built it, so everything is there that this platform needs, and nothing else for sure.
    let arguments = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform"];
    let metadata = Command::new(cargo).args(arguments).arg(host()?).current_dir(root()).output();
    let output = metadata.context("cargo does not run")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    ensure!(packages.len() > 50, "only {} packages were found", packages.len());
    for package in packages {
        let (name, licence) = (&package["name"], package["license"].as_str());
        let licence = licence.with_context(|| format!("{name} names no licence: look at it, and do without it"))?;
        ensure!(is_permissive(licence), "{name} is licensed as {licence}, which may not be passed on with Tidewright");
    }
    Ok(())
}

#[test]
fn expressions_are_understood() {
    for good in ["MIT", "MIT/Apache-2.0", "MIT OR LGPL-2.1-or-later", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert!(is_permissive(good), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR LGPL-2.1) AND MIT", ""] {
        assert!(!is_permissive(bad), "{bad}");
    }
}
