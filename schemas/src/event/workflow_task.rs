//! Events of workflow tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, Failure, SdkMetadata, TimeoutType, WorkerIdentity, WorkerVersioning};

/// A workflow task was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskScheduled {
    /// Where it was sent.
    pub task_queue: String,
    /// The first attempt is 1.
    pub attempt: u32,
}

/// A workflow task was sent: emission is its start (R22).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskStarted {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
}

/// A worker advanced the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskCompleted {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// The id that the worker gave this completion.
    pub completion_id: String,
    /// What the SDK notes about how it advanced the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk_metadata: Option<SdkMetadata>,
    /// Which version of the code advanced the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versioning: Option<WorkerVersioning>,
    /// Who did it.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// Why a workflow task failed. The names are Temporal's, whose workers may send any of theirs; those that begin the list
/// are our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowTaskFailedCause {
    /// The worker has no such workflow type.
    WorkflowTypeNotRegistered,
    /// A decision is invalid: a missing timeout, a duplicate id, an unknown name.
    BadDecision,
    /// The completion does not fit a record.
    CompletionTooLarge,
    /// The worker could not get the history that the task builds on.
    HistoryUnavailable,
    /// The task could not be sent to its topic.
    TaskQueueUnavailable,
    /// The task was not in its topic any more.
    TaskLost,
    /// The worker gives no cause.
    Unspecified,
    /// It was delivered several times, and no worker came to an end with it: it is withheld for a while.
    TaskWithheld,
    /// The workflow wanted to end, but was told something meanwhile that it has to hear first.
    UnhandledCommand,
    /// What was said of an activity is invalid.
    BadScheduleActivityAttributes,
    /// What was said of an activity to cancel is invalid.
    BadRequestCancelActivityAttributes,
    /// What was said of a timer is invalid.
    BadStartTimerAttributes,
    /// What was said of a timer to cancel is invalid.
    BadCancelTimerAttributes,
    /// What was said of a marker is invalid.
    BadRecordMarkerAttributes,
    /// What was said of the workflow's completion is invalid.
    BadCompleteWorkflowExecutionAttributes,
    /// What was said of the workflow's failure is invalid.
    BadFailWorkflowExecutionAttributes,
    /// What was said of the workflow's cancellation is invalid.
    BadCancelWorkflowExecutionAttributes,
    /// What was said of another workflow to cancel is invalid.
    BadRequestCancelExternalWorkflowExecutionAttributes,
    /// What was said of the run to go on with is invalid.
    BadContinueAsNewAttributes,
    /// Two timers have the same id.
    StartTimerDuplicateId,
    /// The worker that held the run is gone.
    ResetStickyTaskQueue,
    /// The code panicked, or failed outside its own error handling.
    WorkflowWorkerUnhandledFailure,
    /// What was said of another workflow to signal is invalid.
    BadSignalWorkflowExecutionAttributes,
    /// What was said of a child workflow is invalid.
    BadStartChildExecutionAttributes,
    /// The run was ended from outside while the task was out.
    ForceCloseCommand,
    /// The run moved to another cluster while the task was out.
    FailoverCloseCommand,
    /// A signal's input is too large.
    BadSignalInputSize,
    /// The run was reset.
    ResetWorkflow,
    /// The worker's build is known to be bad.
    BadBinary,
    /// Two activities have the same id.
    ScheduleActivityDuplicateId,
    /// Search attributes are invalid.
    BadSearchAttributes,
    /// The code does not do what history says it did.
    NonDeterministicError,
    /// What was said of the workflow's properties is invalid.
    BadModifyWorkflowPropertiesAttributes,
    /// Too many child workflows are open.
    PendingChildWorkflowsLimitExceeded,
    /// Too many activities are open.
    PendingActivitiesLimitExceeded,
    /// Too many signals to other workflows are on their way.
    PendingSignalsLimitExceeded,
    /// Too many requests to cancel other workflows are on their way.
    PendingRequestCancelLimitExceeded,
    /// What was said of an update is invalid.
    BadUpdateWorkflowExecutionMessage,
    /// The workflow wanted to end while an update waited.
    UnhandledUpdate,
    /// What was said of a Nexus operation is invalid.
    BadScheduleNexusOperationAttributes,
    /// Too many Nexus operations are open.
    PendingNexusOperationsLimitExceeded,
    /// What was said of a Nexus operation to cancel is invalid.
    BadRequestCancelNexusOperationAttributes,
    /// The code uses what is not enabled.
    FeatureDisabled,
    /// The completion does not fit a message.
    GrpcMessageTooLarge,
    /// What the completion carries is too large.
    PayloadsTooLarge,
    /// What is stored elsewhere could not be fetched or stored.
    ExternalStorageFailure,
    /// The workflow was paused before the task began.
    WorkflowPauseRequestedBeforeTaskStarted,
    /// The completion is too large.
    RequestTooLarge,
}

/// A workflow task failed; it is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskFailed {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// Why.
    pub cause: WorkflowTaskFailedCause,
    /// More about it.
    pub failure: Failure,
    /// Who said so.
    #[serde(default)]
    pub worker: WorkerIdentity,
}

/// A workflow task ran for longer than its timeout; it is tried again. Its worker says so (R26), since a task that waits
/// in its topic, or is delivered again, is not late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowTaskTimedOut {
    /// Its `WorkflowTaskScheduled`.
    pub scheduled_event_id: EventId,
    /// Its `WorkflowTaskStarted`.
    pub started_event_id: EventId,
    /// Which timeout.
    pub timeout_type: TimeoutType,
    /// More about it: where the code was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Who said so.
    #[serde(default)]
    pub worker: WorkerIdentity,
}
