//! Whether the brokers can be reached: names, connections, TLS, credentials, each told apart.

use std::time::Duration;

use tidewright_log::{KafkaConfig, Unreached};
use tokio::net::{TcpStream, lookup_host};

use super::finding::{Finding, Report};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_PORT: &str = "9092";

/// Whether it makes sense to look further.
pub(super) async fn check(kafka: &KafkaConfig, patience: Duration, report: &mut Report) -> bool {
    let mut reached = 0;
    for broker in kafka.brokers.split(',').map(str::trim).filter(|broker| !broker.is_empty()) {
        match connect(broker).await {
            Ok(()) => reached += 1,
            Err(finding) => report.add(finding),
        }
    }
    if reached == 0 {
        return false;
    }
    match tidewright_log::reach(kafka, patience).await {
        Ok(()) => {
            report.add(Finding::ok(format!("the brokers at {} answer", kafka.brokers)));
            true
        }
        Err(unreached) => {
            report.add(refusal(&unreached, kafka));
            false
        }
    }
}

/// A name and a connection. One of several brokers may be away, which is no more than a warning by itself.
async fn connect(broker: &str) -> Result<(), Finding> {
    let address = if broker.contains(':') { broker.to_owned() } else { format!("{broker}:{DEFAULT_PORT}") };
    let resolved = match lookup_host(&address).await {
        Ok(resolved) => resolved.collect::<Vec<_>>(),
        Err(error) => {
            return Err(Finding::error("TW0801", format!("the name of broker {broker} cannot be resolved: {error}"))
                .why("nothing can be asked of a broker whose address is not known")
                .fix("correct `brokers` (--brokers, TIDEWRIGHT_BROKERS), or this machine's DNS"));
        }
    };
    let mut problem = "its name has no address".to_owned();
    for address in resolved {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => problem = format!("{address}: {error}"),
            Err(_) => problem = format!("{address}: no answer within {CONNECT_TIMEOUT:?}"),
        }
    }
    Err(Finding::error("TW0802", format!("broker {broker} cannot be connected to: {problem}"))
        .why("the broker is down, a firewall is in between, or the port is another one")
        .fix("start the broker, open the way to it, or correct `brokers` (--brokers, TIDEWRIGHT_BROKERS)"))
}

fn refusal(unreached: &Unreached, kafka: &KafkaConfig) -> Finding {
    let protocol = kafka.properties.get("security.protocol").map_or("PLAINTEXT", String::as_str);
    let user = kafka.properties.get("sasl.username").map_or("nobody", String::as_str);
    match unreached {
        Unreached::Authentication(said) => {
            Finding::error("TW0804", format!("the brokers do not believe that this is `{user}`: {said}"))
                .why("the name or the password is wrong, or the mechanism is not one that the brokers take")
                .fix("correct sasl.mechanism, sasl.username and sasl.password below [kafka], or TIDEWRIGHT_KAFKA_SASL_MECHANISM, …_USERNAME and …_PASSWORD")
        }
        Unreached::Tls(said) => Finding::error("TW0803", format!("TLS with the brokers fails: {said}"))
            .why("the brokers' certificate is not trusted, is for another name, or the port does not speak TLS")
            .fix("name the authority's certificate in ssl.ca.location below [kafka], or set security.protocol to what the port speaks"),
        Unreached::NoAnswer(said) => {
            Finding::error("TW0805", format!("the port is open, but no broker answers in {protocol}: {said}"))
                .why("the port speaks another protocol, or the broker is not ready")
                .fix("set security.protocol below [kafka] (PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL) to what the listener speaks")
        }
        Unreached::Client(error) => Finding::error("TW0805", error.to_string()),
    }
}
