//! `tidewright dead-letters redrive`.

use std::process::ExitCode;

use clap::Args;
use tidewright_log::{Producer, Record};
use tidewright_schemas::headers;

use super::letter::{Letter, Place, REDRIVEN_FROM};
use super::read::letters;
use super::show::find;
use crate::config::Configuration;
use crate::error::CliError;
use crate::namespace_options::{Namespace, NamespaceOptions};
use crate::output::{print, say};

pub(super) const EXAMPLES: &str = "Examples:
  tidewright dead-letters redrive 0/17 0/18
  tidewright dead-letters redrive --reason TW0203";

/// Most that are sent again at once.
const AT_ONCE_MAX: usize = 1_000;
/// Codes of records that are wrong by themselves: they would come back.
const WRONG_BY_ITSELF: &str = "TW01";

/// Options of `tidewright dead-letters redrive`.
#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["places", "reason"])]
pub(crate) struct RedriveOptions {
    /// Which: PARTITION/OFFSET, as `list` shows it
    #[arg(value_name = "PLACE")]
    places: Vec<Place>,
    /// All with this code that were not sent again
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Also what was sent again before, and what would only come back
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(super) namespace: NamespaceOptions,
}

pub(super) async fn run(options: RedriveOptions, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let namespace = options.namespace.open(configuration)?;
    let mut chosen = Vec::new();
    for place in &options.places {
        chosen.push(find(&namespace, *place).await?);
    }
    if let Some(reason) = &options.reason {
        let (found, more) =
            letters(&namespace, AT_ONCE_MAX, |letter| letter.reason.eq_ignore_ascii_case(reason)).await?;
        chosen.extend(found.into_iter().filter(|letter| !letter.redriven));
        if more > 0 {
            say(&format!("{more} older ones are left for another time"));
        }
    }
    // Nothing is sent if anything of it is refused.
    for letter in &chosen {
        refuse(letter, &namespace, options.force)?;
    }
    let producer = Producer::new(&namespace.kafka).map_err(CliError::kafka)?;
    for letter in &chosen {
        send(&producer, &namespace, letter).await?;
    }
    let places: Vec<_> = chosen.iter().map(|letter| letter.place.to_string()).collect();
    if options.namespace.output.is_json() {
        print(&format!("{}\n", serde_json::json!({ "redriven": places })))?;
    } else {
        print(&format!("sent again: {}\n", if places.is_empty() { "nothing".to_owned() } else { places.join(", ") }))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(letter: &Letter, namespace: &Namespace, force: bool) -> Result<(), CliError> {
    let place = letter.place;
    let refused =
        |problem: String| CliError::coded("TW0712", format!("dead letter {place} is not sent again: {problem}"));
    // A header is what anyone can write: nothing is sent elsewhere on its word.
    if letter.origin_topic != namespace.topics.commands() {
        let problem =
            format!("it came from `{}`, which is not this namespace's topic of commands", letter.origin_topic);
        return Err(refused(problem));
    }
    if letter.omitted_bytes.is_some() {
        return Err(
            refused("its value was too large to be kept".to_owned()).hint("whoever sent it has to send it anew")
        );
    }
    if letter.redriven && !force {
        return Err(refused("it was sent again before".to_owned()).hint("--force sends it once more"));
    }
    if letter.reason.starts_with(WRONG_BY_ITSELF) && !force {
        let problem = format!("it is wrong by itself ({}) and would come back", letter.reason);
        let hint = format!("`tidewright explain {}` says what is wrong; --force sends it nevertheless", letter.reason);
        return Err(refused(problem).hint(hint));
    }
    Ok(())
}

async fn send(producer: &Producer, namespace: &Namespace, letter: &Letter) -> Result<(), CliError> {
    let place = letter.place;
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        CliError::coded("TW0712", format!("dead letter {place}: {what}: {error}")).hint("run the same command again")
    };
    let again = again(letter, &namespace.topics.commands());
    producer.send(again).await.await.map_err(|e| failed("it was not sent", &e))?;
    // Read with the letters: a second run does not send it silently.
    let mark = Record { key: letter.record.key.clone(), ..Record::to(namespace.topics.dead_letters()) };
    let mark = mark.header(REDRIVEN_FROM, place.to_string());
    producer.send(mark).await.await.map_err(|e| failed("it was sent, but not marked", &e))?;
    Ok(())
}

/// The record as it was, with its origin, and with a request id where a start may lack one.
fn again(letter: &Letter, topic: &str) -> Record {
    let place = letter.place;
    let mut record = Record { key: letter.record.key.clone(), value: letter.record.value.clone(), ..Record::to(topic) };
    record.headers = letter.original_headers().cloned().collect();
    if letter.record.header(headers::CLOUDEVENT_ID).is_none() {
        let id = format!("redrive/{}/{}/{}", letter.origin_topic, letter.origin_partition, letter.origin_offset);
        record = record.header(headers::CLOUDEVENT_ID, id);
    }
    record.header(REDRIVEN_FROM, place.to_string())
}

#[cfg(test)]
mod tests {
    use tidewright_log::Received;

    use super::super::letter::Entry;
    use super::*;

    fn letter(reason: &str, offset: u64) -> Letter {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let headers = vec![
            header("traceparent", "t"),
            header(headers::REASON, reason),
            header(headers::ORIGIN_TOPIC, "tidewright.default.commands"),
            header(headers::ORIGIN_PARTITION, "2"),
            header(headers::ORIGIN_OFFSET, "17"),
        ];
        let (key, value) = (Some(b"order-1".to_vec()), Some(b"{}".to_vec()));
        let topic = "tidewright.default.dead-letters".into();
        match Entry::read(Received { topic, partition: 0, offset, timestamp_ms: 0, key, value, headers }) {
            Entry::Letter(letter) => *letter,
            Entry::Mark(place) => panic!("{place} is no letter"),
        }
    }

    #[test]
    fn it_goes_out_as_it_came_and_twice_means_once() {
        let first = again(&letter("TW0203", 5), "tidewright.default.commands");
        let names: Vec<_> = first.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["traceparent", headers::CLOUDEVENT_ID, REDRIVEN_FROM]);
        assert_eq!((first.key.as_deref(), first.value.as_deref()), (Some(&b"order-1"[..]), Some(&b"{}"[..])));
        // It died once more, elsewhere on the topic, but was the same record.
        let second = again(&letter("TW0203", 6), "tidewright.default.commands");
        assert_eq!(first.headers[1], second.headers[1]);
    }
}
