//! The settings of commands that look at a namespace's topics themselves, without a node.

use clap::Args;
use tidewright_log::{Admin, KafkaConfig};
use tidewright_schemas::topics::Topics;

use crate::config::{Configuration, KafkaOptions};
use crate::error::CliError;
use crate::output::Output;

/// Which namespace on which Kafka, and how it is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct NamespaceOptions {
    #[command(flatten)]
    kafka: KafkaOptions,
    #[arg(short, long)]
    namespace: String,
    #[arg(long)]
    topic_prefix: String,
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// A namespace's topics, and how to reach them.
pub(crate) struct Namespace {
    pub(crate) kafka: KafkaConfig,
    pub(crate) topics: Topics,
    pub(crate) admin: Admin,
}

impl NamespaceOptions {
    pub(crate) fn open(&self, configuration: &Configuration) -> Result<Namespace, CliError> {
        let kafka = self.kafka.config(configuration)?;
        let topics = Topics::new(&self.topic_prefix, &self.namespace)
            .map_err(|e| CliError::coded("TW0501", e.to_string()).usage())?;
        let admin = Admin::new(&kafka).map_err(CliError::kafka)?;
        Ok(Namespace { kafka, topics, admin })
    }
}
