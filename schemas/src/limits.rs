//! Sizes that every part agrees on. All are in bytes unless the name says otherwise.

/// Longest workflow id.
pub const WORKFLOW_ID_BYTES_MAX: usize = 1_000;
/// Longest workflow type, activity type, task queue name, request id, activity id and timer id.
pub const NAME_BYTES_MAX: usize = 1_000;
/// Largest single payload (an input, a result, a failure's details): Temporal's limit, too.
pub const PAYLOAD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest command that is decided; what is larger goes to the dead letters.
pub const COMMAND_BYTES_MAX: usize = 3 * 1024 * 1024;
/// How much of a long message or stack trace of a failure is kept.
pub const FAILURE_TEXT_BYTES_MAX: usize = 16 * 1024;
/// Most decisions in one `CompleteWorkflowTask`.
pub const DECISIONS_MAX: usize = 2_000;
/// How many bytes of buffered events one workflow task flushes at most (R7); the rest waits for the next one.
pub const FLUSH_BYTES_MAX: usize = 1024 * 1024;
/// How many bytes of history a workflow task carries at most; a worker pages the rest.
pub const TASK_HISTORY_BYTES_MAX: usize = 1024 * 1024;
/// `max.message.bytes` of the topics that Tidewright creates, but for `commands` and `dead-letters`.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// `max.message.bytes` of `dead-letters`.
pub const DEAD_LETTER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most activities that one run may have open.
pub const PENDING_ACTIVITIES_MAX: u32 = 2_000;
/// Most timers that one run may have open.
pub const PENDING_TIMERS_MAX: u32 = 2_000;
/// Of how many task queues of its activities the workers hear of a run's end at once; others hear of it at their next word.
pub const ACTIVITY_QUEUES_TOLD_MAX: usize = 16;
