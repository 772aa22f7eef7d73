//! `tidewright broker`: the embedded broker alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tidewright_broker::{Broker, BrokerConfig, BrokerError, Storage};

use crate::dev::KAFKA_PORT;
use crate::error::CliError;
use crate::logging;
use crate::node::ReadyLine;
use crate::output::say;
use crate::shutdown::Shutdown;
use crate::state_directory;

/// Options of `tidewright broker`.
#[derive(Debug, Args)]
#[group(id = "storage", required = true, args = ["data_dir", "ephemeral"])]
pub(crate) struct BrokerOptions {
    /// Keep records, topics and offsets in this directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep everything in memory: it is gone when the broker ends
    #[arg(long)]
    ephemeral: bool,
    /// Where it listens; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = KAFKA_PORT)]
    port: u16,
    /// Which address it listens on. It has no authentication: think before you leave 127.0.0.1
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    ip: std::net::IpAddr,
    /// The host name that clients are told to connect to, if it is not the address
    #[arg(long, value_name = "HOST")]
    advertise_host: Option<String>,
}

pub(crate) async fn run(options: BrokerOptions) -> Result<ExitCode, CliError> {
    let shutdown = Shutdown::listen()?;
    if options.ip.is_unspecified() && options.advertise_host.is_none() {
        return Err(CliError::plain(format!("clients cannot connect to {}, which is every address", options.ip))
            .hint("say with --advertise-host under which name or address clients reach this machine")
            .usage());
    }
    let storage = options.data_dir.clone().map_or(Storage::Memory, Storage::Directory);
    let listen = SocketAddr::from((options.ip, options.port));
    let broker = start(storage, listen, options.advertise_host.clone(), "--port").await?;
    let port = broker.address().port();
    let address = options.advertise_host.map_or_else(|| broker.address().to_string(), |host| format!("{host}:{port}"));
    ReadyLine::of_broker(address.clone(), options.data_dir.as_deref().map(state_directory::absolute)).print()?;
    say(&format!("A Kafka broker listens on {address}. Ctrl-C stops it."));
    shutdown.requested().await;
    stop(broker, "--port").await?;
    Ok(ExitCode::SUCCESS)
}

/// Starts a broker; `flag` is what sets its port.
pub(crate) async fn start(
    storage: Storage,
    listen: SocketAddr,
    advertised_host: Option<String>,
    flag: &str,
) -> Result<Broker, CliError> {
    let config = BrokerConfig { listen, storage, advertised_host, ..BrokerConfig::default() };
    Broker::start(config).await.map_err(|e| error(e, flag))
}

/// Stops a broker whose clients in this process are done.
pub(crate) async fn stop(broker: Broker, flag: &str) -> Result<(), CliError> {
    logging::broker_leaves();
    broker.shutdown().await.map_err(|e| error(e, flag))
}

fn error(error: BrokerError, flag: &str) -> CliError {
    match error {
        BrokerError::Listen { address, source } => CliError::address(address, flag, &source),
        other => CliError::coded("TW0705", other.to_string()),
    }
}
