//! Options that several commands share.

use clap::Args;
use tidewright_schemas::{RunId, WorkflowId};

use crate::output::Output;

/// Which server, and how its answers are shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    #[arg(long = "address", help_heading = "Server")]
    pub(crate) http_url: String,
    #[arg(short, long, help_heading = "Server")]
    pub(crate) namespace: String,
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// Which run.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunOptions {
    /// The workflow's id
    #[arg(short, long, value_name = "ID")]
    pub(crate) workflow_id: WorkflowId,
    /// One of its runs; the latest by default
    #[arg(short, long, value_name = "ID", value_parser = |text: &str| Ok::<_, String>(RunId::from_text(text)))]
    pub(crate) run_id: Option<RunId>,
}
