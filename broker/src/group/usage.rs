//! Keeps the ledger's notes about who uses a group up to date, for groups that have offsets: after a restart it is known how
//! long a group has been deserted, and what kind of group it is.

use std::io;

use super::coordinator::Coordinator;
use super::group::Group;
use super::ledger::{Entry, Usage};
use super::offsets::Change;
use crate::log::journal_sync::Mark;
use crate::state::now_ms;

impl Coordinator {
    /// After a member came to an empty group or the last one left. Another change may have come between; what is noted is
    /// what holds when the note is made, and every change makes one.
    pub(super) fn note_usage(&self, groups: &[String]) -> Mark {
        if groups.is_empty() {
            return Mark::default();
        }
        let mut change = self.offsets.change();
        for group in groups {
            if let Err(error) = self.note_usage_of(&mut change, group) {
                // What it costs is time: the group counts as deserted from a later restart on.
                tracing::error!(group, %error, "cannot record who uses a group");
            }
        }
        change.mark()
    }

    pub(super) fn note_usage_of(&self, change: &mut Change<'_>, group: &str) -> io::Result<()> {
        let Some(noted) = change.ledger().group(group).map(|offsets| offsets.usage.clone()) else { return Ok(()) };
        let usage = self.groups().get(group).map(|found| usage(found, &noted));
        match usage {
            Some(usage) if usage != noted => change.record(vec![Entry::Used { group: group.to_owned(), usage }]),
            _ => Ok(()),
        }
    }
}

fn usage(group: &Group, noted: &Usage) -> Usage {
    let protocol_type = match group.protocol_type() {
        "" => noted.protocol_type.clone(),
        protocol_type => protocol_type.to_owned(),
    };
    let is_deserted = !group.has_members() && !protocol_type.is_empty();
    let deserted_since_ms = is_deserted.then(|| noted.deserted_since_ms.unwrap_or_else(now_ms));
    Usage { protocol_type, deserted_since_ms }
}
