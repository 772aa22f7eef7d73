//! librdkafka's properties as operators set them: which are passed through, which the protocol fixes, which are secret.

use rdkafka::ClientConfig;

const ORDER: &str =
    "histories must have neither gaps nor repeats, and their records must be in the order in which they were sent";
const OFFSETS: &str = "an offset is committed only when what became of its record is known";
const GROUPS: &str = "groups are named as their topics and hand over partitions one by one";
const LATENCY: &str = "it is paid on every hop of every workflow";
const MEMORY: &str = "memory and backpressure are bounded by it";

/// Properties that promises rest on, with the reason for each.
const FIXED: &[(&str, &str)] = &[
    ("acks", ORDER),
    ("request.required.acks", ORDER),
    ("enable.idempotence", ORDER),
    ("enable.gapless.guarantee", ORDER),
    ("max.in.flight", ORDER),
    ("max.in.flight.requests.per.connection", ORDER),
    ("retries", ORDER),
    ("message.send.max.retries", ORDER),
    ("message.timeout.ms", ORDER),
    ("delivery.timeout.ms", ORDER),
    ("transactional.id", "history is fenced by claims, not by transactions"),
    ("partitioner", "a workflow's records must be in the partition that its id gives"),
    ("linger.ms", LATENCY),
    ("queue.buffering.max.ms", LATENCY),
    ("fetch.min.bytes", LATENCY),
    ("enable.auto.commit", OFFSETS),
    ("auto.commit.interval.ms", OFFSETS),
    ("auto.commit.enable", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("auto.offset.reset", "what is not there must stop a partition instead of being skipped"),
    ("isolation.level", "records of transactions that were not committed must not be decided"),
    ("enable.partition.eof", "readers have to know where a partition ends"),
    ("allow.auto.create.topics", "a topic that brokers make by themselves has the wrong settings"),
    ("group.id", GROUPS),
    ("group.instance.id", GROUPS),
    ("group.protocol", GROUPS),
    ("partition.assignment.strategy", GROUPS),
    ("session.timeout.ms", "the setting `session_timeout` sets it"),
    ("heartbeat.interval.ms", "it follows from how fast partitions are to be handed over"),
    ("bootstrap.servers", "the setting `brokers` sets it"),
    ("metadata.broker.list", "the setting `brokers` sets it"),
    ("statistics.interval.ms", "contact with the group is measured by it"),
    ("message.max.bytes", MEMORY),
    ("queue.buffering.max.messages", MEMORY),
    ("queued.min.messages", MEMORY),
    ("queued.max.messages.kbytes", MEMORY),
];

/// What operators set most, for suggestions.
const COMMON: &[&str] = &[
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.kerberos.service.name",
    "sasl.kerberos.principal",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.endpoint.identification.algorithm",
    "ssl.cipher.suites",
    "enable.ssl.certificate.verification",
    "client.id",
    "client.rack",
    "client.dns.lookup",
    "compression.type",
    "compression.codec",
    "socket.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "broker.address.family",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "fetch.wait.max.ms",
    "debug",
];

/// Why a property cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// Promises rest on it.
    #[error("the Kafka property `{name}` cannot be set: {reason}")]
    Fixed {
        /// Its name.
        name: String,
        /// What rests on it.
        reason: &'static str,
    },
    /// librdkafka knows no such property, or not this value of it.
    #[error("the Kafka property `{name}` cannot be used: {problem}")]
    Invalid {
        /// Its name.
        name: String,
        /// What librdkafka says.
        problem: String,
    },
}

impl PropertyError {
    /// Stable code; see `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fixed { .. } => "TW0723",
            Self::Invalid { .. } => "TW0724",
        }
    }
}

/// Whether a property may be set, and to this value.
pub fn check_property(name: &str, value: &str) -> Result<(), PropertyError> {
    refuse_fixed(name)?;
    let mut alone = ClientConfig::new();
    alone.set(name, value);
    match alone.create_native_config() {
        Ok(_) => Ok(()),
        Err(error) => Err(PropertyError::Invalid { name: name.to_owned(), problem: said(&error.to_string()) }),
    }
}

pub(crate) fn refuse_fixed(name: &str) -> Result<(), PropertyError> {
    match FIXED.iter().find(|(fixed, _)| *fixed == name) {
        Some((_, reason)) => Err(PropertyError::Fixed { name: name.to_owned(), reason }),
        None => Ok(()),
    }
}

/// librdkafka's own words, without the value, which may be a password.
fn said(error: &str) -> String {
    let is_unknown = error.contains("No such configuration property");
    if is_unknown { "librdkafka knows no such property" } else { "librdkafka does not take this value for it" }
        .to_owned()
}

/// The properties that promises rest on, with the reason for each.
pub fn fixed_properties() -> impl Iterator<Item = (&'static str, &'static str)> {
    FIXED.iter().copied()
}

/// The properties that operators set most, for suggestions.
pub fn common_properties() -> impl Iterator<Item = &'static str> {
    COMMON.iter().copied()
}

/// Whether a property's value must not be shown.
#[must_use]
pub fn is_secret_property(name: &str) -> bool {
    ["password", "secret", ".key.pem", "sasl.oauthbearer.config", "sasl.jaas.config"]
        .iter()
        .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_promises_rest_on_is_refused_with_the_reason() {
        let error = check_property("acks", "1").unwrap_err();
        assert_eq!(error.code(), "TW0723");
        assert!(error.to_string().contains("neither gaps nor repeats"), "{error}");
    }

    #[test]
    fn what_librdkafka_does_not_know_is_refused_without_telling_the_value() {
        let error = check_property("sasl.pasword", "hunter2").unwrap_err();
        assert_eq!(error.code(), "TW0724");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(check_property("socket.timeout.ms", "soon").is_err());
        assert_eq!(check_property("sasl.password", "hunter2"), Ok(()));
    }

    #[test]
    fn what_is_suggested_exists_and_is_not_fixed() {
        for name in common_properties() {
            assert_eq!(refuse_fixed(name), Ok(()));
            let error = check_property(name, "\u{1}").err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("no such property"), "{name}: {error}");
        }
    }

    #[test]
    fn passwords_are_secret() {
        assert!(is_secret_property("sasl.password") && is_secret_property("ssl.key.pem"));
        assert!(!is_secret_property("sasl.username"));
    }
}
