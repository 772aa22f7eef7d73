//! `tidewright broker`: the embedded broker alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use tidewright_broker::{Broker, BrokerConfig, BrokerError, Fsync, Storage};

use crate::dev::KAFKA_PORT;
use crate::error::CliError;
use crate::logging;
use crate::node::ReadyLine;
use crate::output::say;
use crate::shutdown::Shutdown;
use crate::state_directory;

/// As long as a person may not notice, and a thousand times what a sync takes.
const FSYNC_INTERVAL: Duration = Duration::from_millis(100);

/// Options of `tidewright broker`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("storage").args(["data_dir", "ephemeral"]).required(true)))]
pub(crate) struct BrokerOptions {
    /// Keep records, topics and offsets in this directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep everything in memory: it is gone when the broker ends
    #[arg(long)]
    ephemeral: bool,
    /// When records are made to survive a loss of power; the end of this process alone never loses any
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = FsyncPolicy::Every, conflicts_with = "ephemeral")]
    fsync: FsyncPolicy,
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

/// How often the disk is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FsyncPolicy {
    /// Before they are acknowledged: nothing acknowledged is lost, and every request waits for the disk
    Every,
    /// Within 100 ms, without waiting for it: a loss of power takes about that much of what was acknowledged
    Interval,
    /// When the operating system sees fit, as Apache Kafka does: a loss of power may take half a minute
    Os,
}

impl From<FsyncPolicy> for Fsync {
    fn from(policy: FsyncPolicy) -> Self {
        match policy {
            FsyncPolicy::Every => Self::Every,
            FsyncPolicy::Interval => Self::Interval(FSYNC_INTERVAL),
            FsyncPolicy::Os => Self::Os,
        }
    }
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
    let advertised_host = options.advertise_host.clone();
    let fsync = options.fsync.into();
    let config = BrokerConfig { listen, storage, fsync, advertised_host, ..BrokerConfig::default() };
    let broker = start(config, "--port").await?;
    let port = broker.address().port();
    let address = options.advertise_host.map_or_else(|| broker.address().to_string(), |host| format!("{host}:{port}"));
    ReadyLine::of_broker(address.clone(), options.data_dir.as_deref().map(state_directory::absolute)).print()?;
    say(&format!("A Kafka broker listens on {address}. Ctrl-C stops it."));
    shutdown.requested().await;
    stop(broker, "--port").await?;
    Ok(ExitCode::SUCCESS)
}

/// Starts a broker; `flag` is what sets its port.
pub(crate) async fn start(config: BrokerConfig, flag: &str) -> Result<Broker, CliError> {
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
