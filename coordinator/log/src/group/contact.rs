//! When the group's coordinator was last heard, read from librdkafka's statistics.
//!
//! The coordinator's connection carries heartbeats and commits. An answer on it counts one report later, and only if the
//! member is still in good standing then: an answer that expels the member is on the connection before it is acted upon.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

#[derive(Deserialize)]
struct Statistics {
    /// librdkafka's monotonic clock, in microseconds.
    ts: i64,
    brokers: HashMap<String, Broker>,
    cgrp: Option<Group>,
}

#[derive(Deserialize)]
struct Broker {
    /// Microseconds since something was received; negative if nothing was.
    rxidle: i64,
}

#[derive(Deserialize)]
struct Group {
    state: String,
    join_state: String,
}

/// The coordinator's last sign of life.
#[derive(Default)]
pub(super) struct Contact {
    /// `Instant` minus librdkafka's clock, from the report that reached us fastest.
    clock: Option<(Instant, i64)>,
    candidate: Option<i64>,
    last: Option<i64>,
}

impl Contact {
    /// Takes a report of librdkafka's, received at `now`.
    pub(super) fn report(&mut self, now: Instant, json: &[u8]) -> Result<(), serde_json::Error> {
        let report: Statistics = serde_json::from_slice(json)?;
        self.synchronise(now, report.ts);
        let steady = report.cgrp.is_some_and(|group| group.state == "up" && group.join_state == "steady");
        let heard = report.brokers.get("GroupCoordinator").filter(|broker| broker.rxidle >= 0);
        match heard {
            Some(broker) if steady => {
                self.last = self.candidate.or(self.last);
                self.candidate = Some(report.ts - broker.rxidle);
            }
            _ => self.candidate = None,
        }
        Ok(())
    }

    /// Forgets what was heard: the member lost its partitions.
    pub(super) fn lost(&mut self) {
        self.candidate = None;
        self.last = None;
    }

    pub(super) fn last(&self) -> Option<Instant> {
        let ((instant, ts), last) = (self.clock?, self.last?);
        let ago = Duration::from_micros(u64::try_from(ts - last).unwrap_or(0));
        let ahead = Duration::from_micros(u64::try_from(last - ts).unwrap_or(0));
        (instant + ahead).checked_sub(ago)
    }

    /// A report is received after it was made; the one with the least delay between the two tells the clocks' offset
    /// best, and any delay makes a contact look later than it was.
    fn synchronise(&mut self, now: Instant, ts: i64) {
        let earlier = self.clock.is_none_or(|(instant, at)| {
            let since_us = i64::try_from(now.saturating_duration_since(instant).as_micros()).unwrap_or(i64::MAX);
            since_us < ts - at
        });
        if earlier {
            self.clock = Some((now, ts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ts: i64, rxidle: i64, join_state: &str) -> Vec<u8> {
        format!(
            r#"{{"ts":{ts},"brokers":{{"GroupCoordinator":{{"rxidle":{rxidle},"x":1}}}},
            "cgrp":{{"state":"up","join_state":"{join_state}"}},"topics":{{}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn an_answer_counts_one_report_later() {
        let (mut contact, start) = (Contact::default(), Instant::now());
        contact.report(start, &report(1_000_000, 100_000, "steady")).unwrap();
        assert_eq!(contact.last(), None);
        contact.report(start + Duration::from_millis(500), &report(1_500_000, 50_000, "steady")).unwrap();
        assert_eq!(contact.last(), Some(start - Duration::from_millis(100)));
    }

    #[test]
    fn an_answer_that_expels_does_not_count() {
        let (mut contact, start) = (Contact::default(), Instant::now());
        contact.report(start, &report(1_000_000, 1, "steady")).unwrap();
        contact.report(start, &report(1_500_000, 1, "init")).unwrap();
        contact.report(start, &report(2_000_000, 1, "steady")).unwrap();
        assert_eq!(contact.last(), None);
    }

    #[test]
    fn a_late_report_does_not_make_a_contact_later() {
        let (mut contact, start) = (Contact::default(), Instant::now());
        contact.report(start, &report(1_000_000, 0, "steady")).unwrap();
        let late = start + Duration::from_secs(9);
        contact.report(late, &report(2_000_000, 0, "steady")).unwrap();
        contact.report(late, &report(3_000_000, 0, "steady")).unwrap();
        assert_eq!(contact.last(), Some(start + Duration::from_secs(1)));
    }
}
