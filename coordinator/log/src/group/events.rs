//! What the member has not been told yet, in order.
//!
//! It stays small even if nobody asks: a partition that comes and goes untold leaves no trace, and an error that was
//! not told yet is not noted twice.

use std::collections::VecDeque;

use super::{AssignedPartition, GroupEvent, TopicPartition};
use crate::error::GroupError;

const ERRORS_MAX: usize = 16;

/// Events that wait to be told.
#[derive(Default)]
pub(super) struct Events {
    waiting: VecDeque<GroupEvent>,
    errors: VecDeque<GroupError>,
}

impl Events {
    /// The next one; rebalances before errors.
    pub(super) fn pop(&mut self) -> Option<Result<GroupEvent, GroupError>> {
        self.waiting.pop_front().map(Ok).or_else(|| self.errors.pop_front().map(Err))
    }

    pub(super) fn assigned(&mut self, partitions: Vec<AssignedPartition>) {
        if !partitions.is_empty() {
            self.waiting.push_back(GroupEvent::Assigned(partitions));
        }
    }

    /// Notes that partitions are gone. Those whose assignment was not told are forgotten instead.
    pub(super) fn gone(&mut self, partitions: Vec<TopicPartition>, lost: bool) {
        let told: Vec<_> = partitions.into_iter().filter(|partition| !self.forget(partition)).collect();
        self.waiting.retain(|event| !matches!(event, GroupEvent::Assigned(partitions) if partitions.is_empty()));
        if !told.is_empty() {
            self.waiting.push_back(if lost { GroupEvent::Lost(told) } else { GroupEvent::Revoked(told) });
        }
    }

    /// Removes a partition from an assignment that was not told; false if there is none.
    fn forget(&mut self, partition: &TopicPartition) -> bool {
        self.waiting.iter_mut().any(|event| match event {
            GroupEvent::Assigned(assigned) => {
                let before = assigned.len();
                assigned.retain(|a| a.partition != *partition);
                assigned.len() != before
            }
            _ => false,
        })
    }

    pub(super) fn error(&mut self, error: GroupError) {
        if self.errors.len() < ERRORS_MAX && !self.errors.contains(&error) {
            self.errors.push_back(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: number }
    }

    fn assigned(number: u32) -> AssignedPartition {
        AssignedPartition { partition: partition(number), end_offset: None }
    }

    #[test]
    fn what_comes_and_goes_untold_leaves_no_trace() {
        let mut events = Events::default();
        events.assigned(vec![assigned(1), assigned(2)]);
        events.gone(vec![partition(1), partition(2)], false);
        assert_eq!(events.pop(), None);
    }

    #[test]
    fn what_was_told_is_revoked_before_it_is_assigned_again() {
        let mut events = Events::default();
        events.gone(vec![partition(1)], false);
        events.assigned(vec![assigned(1), assigned(2)]);
        events.gone(vec![partition(1)], true);
        assert_eq!(events.pop(), Some(Ok(GroupEvent::Revoked(vec![partition(1)]))));
        assert_eq!(events.pop(), Some(Ok(GroupEvent::Assigned(vec![assigned(2)]))));
        assert_eq!(events.pop(), None);
    }
}
