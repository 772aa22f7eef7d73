//! `tidewright serve`: a node of the engine on a Kafka that is there.

use std::process::ExitCode;

use clap::Args;

use crate::config::Configuration;
use crate::error::CliError;
use crate::node::{self, Node, ReadyLine};
use crate::node_options::NodeOptions;
use crate::output::say;
use crate::shutdown::Shutdown;
use crate::state_directory;

/// Options of `tidewright serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    node: NodeOptions,
}

pub(crate) async fn run(options: ServeOptions, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let shutdown = Shutdown::listen()?;
    let listen = options.node.http_listen;
    let config = options.node.into_config(configuration)?;
    if let Some(path) = configuration.path() {
        tracing::info!(path = %path.display(), "the configuration file");
    }
    let (brokers, state) = (config.kafka.brokers.clone(), state_directory::absolute(&config.state_directory));
    let ready = |node: &Node| {
        say(&format!("The node is ready: {} on Kafka at {brokers}. Ctrl-C stops it.", node.http_url()));
        ReadyLine::of_node(node, brokers.clone(), Some(state.clone())).print()
    };
    Box::pin(node::run(config, listen, "--http-listen", false, &shutdown, ready)).await?;
    Ok(ExitCode::SUCCESS)
}
