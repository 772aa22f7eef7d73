//! `tidewright dev`: broker, engine and HTTP API in one process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tempfile::TempDir;
use tidewright_broker::{BrokerConfig, Storage};
use tidewright_log::KafkaConfig;
use tidewright_owner::trust::Secret;
use tidewright_runtime::EngineConfig;

use crate::broker::{self, FsyncPolicy};
use crate::error::CliError;
use crate::node::{self, Node, ReadyLine};
use crate::output::say;
use crate::shutdown::Shutdown;
use crate::{secret, state_directory};

/// The port that Kafka clients try by themselves.
pub(crate) const KAFKA_PORT: u16 = 9092;
/// The port that the command line tries by itself.
pub(crate) const HTTP_PORT: u16 = 8233;

/// Options of `tidewright dev`.
#[derive(Debug, Args)]
pub(crate) struct DevOptions {
    /// Keep everything in this directory, from one start to the next
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data_dir: Option<PathBuf>,
    /// Keep nothing (the default without --data-dir)
    #[arg(long)]
    ephemeral: bool,
    /// When records in the directory are made to survive a loss of power; the end of this process alone never loses any
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = FsyncPolicy::Interval)]
    fsync: FsyncPolicy,
    /// Where the Kafka broker listens; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = KAFKA_PORT)]
    kafka_port: u16,
    /// Where the HTTP API listens; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = HTTP_PORT)]
    http_port: u16,
    #[arg(short, long)]
    namespace: String,
}

/// Where a development server keeps what it has.
pub(crate) struct Home {
    pub(crate) storage: Storage,
    pub(crate) secret: Secret,
    pub(crate) state: PathBuf,
    /// Deleted when it is dropped.
    _temporary: Option<TempDir>,
}

impl Home {
    pub(crate) fn in_directory(directory: &Path) -> Result<Self, CliError> {
        state_directory::make(directory)?;
        let state = directory.join("state");
        state_directory::make(&state)?;
        let storage = Storage::Directory(directory.join("broker"));
        Ok(Self { storage, secret: secret::read_or_make(&directory.join("secret"))?, state, _temporary: None })
    }

    pub(crate) fn temporary() -> Result<Self, CliError> {
        let temporary = tempfile::Builder::new().prefix("tidewright-").tempdir();
        let temporary = temporary.map_err(|e| CliError::directory(&std::env::temp_dir(), e))?;
        let state = temporary.path().to_owned();
        Ok(Self { storage: Storage::Memory, secret: secret::ephemeral()?, state, _temporary: Some(temporary) })
    }
}

pub(crate) async fn run(options: DevOptions) -> Result<ExitCode, CliError> {
    let shutdown = Shutdown::listen()?;
    let home = match &options.data_dir {
        Some(directory) => Home::in_directory(directory)?,
        None => Home::temporary()?,
    };
    let listen = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let broker = BrokerConfig {
        listen: listen(options.kafka_port),
        storage: home.storage.clone(),
        fsync: options.fsync.into(),
        ..BrokerConfig::default()
    };
    let broker = broker::start(broker, "--kafka-port").await?;
    let kafka = broker.address().to_string();
    let mut config = EngineConfig::new(KafkaConfig::new(&kafka), home.secret.clone(), &home.state);
    config.namespace.clone_from(&options.namespace);
    "dev".clone_into(&mut config.node);
    let data_dir = options.data_dir.as_deref().map(state_directory::absolute);
    let ready = |node: &Node| {
        welcome(node, &kafka, data_dir.as_deref());
        ReadyLine::of_node(node, kafka.clone(), data_dir.clone()).print()
    };
    let outcome = Box::pin(node::run(config, listen(options.http_port), "--http-port", true, &shutdown, ready)).await;
    let stopped = broker::stop(broker, "--kafka-port").await;
    outcome.and(stopped).map(|()| ExitCode::SUCCESS)
}

fn welcome(node: &Node, kafka: &str, data_dir: Option<&Path>) {
    let kept = match data_dir {
        Some(directory) => format!("in {}", directory.display()),
        None => "nothing: all is gone when this ends; --data-dir DIR keeps it".to_owned(),
    };
    let mut variables = format!("TIDEWRIGHT_BROKERS={kafka}");
    if node.http_url() != format!("http://127.0.0.1:{HTTP_PORT}") {
        variables.push_str(&format!(" TIDEWRIGHT_HTTP_URL={}", node.http_url()));
    }
    say(&format!(
        "\nTidewright is ready.\n  Kafka     {kafka}\n  HTTP API  {}\n  kept      {kept}\n  workers and commands find it with\n            \
         export {variables}\nCtrl-C stops it.\n",
        node.http_url()
    ));
}
