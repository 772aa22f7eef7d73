//! A dead letter: a record as it came, with the reason and where it was in its headers.

use serde::Serialize;
use tidewright_log::Received;
use tidewright_schemas::headers;

use crate::output::rfc3339;

/// Names the dead letter that a record was, on what is sent again and on the mark that it was.
pub(super) const REDRIVEN_FROM: &str = "tw-redriven-from";
/// Headers that say why it is here: what is sent again does not carry them.
const OURS: &[&str] = &[
    headers::REASON,
    headers::REASON_MESSAGE,
    headers::ORIGIN_TOPIC,
    headers::ORIGIN_PARTITION,
    headers::ORIGIN_OFFSET,
    headers::OMITTED_BYTES,
];

/// Which dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Place {
    pub(super) partition: u32,
    pub(super) offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(p, o)| Some((p.parse().ok()?, o.parse().ok()?)));
        let (partition, offset) = parts.ok_or("a dead letter is PARTITION/OFFSET, for instance 0/17")?;
        Ok(Self { partition, offset })
    }
}

/// A dead letter as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Letter {
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) time: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) origin_topic: String,
    pub(super) origin_partition: String,
    pub(super) origin_offset: String,
    pub(super) key: Option<String>,
    /// Bytes that the value had, if it did not fit.
    pub(super) omitted_bytes: Option<String>,
    pub(super) redriven: bool,
    #[serde(skip)]
    pub(super) record: Received,
}

/// What a record on the topic is.
pub(super) enum Entry {
    Letter(Box<Letter>),
    /// Says that a letter was sent again.
    Mark(Place),
}

impl Entry {
    pub(super) fn read(record: Received) -> Self {
        let text = |name: &str| record.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        if let (Some(from), None) = (text(REDRIVEN_FROM), record.header(headers::REASON))
            && let Ok(place) = from.parse()
        {
            return Self::Mark(place);
        }
        let letter = Letter {
            place: Place { partition: record.partition, offset: record.offset },
            time: rfc3339(record.timestamp_ms),
            reason: text(headers::REASON).unwrap_or_else(|| "-".to_owned()),
            message: text(headers::REASON_MESSAGE).unwrap_or_default(),
            origin_topic: text(headers::ORIGIN_TOPIC).unwrap_or_default(),
            origin_partition: text(headers::ORIGIN_PARTITION).unwrap_or_default(),
            origin_offset: text(headers::ORIGIN_OFFSET).unwrap_or_default(),
            key: record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()),
            omitted_bytes: text(headers::OMITTED_BYTES),
            redriven: false,
            record,
        };
        Self::Letter(Box::new(letter))
    }
}

impl Letter {
    /// The headers that the record had before it came here.
    pub(super) fn original_headers(&self) -> impl Iterator<Item = &(String, Vec<u8>)> {
        self.record.headers.iter().filter(|(name, _)| !OURS.contains(&name.as_str()) && name != REDRIVEN_FROM)
    }
}
