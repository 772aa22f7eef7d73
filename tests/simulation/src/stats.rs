//! What happened in a seed, for the summary.

use std::fmt;

/// The one table of what is counted: a field, and what the summary calls it.
macro_rules! stats {
    ($($(#[$doc:meta])* $field:ident: $label:literal,)+) => {
        /// What happened in a seed, or in many.
        #[derive(Debug, Clone, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $field: u64,)+
        }

        impl Stats {
            /// Adds another seed's.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }
        }

        impl fmt::Display for Stats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let counted = [$(format!("{} {}", self.$field, $label)),+];
                f.write_str(&counted.join(", "))
            }
        }
    };
}

stats! {
    /// Workflows that ran to their end.
    workflows: "workflows",
    /// Those that were terminated or timed out.
    cut_short: "cut short",
    /// Signals that workflows heard.
    signals: "signals",
    /// Commands in the logs.
    commands: "commands",
    /// Steps.
    steps: "steps",
    /// Processes that were killed.
    kills: "kills",
    /// Claims in the histories.
    claims: "claims",
    /// History records that did not count.
    zombie_records: "zombie records",
    /// Records that compaction removed.
    compacted: "records compacted away",
    /// Runs that were deleted.
    deleted: "runs deleted",
    /// Answers and rejections about no run, whose records were tombstoned.
    answers_forgotten: "answers forgotten",
    /// Stores that were away for too long.
    too_old: "stores too old",
    /// Losses that were planted and noticed.
    losses: "planted losses noticed",
    /// Losses that were accepted.
    accepted: "accepted",
}
