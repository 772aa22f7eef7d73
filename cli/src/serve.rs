//! `tidewright serve`: a node of the engine on a Kafka that is there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidewright_log::KafkaConfig;
use tidewright_runtime::EngineConfig;
use tidewright_schemas::topics::Topics;

use crate::error::CliError;
use crate::node::{self, Node, ReadyLine};
use crate::output::say;
use crate::shutdown::Shutdown;
use crate::{secret, state_directory};

/// Options of `tidewright serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// The brokers, as host:port, several separated by commas
    #[arg(long, env = "TIDEWRIGHT_BROKERS", value_name = "LIST", default_value = KafkaConfig::DEFAULT_BROKERS, hide_env_values = true)]
    brokers: String,
    /// A property for librdkafka, for instance `-X security.protocol=SASL_SSL`; may be repeated. The environment sets
    /// them, too: TIDEWRIGHT_KAFKA_SASL_PASSWORD is `sasl.password`
    #[arg(short = 'X', long = "kafka-property", value_name = "NAME=VALUE", value_parser = property)]
    kafka_properties: Vec<(String, String)>,
    /// A text file with at least 32 characters: the secret that every node of the cluster shares
    #[arg(long, env = "TIDEWRIGHT_SECRET_FILE", value_name = "FILE", hide_env_values = true)]
    secret_file: PathBuf,
    /// Where the node keeps its state. It may be lost at any time, but then the next start takes longer
    #[arg(
        long,
        env = "TIDEWRIGHT_STATE_DIR",
        value_name = "DIR",
        default_value = "tidewright-state",
        hide_env_values = true
    )]
    state_dir: PathBuf,
    /// The namespace
    #[arg(short, long, env = "TIDEWRIGHT_NAMESPACE", default_value = Topics::DEFAULT_NAMESPACE, hide_env_values = true)]
    namespace: String,
    /// What all topic names begin with; it ends in a dot
    #[arg(long, env = "TIDEWRIGHT_TOPIC_PREFIX", value_name = "PREFIX", default_value = Topics::DEFAULT_PREFIX, hide_env_values = true)]
    topic_prefix: String,
    /// The node's id, unique in the cluster; one that stays with the state directory by default
    #[arg(long, env = "TIDEWRIGHT_NODE", value_name = "ID", hide_env_values = true)]
    node: Option<String>,
    /// Where the HTTP API listens. It has no authentication: let only those near who may do everything
    #[arg(
        long,
        env = "TIDEWRIGHT_HTTP_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8233",
        hide_env_values = true
    )]
    http_listen: SocketAddr,
    /// The URL under which workers and other nodes reach this node's HTTP API; http://IP:PORT by default
    #[arg(long, env = "TIDEWRIGHT_ADVERTISE_HTTP", value_name = "URL", hide_env_values = true)]
    advertise_http: Option<String>,
    /// How many partitions the namespace gets if it is new: they bound how many nodes can share it, and never change
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    partitions: u32,
    /// How many partitions a task queue's topics get if they are new: they bound how many workers can share it
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    task_partitions: u32,
    /// How many seconds a node may be silent before others take over its partitions
    #[arg(long, value_name = "SECONDS", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=1_800))]
    session_timeout: u64,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a property is NAME=VALUE, for instance security.protocol=SSL".to_owned()),
    }
}

pub(crate) async fn run(options: ServeOptions) -> Result<ExitCode, CliError> {
    let shutdown = Shutdown::listen()?;
    let listen = options.http_listen;
    let config = options.into_config()?;
    let (brokers, state) = (config.kafka.brokers.clone(), state_directory::absolute(&config.state_directory));
    let ready = |node: &Node| {
        say(&format!("The node is ready: {} on Kafka at {brokers}. Ctrl-C stops it.", node.http_url()));
        ReadyLine::of_node(node, brokers.clone(), Some(state.clone())).print()
    };
    Box::pin(node::run(config, listen, "--http-listen", false, &shutdown, ready)).await?;
    Ok(ExitCode::SUCCESS)
}

impl ServeOptions {
    fn into_config(self) -> Result<EngineConfig, CliError> {
        self.check_url()?;
        let mut kafka = KafkaConfig::from_env();
        kafka.brokers = self.brokers;
        kafka.properties.extend(self.kafka_properties);
        let secret = secret::read(&self.secret_file)?;
        state_directory::make(&self.state_dir)?;
        let node = match self.node {
            Some(node) => node,
            None => state_directory::node_id(&self.state_dir)?,
        };
        Ok(EngineConfig {
            prefix: self.topic_prefix,
            namespace: self.namespace,
            node,
            http_url: self.advertise_http,
            partitions: self.partitions,
            task_partitions: self.task_partitions,
            session_timeout: Duration::from_secs(self.session_timeout),
            ..EngineConfig::new(kafka, secret, self.state_dir)
        })
    }

    fn check_url(&self) -> Result<(), CliError> {
        let say_how =
            "say with --advertise-http http://HOST:PORT under which URL workers and other nodes reach this node";
        match &self.advertise_http {
            Some(url) if !url.starts_with("http://") => {
                Err(CliError::plain(format!("`{url}` is no http:// URL")).hint(say_how).usage())
            }
            None if self.http_listen.ip().is_unspecified() => {
                let problem = format!("others cannot reach {}, which is every address", self.http_listen);
                Err(CliError::plain(problem).hint(say_how).usage())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_a_name_and_a_value() {
        assert_eq!(property("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(property("a.b").is_err());
        assert!(property("=c").is_err());
    }
}
