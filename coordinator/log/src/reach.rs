//! Whether the brokers can be reached, and if not, why: what librdkafka otherwise only logs while it tries again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext};

use crate::config::{KafkaConfig, property};
use crate::error::{LogError, client_error};

/// How long one try may take.
const TRY: Duration = Duration::from_secs(2);

/// Why the brokers do not answer as Kafka does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// Who this is, is not believed.
    #[error("{0}")]
    Authentication(String),
    /// TLS fails.
    #[error("{0}")]
    Tls(String),
    /// Something else; what was said last.
    #[error("{0}")]
    NoAnswer(String),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] LogError),
}

/// A code and what was said.
type Report = (Option<RDKafkaErrorCode>, String);

/// What librdkafka reports.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Report>>>);

impl Reports {
    fn add(&self, error: &KafkaError, reason: &str) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push((error.rdkafka_error_code(), reason.to_owned()));
    }

    /// What says most, so far.
    fn verdict(&self) -> Option<Unreached> {
        use RDKafkaErrorCode as C;
        let reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reports.iter().find_map(|(code, reason)| match code {
            Some(C::Authentication | C::SaslAuthenticationFailed | C::UnsupportedSASLMechanism) => {
                Some(Unreached::Authentication(reason.clone()))
            }
            Some(C::SSL) => Some(Unreached::Tls(reason.clone())),
            None if reason.contains("SSL handshake failed") => Some(Unreached::Tls(reason.clone())),
            _ => None,
        })
    }

    fn last(&self) -> Option<String> {
        let reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What the log says comes without a code, and says more.
        let told = reports.iter().rev().find(|(code, _)| code.is_none()).or(reports.last());
        told.map(|(_, reason)| reason.clone())
    }
}

impl ClientContext for Reports {
    /// Why a connection failed is said here in more detail than in the error that follows.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        if facility == "FAIL" {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((None, line.to_owned()));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.add(&error, reason);
    }
}

impl ConsumerContext for Reports {}

/// Asks any broker for the cluster's metadata, and goes on asking for at most `patience`.
pub async fn reach(config: &KafkaConfig, patience: Duration) -> Result<(), Unreached> {
    // A consumer never lets brokers create topics, and joins nothing until it subscribes.
    let required = [property("group.id", "tidewright.doctor"), property("allow.auto.create.topics", false)];
    let client = config.client(&[], &required)?;
    let asked = tokio::task::spawn_blocking(move || ask(&client, patience)).await;
    asked.unwrap_or_else(|gone| Err(Unreached::NoAnswer(gone.to_string())))
}

fn ask(config: &ClientConfig, patience: Duration) -> Result<(), Unreached> {
    let reports = Reports::default();
    let created: Result<BaseConsumer<Reports>, _> = config.create_with_context(reports.clone());
    let client = created.map_err(|error| client_error(&error))?;
    let began = Instant::now();
    loop {
        let answer = client.fetch_metadata(None, TRY);
        // Errors are events, which a poll hands to the context; some come back from the poll itself.
        while let Some(event) = client.poll(Duration::ZERO) {
            if let Err(error) = event {
                reports.add(&error, &error.to_string());
            }
        }
        let Err(error) = answer else { return Ok(()) };
        if let Some(verdict) = reports.verdict() {
            return Err(verdict);
        }
        if began.elapsed() > patience {
            return Err(Unreached::NoAnswer(reports.last().unwrap_or_else(|| error.to_string())));
        }
    }
}
