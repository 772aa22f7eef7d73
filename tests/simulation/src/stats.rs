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

        impl Stats {
            /// What was never met, by the summary's names.
            #[must_use]
            pub fn never_met(&self) -> Vec<&'static str> {
                [$((self.$field, $label)),+].into_iter().filter(|(count, _)| *count == 0).map(|(_, label)| label).collect()
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
    /// Those that returned.
    completed: "completed",
    /// Those whose code failed.
    failed: "failed",
    /// Those that ended as they were asked to.
    canceled: "cancelled",
    /// Those that were ended from outside.
    terminated: "terminated",
    /// Those that took too long.
    timed_out: "timed out",
    /// Starts that began a run.
    started: "started",
    /// Starts whose run waited before its first task.
    delayed: "delayed",
    /// Starts that met a run: repeated requests, and where existing ones are used.
    met_a_run: "starts that met a run",
    /// Starts that terminated a run.
    terminated_and_started: "starts that terminated a run",
    /// Starts that were refused since a run was open.
    conflicts_refused: "starts refused by an open run",
    /// Starts that were refused since a run had closed.
    reuse_refused: "starts refused by a closed run",
    /// Starts that brought a signal.
    signal_with_starts: "starts with a signal",
    /// Signals that workflows heard.
    signals: "signals",
    /// Conditions that a signal met in time.
    conditions_met: "conditions met",
    /// Conditions that timed out.
    conditions_timed_out: "conditions timed out",
    /// Timers that fired.
    timers_fired: "timers fired",
    /// Timers that were cancelled.
    timers_canceled: "timers cancelled",
    /// Workflow tasks that failed.
    tasks_failed: "workflow tasks failed",
    /// Workflow tasks that took too long.
    tasks_timed_out: "workflow tasks timed out",
    /// Workflow tasks that were withheld from workers.
    withheld: "workflow tasks withheld",
    /// Workflow tasks that would have ended a run which had not heard everything.
    unhandled: "ends that had not heard everything",
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
    /// Attempts of activities that are tried once, which began.
    granted: "attempts granted",
    /// Attempts that another queue than their workflow's brought.
    elsewhere: "attempts on another queue",
    /// Tasks that workers were told of by name.
    offered: "tasks offered by name",
    /// Fire-and-forget activities that ended after their runs.
    outlived: "activities that outlived their runs",
    /// Failures of attempts by their own code.
    failures: "failures",
    /// Failures that said when the next attempt is to be.
    deferred: "deferred retries",
    /// Attempts that took too long from their start.
    start_to_close: "start-to-close timeouts",
    /// Activities that nobody took in time.
    schedule_to_start: "schedule-to-start timeouts",
    /// Activities that took too long with all their attempts.
    schedule_to_close: "schedule-to-close timeouts",
    /// Attempts that fell silent.
    heartbeat_timeouts: "heartbeat timeouts",
    /// Heartbeats that history recorded.
    heartbeats: "heartbeats",
    /// Attempts that read what an earlier one's heartbeat said.
    details_read: "heartbeats read by the next attempt",
    /// Requests to cancel an activity.
    cancels_asked: "activities asked to end",
    /// Activities that ended as cancelled where they ran.
    canceled_running: "cancelled where they ran",
    /// Activities that were cancelled before anybody ran them.
    canceled_waiting: "cancelled before they ran",
    /// Activities that completed after they were asked to end.
    completed_though_asked: "completed though asked to end",
    /// Activities that failed after they were asked to end.
    failed_though_asked: "failed though asked to end",
    /// What workers were told by their queues' owners.
    hints: "hints to workers",
    /// Attempts that ended early for it.
    hints_heeded: "hints heeded",
    /// Tasks that workers handed back.
    returned: "tasks handed back",
    /// Tasks that were lost from their topics.
    tasks_lost: "tasks lost",
    /// Attempts whose workers were gone.
    workers_lost: "attempts of lost workers",
    /// Activities that are taken for what takes their workers down.
    suspects: "suspects",
    /// Queries whose answers history stands by.
    queries_told: "queries told",
    /// Queries of runs that had ended.
    queries_of_closed: "queries of closed runs",
    /// Queries that were asked again, since history went another way than the worker that answered.
    queries_again: "queries asked again",
    /// Queries that a worker found expired.
    queries_expired: "queries expired",
    /// Queries that could not be answered.
    queries_failed: "queries failed",
    /// Clocks that jumped by hours, or back.
    clock_jumps: "clock jumps",
    /// Nights without workers.
    nights: "nights without workers",
    /// Runs that waited for workers through a night.
    slept: "runs that waited through a night",
    /// Records of what was still due when all workers had left.
    evening_records: "records of evenings without workers",
    /// Losses that were planted and noticed.
    losses: "planted losses noticed",
    /// Losses that were accepted.
    accepted: "accepted",
}
