//! The brokers' clock against this machine's: timers become due by the one and are measured by the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidewright_log::{KafkaConfig, LogReader, Producer, ReaderOptions, Record, StartAt};

use super::finding::{Finding, Report};

/// Beyond this a timer fires noticeably late.
const SKEW_MAX: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(15);

/// Writes a record to `topic`, whose readers pass over what is not for them, and compares the time that the broker gave
/// it with this machine's before and after.
pub(super) async fn check(kafka: &KafkaConfig, topic: &str, report: &mut Report) {
    let measured = tokio::time::timeout(PATIENCE, measure(kafka, topic)).await;
    match measured.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}"))) {
        Ok(skew) => report.add(judge(skew)),
        Err(problem) => report.add(Finding::warning("TW0816", format!("the clocks could not be compared: {problem}"))),
    }
}

fn judge(skew: Skew) -> Finding {
    let ms = skew.least.as_millis();
    if skew.least <= SKEW_MAX {
        return Finding::ok(format!("the brokers' clock and this machine's differ by {ms} ms"));
    }
    let which = if skew.broker_is_ahead { "ahead of" } else { "behind" };
    Finding::error("TW0816", format!("the brokers' clock is {ms} ms {which} this machine's"))
        .why("timers and timeouts come early or late by as much")
        .fix("let NTP set the clocks of the brokers and of this machine: `chronyc tracking` shows how far each is off")
}

struct Skew {
    least: Duration,
    broker_is_ahead: bool,
}

impl Skew {
    /// The broker took the record at some moment between `before` and `after`.
    fn between(before: u64, broker: u64, after: u64) -> Self {
        let least = if broker > after { broker - after } else { before.saturating_sub(broker) };
        Self { least: Duration::from_millis(least), broker_is_ahead: broker > after }
    }
}

async fn measure(kafka: &KafkaConfig, topic: &str) -> Result<Skew, String> {
    let producer = Producer::new(kafka).map_err(|e| e.to_string())?;
    let before = now_ms();
    let sent = producer.send(Record::to(topic).key("tidewright-doctor")).await.await.map_err(|e| e.to_string())?;
    let after = now_ms();
    let reader = LogReader::new(kafka, &ReaderOptions::default()).map_err(|e| e.to_string())?;
    let start = StartAt::Offset(sent.offset);
    let mut partition = reader.open(topic, sent.partition, start).await.map_err(|e| e.to_string())?;
    loop {
        let batch = partition.next_batch(1, 1).await.map_err(|e| e.to_string())?;
        if let Some(record) = batch.records.first() {
            return Ok(Skew::between(before, record.timestamp_ms, after));
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_slow_answer_is_no_skew() {
        assert_eq!(judge(Skew::between(1_000, 5_000, 9_000)).severity, Severity::Ok);
        let ahead = judge(Skew::between(1_000, 20_000, 9_000));
        assert_eq!((ahead.severity, ahead.code), (Severity::Error, Some("TW0816")));
        assert!(ahead.what.contains("11000 ms ahead"), "{}", ahead.what);
        assert!(judge(Skew::between(90_000, 20_000, 91_000)).what.contains("70000 ms behind"));
    }
}
