//! The settings of a node, for `serve` to run one and for others to know how it would be run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidewright_owner::Limits;
use tidewright_runtime::EngineConfig;

use crate::config::kind::{duration, size};
use crate::config::{Configuration, KafkaOptions};
use crate::error::CliError;
use crate::{secret, state_directory};

/// The settings of a node; `config/settings.rs` says what each means.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeOptions {
    #[command(flatten)]
    pub(crate) kafka: KafkaOptions,
    #[arg(long)]
    secret_file: Option<PathBuf>,
    #[arg(long)]
    state_dir: PathBuf,
    #[arg(short, long)]
    namespace: String,
    #[arg(long)]
    topic_prefix: String,
    #[arg(long)]
    node: Option<String>,
    #[arg(long)]
    pub(crate) http_listen: SocketAddr,
    #[arg(long)]
    advertise_http: Option<String>,
    #[arg(long)]
    partitions: u32,
    #[arg(long)]
    task_partitions: u32,
    #[arg(long, value_parser = duration)]
    session_timeout: Duration,
    #[arg(long, value_parser = duration)]
    worker_silence: Duration,
    #[arg(long, value_parser = duration)]
    command_window: Duration,
    #[arg(long, value_parser = size)]
    state_cache: u64,
    #[arg(long, value_parser = size)]
    state_write_buffer: u64,
}

impl NodeOptions {
    /// What the engine is told. Makes the state directory.
    pub(crate) fn into_config(self, configuration: &Configuration) -> Result<EngineConfig, CliError> {
        self.check_url()?;
        let kafka = self.kafka.config(configuration)?;
        let secret = secret::read(self.secret_file.as_deref().ok_or_else(CliError::secret_missing)?)?;
        state_directory::make(&self.state_dir)?;
        let node = match self.node {
            Some(node) => node,
            None => state_directory::node_id(&self.state_dir)?,
        };
        let window_ms = u64::try_from(self.command_window.as_millis()).unwrap_or(u64::MAX);
        let bytes = |size| usize::try_from(size).unwrap_or(usize::MAX);
        Ok(EngineConfig {
            prefix: self.topic_prefix,
            namespace: self.namespace,
            node,
            http_url: self.advertise_http,
            partitions: self.partitions,
            task_partitions: self.task_partitions,
            session_timeout: self.session_timeout,
            worker_silence: self.worker_silence,
            state_cache_bytes: bytes(self.state_cache),
            state_write_buffer_bytes: bytes(self.state_write_buffer),
            limits: Limits { command_window_ms: window_ms, ..Limits::default() },
            ..EngineConfig::new(kafka, secret, self.state_dir)
        })
    }

    fn check_url(&self) -> Result<(), CliError> {
        if self.advertise_http.is_none() && self.http_listen.ip().is_unspecified() {
            let problem = format!("others cannot reach {}, which is every address", self.http_listen);
            let hint =
                "say with --advertise-http http://HOST:PORT under which URL workers and other nodes reach this node";
            return Err(CliError::plain(problem).hint(hint).usage());
        }
        Ok(())
    }
}
