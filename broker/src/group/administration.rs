//! What administrators do with groups: list, describe, delete.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;

use super::coordinator::{Coordinator, STORAGE_FAILED};
use super::description::{CONSUMER, Description, Overview};
use super::ledger::{Entry, Place};
use super::machine::State;
use crate::log::journal_sync::Mark;

/// Of each place, why it was left alone, if it was.
pub(crate) type Outcomes = Vec<(Place, Option<ResponseError>)>;

impl Coordinator {
    /// Every group that has members or offsets, or had members a while ago.
    pub(crate) fn list(&self) -> Vec<Overview> {
        let ledger = self.offsets.read();
        let of_offsets = ledger.all().map(|(name, offsets)| (name.clone(), offsets.usage.protocol_type.clone()));
        let mut listed: BTreeMap<String, (String, State)> =
            of_offsets.map(|(name, protocol_type)| (name, (protocol_type, State::Empty))).collect();
        drop(ledger);
        for (name, group) in self.groups().iter() {
            listed.insert(name.clone(), (group.protocol_type().to_owned(), group.state()));
        }
        let overview =
            |(group, (protocol_type, state)): (String, (String, State))| Overview { group, protocol_type, state };
        listed.into_iter().map(overview).collect()
    }

    /// `None` if there is no such group.
    pub(crate) fn describe(&self, group_id: &str) -> Option<Description> {
        if let Some(group) = self.groups().get(group_id) {
            return Some(group.describe());
        }
        let protocol_type = self.offsets.read().group(group_id)?.usage.protocol_type.clone();
        Some(Description { state: State::Empty, protocol_type, protocol: String::new(), members: Vec::new() })
    }

    /// Forgets a group that has no members, with its offsets.
    pub(crate) fn delete(&self, group_id: &str) -> Result<Mark, ResponseError> {
        let mut change = self.offsets.change();
        let has_offsets = change.ledger().group(group_id).is_some();
        {
            let mut groups = self.groups();
            match groups.get(group_id) {
                Some(group) if group.has_members() => return Err(ResponseError::NonEmptyGroup),
                None if !has_offsets => return Err(ResponseError::GroupIdNotFound),
                _ => drop(groups.remove(group_id)),
            }
        }
        if has_offsets {
            change.record(vec![Entry::GroupForgotten { group: group_id.to_owned() }]).map_err(|error| {
                tracing::error!(group = group_id, %error, "cannot delete a group");
                STORAGE_FAILED
            })?;
        }
        Ok(change.mark())
    }

    /// Forgets single offsets, but not of topics that members read. Says for each place whether it was left alone for that.
    pub(crate) fn delete_offsets(&self, group_id: &str, places: Vec<Place>) -> Result<(Outcomes, Mark), ResponseError> {
        let mut change = self.offsets.change();
        let has_offsets = change.ledger().group(group_id).is_some();
        let read: BTreeSet<String> = match self.groups().get(group_id) {
            None if !has_offsets => return Err(ResponseError::GroupIdNotFound),
            Some(group) if group.has_members() && group.protocol_type() != CONSUMER => {
                return Err(ResponseError::NonEmptyGroup);
            }
            Some(group) if group.has_members() => match group.subscribed_topics() {
                Some(topics) => topics,
                None => places.iter().map(|place| place.topic.clone()).collect(),
            },
            _ => BTreeSet::new(),
        };
        let (kept, gone): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| read.contains(&place.topic));
        let forget = |place: &Place| Entry::OffsetForgotten { group: group_id.to_owned(), place: place.clone() };
        change.record(gone.iter().map(forget).collect()).map_err(|error| {
            tracing::error!(group = group_id, %error, "cannot delete offsets");
            STORAGE_FAILED
        })?;
        let kept = kept.into_iter().map(|place| (place, Some(ResponseError::GroupSubscribedToTopic)));
        Ok((kept.chain(gone.into_iter().map(|place| (place, None))).collect(), change.mark()))
    }
}
