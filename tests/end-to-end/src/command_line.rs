//! The program, as people use it.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Context as _;

use crate::{World, binaries, processes};

/// `tidewright`, asking the node of a world.
pub struct CommandLine {
    program: PathBuf,
    http_url: String,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CommandLine {
    /// Builds the program, once for all tests of this process.
    pub fn of(world: &World) -> anyhow::Result<Self> {
        static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
        let built = BUILT.get_or_init(|| binaries::build().map_err(|error| format!("{error:#}")));
        built.clone().map_err(anyhow::Error::msg)?;
        Ok(Self { program: binaries::path("tidewright")?, http_url: world.http_url()?.to_owned() })
    }

    /// `tidewright workflow …`.
    pub async fn workflow(&self, arguments: &[impl AsRef<str>]) -> anyhow::Result<Said> {
        let mut command = tokio::process::Command::new(&self.program);
        command.arg("workflow").args(arguments.iter().map(AsRef::as_ref)).args(["--address", &self.http_url]);
        let output = command.env_remove("TIDEWRIGHT_CONFIG").kill_on_drop(true).output();
        let output = tokio::time::timeout(processes::PROCESS_PATIENCE, output).await.context("it does not end")??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}
