//! Options that several commands share.

use clap::Args;
use tidewright_schemas::topics::Topics;
use tidewright_schemas::{RunId, WorkflowId};

use crate::output::Output;

/// Which server, and how its answers are shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    /// The node to ask: any of them answers for all workflows
    #[arg(
        long,
        env = "TIDEWRIGHT_HTTP_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8233",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) address: String,
    /// The namespace
    #[arg(short, long, env = "TIDEWRIGHT_NAMESPACE", default_value = Topics::DEFAULT_NAMESPACE, hide_env_values = true, help_heading = "Server")]
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
