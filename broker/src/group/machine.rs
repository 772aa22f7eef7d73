//! The lifecycle of a group, as a table.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; perhaps committed offsets.
    Empty,
    /// A round is open: members are asked to join again, and those who have wait for the rest.
    PreparingRebalance,
    /// The round is closed; its members wait for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment or can ask for it.
    Stable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A member came, went or changed what it wants.
    MembershipChanged,
    /// Everyone has joined, or time is up, and someone is there.
    RoundClosed,
    /// Everyone has joined, or time is up, and nobody is there.
    RoundDeserted,
    LeaderAssigned,
}

impl State {
    /// As Kafka's tools show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }

    pub(crate) fn after(self, event: Event) -> Self {
        use Event::{LeaderAssigned, MembershipChanged, RoundClosed, RoundDeserted};
        use State::{CompletingRebalance, Empty, PreparingRebalance, Stable};
        match (self, event) {
            (Empty | PreparingRebalance | CompletingRebalance | Stable, MembershipChanged) => PreparingRebalance,
            (PreparingRebalance, RoundClosed) => CompletingRebalance,
            (PreparingRebalance, RoundDeserted) => Empty,
            (CompletingRebalance, LeaderAssigned) => Stable,
            (state, RoundClosed | RoundDeserted | LeaderAssigned) => state,
        }
    }
}
