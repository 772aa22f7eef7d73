//! What administrators are told about groups.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};

use super::group::Group;
use super::machine::State;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overview {
    pub group: String,
    pub protocol_type: String,
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub state: State,
    pub protocol_type: String,
    /// Empty unless the group is stable.
    pub protocol: String,
    pub members: Vec<DescribedMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// Empty unless the group is stable, like the assignment.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

impl Group {
    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn describe(&self) -> Description {
        let stable = (self.state == State::Stable).then_some(self.protocol.as_deref()).flatten();
        let member = |(id, member): (&String, &super::member::Member)| DescribedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: stable.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: stable.map(|_| member.assignment.clone()).unwrap_or_default(),
        };
        Description {
            state: self.state,
            protocol_type: self.protocol_type().to_owned(),
            protocol: stable.unwrap_or_default().to_owned(),
            members: self.members.iter().map(member).collect(),
        }
    }

    /// Which topics its members read, as far as they say so in the way of consumers. `None` if that cannot be known: it may
    /// be any.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        let protocol = self.protocol.as_deref().filter(|_| self.protocol_type() == CONSUMER)?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription(member.metadata(protocol))?);
        }
        Some(topics)
    }
}

/// The protocol type of ordinary consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// A consumer's subscription begins with a version and the names of topics.
fn subscription(mut metadata: Bytes) -> Option<Vec<String>> {
    metadata.try_get_i16().ok()?;
    let count = usize::try_from(metadata.try_get_i32().ok()?).ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        let name = metadata.get(..length)?;
        topics.push(String::from_utf8_lossy(name).into_owned());
        metadata.advance(length);
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_read_as_far_as_they_are_sound() {
        let sound = Bytes::from_static(b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff");
        assert_eq!(subscription(sound.clone()), Some(vec!["a".to_owned(), "bc".to_owned()]));
        for cut in 0..12 {
            assert_eq!(subscription(sound.slice(..cut)), None, "{cut}");
        }
        assert_eq!(subscription(Bytes::from_static(b"\0\x03\x7f\xff\xff\xff\0\x01a")), None);
        assert_eq!(subscription(Bytes::from_static(b"\0\x03\xff\xff\xff\xff")), None);
    }
}
