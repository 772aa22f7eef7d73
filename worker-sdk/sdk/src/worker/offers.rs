//! Tasks that are offered to this worker by name, since no worker reads where they lie (ADR 0011): fetches each from its
//! place, beside the group.

use std::collections::{BTreeMap, BTreeSet};

use tidewright_log::{LogReader, ReadError, Received, StartAt};
use tokio::sync::mpsc;

/// Offers that are waited for at the same time. One beyond is passed over, as is one that cannot be fetched: the group brings
/// the task later.
const OFFERS_MAX: usize = 1_000;
/// Records that are read at most from one partition in one go; what lies further apart is fetched by itself.
const STRETCH: u64 = 1_000;
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Where an offered task lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

/// Hears of offers.
#[derive(Clone)]
pub(crate) struct Offers(mpsc::Sender<Place>);

impl Offers {
    /// And those who fetch them.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Place>) {
        let (sender, receiver) = mpsc::channel(OFFERS_MAX);
        (Self(sender), receiver)
    }

    /// A task is offered to this worker.
    pub(crate) fn heard(&self, place: Place) {
        if self.0.try_send(place).is_err() {
            tracing::debug!(?place, "an offered task is passed over: too many are offered, or the worker stops");
        }
    }
}

/// Fetches what is offered and passes it on, until nobody wants it any more or it is dropped.
pub(crate) async fn fetch(
    reader: LogReader,
    topic: String,
    mut places: mpsc::Receiver<Place>,
    fetched: mpsc::Sender<Received>,
) {
    let mut heard = Vec::new();
    while places.recv_many(&mut heard, OFFERS_MAX).await > 0 {
        for (partition, offsets) in stretches(heard.drain(..)) {
            if let Err(error) = fetch_stretch(&reader, (&topic, partition), offsets, &fetched).await {
                tracing::warn!(
                    topic,
                    partition,
                    "offered tasks are not fetched, and come through the group later: {error}"
                );
            }
        }
    }
}

/// What is read in one go: offsets of one partition that lie close together.
fn stretches(places: impl Iterator<Item = Place>) -> Vec<(u32, BTreeSet<u64>)> {
    let mut by_partition: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    for Place { partition, offset } in places {
        by_partition.entry(partition).or_default().insert(offset);
    }
    let mut stretches: Vec<(u32, BTreeSet<u64>)> = Vec::new();
    for (partition, offsets) in by_partition {
        for offset in offsets {
            match stretches.last_mut().filter(|(of, _)| *of == partition) {
                Some((_, open)) if open.first().is_some_and(|first| offset - first < STRETCH) => {
                    open.insert(offset);
                }
                _ => stretches.push((partition, BTreeSet::from([offset]))),
            }
        }
    }
    stretches
}

async fn fetch_stretch(
    reader: &LogReader,
    (topic, partition): (&str, u32),
    mut offsets: BTreeSet<u64>,
    fetched: &mpsc::Sender<Received>,
) -> Result<(), ReadError> {
    let Some(first) = offsets.first().copied() else { return Ok(()) };
    let mut log = reader.open(topic, partition, StartAt::Offset(first)).await?;
    while !offsets.is_empty() {
        let batch = log.next_batch(usize::try_from(STRETCH).unwrap_or(usize::MAX), BATCH_BYTES_MAX).await?;
        for record in batch.records {
            // The loop is there for as long as this is.
            if offsets.remove(&record.offset) && fetched.send(record).await.is_err() {
                return Ok(());
            }
        }
        offsets.retain(|offset| *offset >= batch.next_offset);
        if batch.caught_up {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_close_together_is_read_in_one_go() {
        let places = [(1, 7), (0, 5), (1, 8), (0, 5), (1, 7 + STRETCH), (2, 0)];
        let found = stretches(places.into_iter().map(|(partition, offset)| Place { partition, offset }));
        let set = |offsets: &[u64]| offsets.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(found, [(0, set(&[5])), (1, set(&[7, 8])), (1, set(&[7 + STRETCH])), (2, set(&[0]))]);
    }
}
