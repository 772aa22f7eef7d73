//! Running the example's programs.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;

const PYTHON: &str = "TIDEWRIGHT_TEST_PYTHON";
/// Makes a missing Python a failure instead of a reason to skip.
const REQUIRE: &str = "TIDEWRIGHT_REQUIRE_PYTHON";
/// How long a program of the example may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// A Python that has what the example needs.
pub struct Python {
    interpreter: PathBuf,
    example: PathBuf,
}

impl Python {
    /// The one that was given. Without one it says that the test is skipped, or fails if one is required.
    pub fn given() -> anyhow::Result<Option<Self>> {
        let Some(interpreter) = std::env::var_os(PYTHON).filter(|path| !path.is_empty()) else {
            ensure!(std::env::var_os(REQUIRE).is_none(), "{REQUIRE} is set, and {PYTHON} names no Python");
            println!("skipped: {PYTHON} names no Python; `{PYTHON}=$(scripts/python-venv) cargo test …` runs it");
            return Ok(None);
        };
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python-history-reader");
        Ok(Some(Self { interpreter: interpreter.into(), example }))
    }

    /// Runs a program in the example's folder until it ends.
    pub async fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Output> {
        let running = Command::new(&self.interpreter)
            .args(arguments)
            .envs(variables.iter().copied())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&self.example)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, running).await;
        let output = output.with_context(|| format!("{arguments:?} does not end"))?;
        output.with_context(|| format!("{} does not run", self.interpreter.display()))
    }

    /// Runs a program that must succeed; what it wrote to stdout.
    pub async fn stdout(&self, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<String> {
        let output = self.run(arguments, variables).await?;
        let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{arguments:?} ended with {}:\n{stdout}{stderr}", output.status);
        Ok(stdout)
    }

    /// A workflow's story as JSON.
    pub async fn story(&self, workflow_id: &str, variables: &[(&str, &str)]) -> anyhow::Result<Value> {
        let arguments = ["story.py", "--workflow-id", workflow_id, "--output", "json"];
        Ok(serde_json::from_str(&self.stdout(&arguments, variables).await?)?)
    }
}
