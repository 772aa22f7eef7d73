//! Whether the brokers are set so that nodes and workers can live with them.

use std::collections::BTreeMap;
use std::time::Duration;

use tidewright_log::{Admin, ClusterInfo, LogError};
use tidewright_schemas::limits::MESSAGE_BYTES_MAX;

use super::finding::{Finding, Report};
use crate::config::kind::duration_text;

/// What is asked of every broker.
pub(super) async fn check(admin: &Admin, cluster: &ClusterInfo, session: Duration, report: &mut Report) {
    match cluster.controller {
        Some(controller) => {
            let count = cluster.brokers.len();
            report.add(Finding::ok(format!("the cluster has {count} brokers, changes go to broker {controller}")));
        }
        None => report.add(
            Finding::error("TW0805", "the cluster has no controller")
                .why("no topic can be made, and no leader elected")
                .fix("look at the controllers' logs"),
        ),
    }
    for &broker in &cluster.brokers {
        match admin.broker_settings(broker).await {
            Ok(settings) if !settings.is_empty() => each(broker, &settings, session, report),
            Ok(_) | Err(LogError::Denied { .. }) => report.add(
                Finding::warning("TW0818", format!("the settings of broker {broker} cannot be seen"))
                    .why("session limits, message sizes and automatic topics are not looked at; nothing else needs this right")
                    .fix("let somebody run the doctor who may: DescribeConfigs on the cluster"),
            ),
            Err(error) => report.add(Finding::warning("TW0818", error.to_string())),
        }
    }
}

fn each(broker: i32, settings: &BTreeMap<String, String>, session: Duration, report: &mut Report) {
    let before = report.findings.len();
    let number = |name: &str| settings.get(name).and_then(|value| value.parse::<u64>().ok());
    let session_ms = u64::try_from(session.as_millis()).unwrap_or(u64::MAX);
    let own = duration_text(session);
    for (setting, refuses) in [("group.min.session.timeout.ms", true), ("group.max.session.timeout.ms", false)] {
        let Some(limit) = number(setting) else { continue };
        if (refuses && session_ms < limit) || (!refuses && session_ms > limit) {
            let limit_text = duration_text(Duration::from_millis(limit));
            report.add(
                Finding::error("TW0810", format!("broker {broker} has {setting}={limit}, session_timeout is {own}"))
                    .why("no node and no worker can join its group")
                    .fix(format!(
                        "set session_timeout to {limit_text} (--session-timeout {limit_text}), or {setting}={session_ms} in server.properties of every broker"
                    )),
            );
        }
    }
    if settings.get("auto.create.topics.enable").is_some_and(|value| value == "true") {
        report.add(
            Finding::warning("TW0812", format!("broker {broker} has auto.create.topics.enable=true"))
                .why("another client that asks for one of our topics too early makes it with the wrong settings")
                .fix("set auto.create.topics.enable=false in server.properties of every broker"),
        );
    }
    let largest = u64::try_from(MESSAGE_BYTES_MAX).unwrap_or(u64::MAX);
    if let Some(bytes) = number("replica.fetch.max.bytes").filter(|bytes| *bytes < largest) {
        report.add(
            Finding::warning("TW0811", format!("broker {broker} has replica.fetch.max.bytes={bytes}"))
                .why(format!("records have up to {largest} bytes: larger ones are copied one by one, which is slow"))
                .fix(format!("set replica.fetch.max.bytes={largest} in server.properties of every broker")),
        );
    }
    if let Some(bytes) = number("socket.request.max.bytes").filter(|bytes| *bytes < 2 * largest) {
        report.add(
            Finding::error("TW0811", format!("broker {broker} has socket.request.max.bytes={bytes}"))
                .why(format!("requests with records of up to {largest} bytes are refused"))
                .fix(format!("set socket.request.max.bytes={} in server.properties of every broker", 2 * largest)),
        );
    }
    if report.findings.len() == before {
        report.add(Finding::ok(format!("broker {broker} is set so that nodes and workers can use it")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(settings: &[(&str, &str)], session: Duration) -> Vec<Option<&'static str>> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut report = Report::default();
        each(1, &settings, session, &mut report);
        report.findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn session_limits_are_held_against_ours() {
        let limits = [("group.min.session.timeout.ms", "6000"), ("group.max.session.timeout.ms", "30000")];
        assert_eq!(codes(&limits, Duration::from_secs(6)), [None]);
        assert_eq!(codes(&limits, Duration::from_secs(5)), [Some("TW0810")]);
        assert_eq!(codes(&limits, Duration::from_secs(31)), [Some("TW0810")]);
    }

    #[test]
    fn sizes_and_automatic_topics_are_looked_at() {
        let settings = [
            ("auto.create.topics.enable", "true"),
            ("replica.fetch.max.bytes", "1048576"),
            ("socket.request.max.bytes", "1000000"),
        ];
        assert_eq!(codes(&settings, Duration::from_secs(6)), [Some("TW0812"), Some("TW0811"), Some("TW0811")]);
    }
}
