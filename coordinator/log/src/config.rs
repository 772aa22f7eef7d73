//! How to reach Kafka, and how each kind of client is set up.
//!
//! A user's properties win over our defaults, but not over those that a client's promises rest on: such a property is
//! refused with the reason.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::error::LogError;
use crate::properties::refuse_fixed;

const BROKERS_VARIABLE: &str = "TIDEWRIGHT_BROKERS";
const PROPERTY_VARIABLE_PREFIX: &str = "TIDEWRIGHT_KAFKA_";

/// Where the brokers are and what librdkafka is told besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Names this process in the brokers' logs, metrics and quotas.
    pub client_id: String,
    /// Passed through to librdkafka (security, compression, …).
    pub properties: BTreeMap<String, String>,
}

impl KafkaConfig {
    /// Brokers when none are configured.
    pub const DEFAULT_BROKERS: &'static str = "127.0.0.1:9092";

    /// A configuration without further properties.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), client_id: "tidewright".to_owned(), properties: BTreeMap::new() }
    }

    /// The same under another client id.
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// The same with another property.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Reads `TIDEWRIGHT_BROKERS` and each `TIDEWRIGHT_KAFKA_<PROPERTY>`, whose underscores stand for dots:
    /// `TIDEWRIGHT_KAFKA_SASL_MECHANISM` is `sasl.mechanism`.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    /// As [`Self::from_env`], from given variables.
    #[must_use]
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut config = Self::new(Self::DEFAULT_BROKERS);
        for (name, value) in variables {
            if name == BROKERS_VARIABLE && !value.is_empty() {
                config.brokers = value;
            } else if let Some(property) = Self::property_of_variable(&name) {
                config.properties.insert(property, value);
            }
        }
        if let Some(client_id) = config.properties.remove("client.id") {
            config.client_id = client_id;
        }
        config
    }

    /// The property that a variable sets, if it is one of `TIDEWRIGHT_KAFKA_*`.
    #[must_use]
    pub fn property_of_variable(variable: &str) -> Option<String> {
        Some(variable.strip_prefix(PROPERTY_VARIABLE_PREFIX)?.to_ascii_lowercase().replace('_', "."))
    }

    /// librdkafka's configuration for one client: `defaults` give way to the user's properties, `required` do not.
    pub(crate) fn client(
        &self,
        defaults: &[(&str, String)],
        required: &[(&str, String)],
    ) -> Result<ClientConfig, LogError> {
        for name in self.properties.keys() {
            refuse_fixed(name)?;
        }
        let mut client = ClientConfig::new();
        // A new topic, a moved leader or a restarted broker is found within a fraction of a second.
        client
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("topic.metadata.refresh.fast.interval.ms", "50")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("retry.backoff.ms", "50")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true");
        for (name, value) in defaults {
            client.set(*name, value);
        }
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        for (name, value) in required {
            client.set(*name, value);
        }
        client.set("bootstrap.servers", &self.brokers).set("client.id", &self.client_id);
        client.set_log_level(RDKafkaLogLevel::Info);
        Ok(client)
    }
}

/// A property with its value as text.
pub(crate) fn property(name: &'static str, value: impl ToString) -> (&'static str, String) {
    (name, value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_brokers_and_properties() {
        let variables = [
            ("TIDEWRIGHT_BROKERS", "a:1,b:2"),
            ("TIDEWRIGHT_KAFKA_SASL_MECHANISM", "PLAIN"),
            ("TIDEWRIGHT_KAFKA_CLIENT_ID", "me"),
            ("HOME", "/"),
        ];
        let config = KafkaConfig::from_variables(variables.map(|(k, v)| (k.to_owned(), v.to_owned())));
        let expected = KafkaConfig::new("a:1,b:2").with_client_id("me").with_property("sasl.mechanism", "PLAIN");
        assert_eq!(config, expected);
    }

    #[test]
    fn a_property_wins_over_a_default_but_not_over_a_promise() {
        let config = KafkaConfig::new("a:1").with_property("fetch.wait.max.ms", "7");
        let client = config.client(&[property("fetch.wait.max.ms", 0)], &[property("acks", "all")]).unwrap();
        assert_eq!(client.get("fetch.wait.max.ms"), Some("7"));
        assert_eq!(client.get("acks"), Some("all"));
        let error = config.with_property("acks", "1").client(&[], &[]).unwrap_err();
        assert!(error.to_string().contains("`acks`"), "{error}");
    }
}
