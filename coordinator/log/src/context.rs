//! librdkafka's log lines and global errors as `tracing` events, for every client's context to call.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// One log line. A lost connection is retried by librdkafka and said on every attempt, so it is `debug` here; that all
/// brokers are down comes as a global error and is a warning.
pub(crate) fn trace_line(client: &str, level: RDKafkaLogLevel, facility: &str, line: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    let noisy = matches!(
        facility,
        "FAIL" | "ERROR" | "CONFWARN" | "GETPID" | "REQTMOUT" | "COMMITFAIL" | "PARTCNT" | "CLUSTERID"
    );
    match level {
        _ if noisy => tracing::debug!(client, facility, "{line}"),
        Emerg | Alert | Critical | Error => tracing::error!(client, facility, "{line}"),
        Warning => tracing::warn!(client, facility, "{line}"),
        Notice | Info | Debug => tracing::debug!(client, facility, "{line}"),
    }
}

/// Every client of the process meets the same outage again and again: it is told now and then.
static DOWN_TOLD: NowAndThen = NowAndThen::new(Duration::from_secs(5));

struct NowAndThen {
    last: Mutex<Option<Instant>>,
    interval: Duration,
}

impl NowAndThen {
    const fn new(interval: Duration) -> Self {
        Self { last: Mutex::new(None), interval }
    }

    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= self.interval);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// An error event. librdkafka's wrapper reports here, too, what comes with a partition or a group and reaches the caller
/// as a typed error: that is not said twice.
pub(crate) fn trace_error(client: &str, error: &KafkaError, reason: &str) {
    use RDKafkaErrorCode as C;
    match error.rdkafka_error_code() {
        Some(C::PartitionEOF) => {}
        Some(C::AllBrokersDown) if DOWN_TOLD.is_due() => {
            tracing::warn!(client, "no Kafka broker can be reached: {reason}; trying again");
        }
        Some(C::AllBrokersDown) => {}
        Some(C::Authentication | C::SaslAuthenticationFailed | C::SSL | C::Fatal) => {
            tracing::warn!(client, "{error}: {reason}");
        }
        _ => tracing::debug!(client, "{error}: {reason}"),
    }
}
