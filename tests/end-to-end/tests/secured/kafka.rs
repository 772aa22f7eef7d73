//! The Kafka that asks who somebody is, and its users.

use anyhow::bail;
use tidewright_log::KafkaConfig;

pub const ADMIN: &str = "admin";
pub const ENGINE: &str = "engine";
pub const WORKER: &str = "worker";
pub const PASSWORD: &str = "secret";

/// Where it is. Without it a test is skipped, with a message.
pub fn brokers() -> anyhow::Result<Option<String>> {
    match std::env::var("TIDEWRIGHT_TEST_SASL_BROKERS") {
        Ok(brokers) if brokers.is_empty() => bail!("TIDEWRIGHT_TEST_SASL_BROKERS is empty"),
        Ok(brokers) => Ok(Some(brokers)),
        Err(_) => {
            eprintln!(
                "skipped: TIDEWRIGHT_TEST_SASL_BROKERS names no Kafka with an authorizer; scripts/test-kafka starts one"
            );
            Ok(None)
        }
    }
}

/// The variables by which a program comes as a user.
pub fn variables(brokers: &str, user: &str) -> Vec<(&'static str, String)> {
    vec![
        ("TIDEWRIGHT_BROKERS", brokers.to_owned()),
        ("TIDEWRIGHT_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT".to_owned()),
        ("TIDEWRIGHT_KAFKA_SASL_MECHANISM", "PLAIN".to_owned()),
        ("TIDEWRIGHT_KAFKA_SASL_USERNAME", user.to_owned()),
        ("TIDEWRIGHT_KAFKA_SASL_PASSWORD", PASSWORD.to_owned()),
    ]
}

/// How code in this process comes as a user: by the same variables.
pub fn as_user(brokers: &str, user: &str) -> KafkaConfig {
    KafkaConfig::from_variables(variables(brokers, user).into_iter().map(|(name, value)| (name.to_owned(), value)))
}
