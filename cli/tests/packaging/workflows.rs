//! The workflows against the tree.

use anyhow::{Context as _, Result, ensure};
use serde_yaml_ng::Value;

use crate::files::{check_shell, entries, texts, yaml};
use crate::program;

fn steps(path: &str) -> Result<Vec<Value>> {
    let workflow = yaml(path)?;
    let jobs = entries(&workflow["jobs"]).into_iter().map(|(_, job)| job["steps"].clone());
    let steps: Vec<Value> = jobs.flat_map(|steps| steps.as_sequence().cloned().unwrap_or_default()).collect();
    ensure!(!steps.is_empty(), "{path} has no steps");
    Ok(steps)
}

#[test]
fn workflows_run_what_is_there() -> Result<()> {
    for path in [".github/workflows/ci.yml", ".github/workflows/release.yml"] {
        for step in steps(path)? {
            if let Some(action) = step["uses"].as_str() {
                let version = action.split_once('@').map(|(_, version)| version).unwrap_or_default();
                ensure!(version.contains(|c: char| c.is_ascii_digit()), "{path}: {action} is not pinned");
            }
            if let Some(script) = step["run"].as_str() {
                check_shell(script).with_context(|| path.to_owned())?;
                let of_program = script.split_once("/bin/tidewright ").map(|(_, arguments)| arguments);
                if let Some(arguments) = of_program {
                    program::check_arguments(&arguments.split_whitespace().collect::<Vec<_>>())?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn ci_is_the_script_that_anyone_can_run() -> Result<()> {
    let steps = steps(".github/workflows/ci.yml")?;
    ensure!(steps.iter().any(|step| step["run"] == ".ci/run"), "the workflow does not run .ci/run");
    Ok(())
}

#[test]
fn a_release_is_made_of_a_tag_for_linux_and_macos() -> Result<()> {
    let release = yaml(".github/workflows/release.yml")?;
    ensure!(texts(&release["on"]["push"]["tags"]) == ["v*"], "a release is not made of a tag");
    let builds = release["jobs"]["build"]["strategy"]["matrix"]["include"].as_sequence().cloned().unwrap_or_default();
    for target in ["x86_64-unknown-linux", "aarch64-unknown-linux", "x86_64-apple", "aarch64-apple"] {
        let is_built = builds.iter().any(|build| build["target"].as_str().is_some_and(|t| t.starts_with(target)));
        ensure!(is_built, "nothing is built for {target}");
    }
    Ok(())
}
