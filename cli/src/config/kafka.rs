//! How Kafka is reached: the brokers, and properties that are passed through to librdkafka.

use std::collections::BTreeMap;

use clap::Args;
use tidewright_log::KafkaConfig;

use super::file::property_checked;
use super::show::Origin;
use super::{ConfigFile, Configuration};
use crate::error::CliError;

/// Which Kafka.
#[derive(Debug, Clone, Args)]
pub(crate) struct KafkaOptions {
    #[arg(long)]
    pub(crate) brokers: String,
    /// A property for librdkafka, for instance `-X security.protocol=SASL_SSL`; may be repeated. The environment and the
    /// configuration file set them, too: TIDEWRIGHT_KAFKA_SASL_PASSWORD is `sasl.password`, which in the file stands
    /// below [kafka]
    #[arg(short = 'X', long = "kafka-property", value_name = "NAME=VALUE", value_parser = property)]
    kafka_properties: Vec<(String, String)>,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a property is NAME=VALUE, for instance security.protocol=SSL".to_owned()),
    }
}

/// A property with what gave it.
pub(super) type Property = (String, Origin);

impl KafkaOptions {
    /// What every client is told.
    pub(crate) fn config(&self, configuration: &Configuration) -> Result<KafkaConfig, CliError> {
        let mut kafka = KafkaConfig::new(&self.brokers);
        for (name, (value, _)) in self.properties(configuration.file.as_ref())? {
            if name == "client.id" {
                kafka.client_id = value;
            } else {
                kafka.properties.insert(name, value);
            }
        }
        Ok(kafka)
    }

    /// The properties by name, each checked.
    pub(super) fn properties(&self, file: Option<&ConfigFile>) -> Result<BTreeMap<String, Property>, CliError> {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        self.merged(file, variables)
    }

    fn merged(
        &self,
        file: Option<&ConfigFile>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<BTreeMap<String, Property>, CliError> {
        let mut properties = BTreeMap::new();
        for (file, (name, value)) in file.into_iter().flat_map(|file| std::iter::repeat(file).zip(&file.kafka)) {
            let origin = Origin::File { path: file.path.clone(), line: value.line };
            properties.insert(name.clone(), (value.text.clone(), origin));
        }
        for (variable, value) in variables {
            let Some(name) = KafkaConfig::property_of_variable(&variable) else { continue };
            property_checked(&format!("the variable {variable}"), &name, &value)?;
            properties.insert(name, (value, Origin::Variable(variable)));
        }
        for (name, value) in &self.kafka_properties {
            property_checked(&format!("-X {name}"), name, value)?;
            properties.insert(name.clone(), (value.clone(), Origin::Flag("-X".to_owned())));
        }
        Ok(properties)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_property_is_a_name_and_a_value() {
        assert_eq!(property("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(property("a.b").is_err());
        assert!(property("=c").is_err());
    }

    fn options(flags: &[(&str, &str)]) -> KafkaOptions {
        let kafka_properties = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        KafkaOptions { brokers: "a:1".to_owned(), kafka_properties }
    }

    #[test]
    fn flags_win_over_variables_and_those_over_the_file() {
        let text = "[kafka]\nsasl.username = 'file'\nsasl.mechanism = 'PLAIN'\nclient.id = 'file'\n";
        let file = ConfigFile::parse(Path::new("f.toml"), text).unwrap();
        let variables = [("TIDEWRIGHT_KAFKA_SASL_USERNAME", "variable"), ("TIDEWRIGHT_KAFKA_CLIENT_ID", "variable")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let merged = options(&[("client.id", "flag")]).merged(Some(&file), variables.into_iter()).unwrap();
        let values: Vec<_> = merged.iter().map(|(name, (value, _))| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, [("client.id", "flag"), ("sasl.mechanism", "PLAIN"), ("sasl.username", "variable")]);
    }

    #[test]
    fn what_the_protocol_fixes_is_refused_wherever_it_stands() {
        let error = options(&[("acks", "1")]).merged(None, std::iter::empty()).unwrap_err().text();
        assert!(error.contains("TW0723") && error.contains("-X acks"), "{error}");
        let variable = [("TIDEWRIGHT_KAFKA_ISOLATION_LEVEL".to_owned(), "read_uncommitted".to_owned())];
        let error = options(&[]).merged(None, variable.into_iter()).unwrap_err().text();
        assert!(error.contains("TIDEWRIGHT_KAFKA_ISOLATION_LEVEL"), "{error}");
    }
}
