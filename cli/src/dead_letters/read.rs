//! Reading the topic from its beginning to its end.

use std::collections::{BTreeSet, VecDeque};

use tidewright_log::{LogReader, ReadError, ReaderOptions, StartAt};

use super::letter::{Entry, Letter, Place};
use crate::error::CliError;
use crate::namespace_options::Namespace;

const BATCH_RECORDS: usize = 100;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The newest letters that are wanted, at most `limit`, oldest first, and how many more there are. Memory is bounded by
/// the limit, but for the places of what was sent again.
pub(super) async fn letters(
    namespace: &Namespace,
    limit: usize,
    wanted: impl Fn(&Letter) -> bool,
) -> Result<(Vec<Letter>, usize), CliError> {
    let topic = namespace.topics.dead_letters();
    let partitions = namespace.admin.partition_count(&topic).await.map_err(CliError::kafka)?;
    let reader = LogReader::new(&namespace.kafka, &ReaderOptions::default()).map_err(CliError::kafka)?;
    let unreadable = |error: ReadError| CliError::coded("TW0502", error.to_string());
    let mut found: VecDeque<Letter> = VecDeque::new();
    let mut redriven: BTreeSet<Place> = BTreeSet::new();
    let mut more = 0;
    for partition in 0..partitions.unwrap_or(0) {
        let mut log = reader.open(&topic, partition, StartAt::Beginning).await.map_err(unreadable)?;
        while !log.caught_up() {
            for record in log.next_batch(BATCH_RECORDS, BATCH_BYTES).await.map_err(unreadable)?.records {
                match Entry::read(record) {
                    Entry::Mark(place) => {
                        redriven.insert(place);
                    }
                    Entry::Letter(letter) if wanted(&letter) => {
                        found.push_back(*letter);
                        if found.len() > limit {
                            found.pop_front();
                            more += 1;
                        }
                    }
                    Entry::Letter(_) => {}
                }
            }
        }
    }
    let mut letters: Vec<_> = found.into();
    for letter in &mut letters {
        letter.redriven = redriven.contains(&letter.place);
    }
    Ok((letters, more))
}
