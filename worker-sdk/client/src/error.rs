//! What can go wrong, by operation.

use std::error::Error;
use std::fmt;

use tidewright_log::CallError;
use tidewright_schemas::api::{Problem, WorkflowStatus};
use tidewright_schemas::{Failure, PayloadError, RunId, WorkflowId, WorkflowIdError};

/// Why a workflow was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The workflow id is unusable.
    #[error(transparent)]
    WorkflowId(#[from] WorkflowIdError),
    /// No task queue was named.
    #[error("no task queue: name one with .task_queue(…) or in TIDEWRIGHT_TASK_QUEUE")]
    NoTaskQueue,
    /// The input cannot be sent.
    #[error("the workflow's input cannot be sent: {0}")]
    Input(#[from] PayloadError),
    /// There is a run of that id already.
    #[error("{message} ({code})")]
    AlreadyStarted {
        /// Stable code.
        code: String,
        /// What stands in the way.
        message: String,
        /// The run that does.
        run_id: RunId,
    },
    /// The engine does not start it.
    #[error("{message} ({code})")]
    Rejected {
        /// Stable code.
        code: String,
        /// Why, and what to do.
        message: String,
    },
    /// There was no answer. The workflow may have been started: start it again under the same id and request id.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer is one that this version does not know.
    #[error("the engine answered a start with {0}, which this version does not understand")]
    UnexpectedAnswer(String),
}

/// Why a workflow was not signalled, cancelled or terminated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no such workflow or run.
    #[error("{message} (TW0206)")]
    NotFound {
        /// What the engine said.
        message: String,
    },
    /// The run has ended.
    #[error("{message} (TW0207)")]
    Closed {
        /// What the engine said.
        message: String,
    },
    /// The engine refuses it.
    #[error("{message} ({code})")]
    Rejected {
        /// Stable code.
        code: String,
        /// Why, and what to do.
        message: String,
    },
    /// The input cannot be sent.
    #[error("the signal's input cannot be sent: {0}")]
    Input(#[from] PayloadError),
    /// There was no answer. The request may have been carried out: a signal is heard once if it is repeated under the same
    /// request id.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer is one that this version does not know.
    #[error("the engine answered with {0}, which this version does not understand")]
    UnexpectedAnswer(String),
}

/// Why a run could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such workflow or run.
    #[error("workflow {workflow_id} was not found: {message}")]
    NotFound {
        /// Which one.
        workflow_id: WorkflowId,
        /// What the engine said.
        message: String,
    },
    /// The engine refuses the request.
    #[error("{} ({})", .0.detail, .0.code)]
    Refused(Box<Problem>),
    /// The engine cannot be asked.
    #[error("workflow {workflow_id} cannot be looked at: {message}")]
    Unavailable {
        /// Which one.
        workflow_id: WorkflowId,
        /// What happened.
        message: String,
    },
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query's arguments cannot be sent.
    #[error("the query's arguments cannot be sent: {0}")]
    Input(#[from] PayloadError),
    /// No worker of the workflow's task queue is there.
    #[error("{message} (TW0630)")]
    NoWorker {
        /// What the engine said.
        message: String,
    },
    /// No worker answered in time.
    #[error("{message} (TW0631)")]
    NotAnswered {
        /// What the engine said.
        message: String,
    },
    /// The workflow was not asked, as the query's reject condition wants it.
    #[error("{message} (TW0633)")]
    Rejected {
        /// What the engine said.
        message: String,
    },
    /// The workflow has no such query; the message lists those that it has.
    #[error("{message} (TW0635)")]
    Unknown {
        /// What the worker said.
        message: String,
    },
    /// A worker could not answer it: the query's code failed, or the workflow cannot be replayed.
    #[error("{} ({code})", .failure.message)]
    Failed {
        /// Stable code.
        code: String,
        /// What the worker said.
        failure: Box<Failure>,
    },
    /// The answer is not what the caller expects.
    #[error("the answer of query `{query_type}` cannot be read: {source}")]
    Unreadable {
        /// Which query.
        query_type: String,
        /// What is wrong about it.
        source: PayloadError,
    },
    /// The workflow cannot be asked.
    #[error(transparent)]
    Read(ReadError),
}

impl QueryError {
    pub(crate) fn of(error: ReadError) -> Self {
        let ReadError::Refused(problem) = error else { return Self::Read(error) };
        let message = problem.detail.clone();
        match (problem.code.as_str(), &problem.failure) {
            ("TW0630", _) => Self::NoWorker { message },
            ("TW0631", _) => Self::NotAnswered { message },
            ("TW0633", _) => Self::Rejected { message },
            ("TW0635", _) => Self::Unknown { message },
            (code, Some(failure)) => Self::Failed { code: code.to_owned(), failure: Box::new(failure.clone()) },
            _ => Self::Read(ReadError::Refused(problem)),
        }
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The workflow ended otherwise than with a result.
    #[error(transparent)]
    Failed(#[from] WorkflowFailed),
    /// The result is not what the caller expects.
    #[error("the result of workflow {workflow_id} cannot be read: {source}")]
    Unreadable {
        /// Which workflow.
        workflow_id: WorkflowId,
        /// What is wrong about it.
        source: PayloadError,
    },
    /// The workflow cannot be looked at.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A workflow failed, was cancelled, terminated, or timed out: [`failure`](Self::failure) tells which. Its
/// [sources](Error::source) are the failure's causes; `{:#}` shows them, too.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowFailed {
    /// Which workflow.
    pub workflow_id: WorkflowId,
    /// Which run.
    pub run_id: RunId,
    /// How it ended.
    pub status: WorkflowStatus,
    /// Why.
    pub failure: Box<Failure>,
}

impl fmt::Display for WorkflowFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, error_type) = (self.status.as_str(), self.failure.error_type());
        write!(f, "workflow {} ended as {status} ({error_type}): ", self.workflow_id)?;
        fmt::Display::fmt(&self.failure, f)
    }
}

impl Error for WorkflowFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.source()
    }
}

impl WorkflowFailed {
    /// The failure's type, for instance `PaymentDeclined`.
    #[must_use]
    pub fn error_type(&self) -> &str {
        self.failure.error_type()
    }
}

impl ResultError {
    /// The workflow's failure, if it failed.
    #[must_use]
    pub fn as_failed(&self) -> Option<&WorkflowFailed> {
        match self {
            Self::Failed(failed) => Some(failed),
            _ => None,
        }
    }
}
