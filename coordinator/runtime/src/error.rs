//! What can go wrong with an engine.

use tidewright_core::query::Standing;
use tidewright_log::{GroupError, LogError};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::topics::TopicNameError;
use tidewright_schemas::{QueryFailed, QueryFailedCause, RunId, WorkflowId};

/// Why an engine does not start, or ended by itself.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The namespace or the prefix cannot name topics.
    #[error(transparent)]
    Name(#[from] TopicNameError),
    /// Kafka cannot be used.
    #[error("Kafka cannot be used: {0}")]
    Kafka(String),
    /// Topics are missing and could not be created.
    #[error(
        "these topics are missing and could not be created: {0}. Create them with the settings that docs/topics.md lists, or allow this node to"
    )]
    TopicsMissing(String),
    /// The namespace was created with another secret.
    #[error(
        "namespace `{namespace}` was created with the secret {announced}, this node has {own}: give every node of a cluster the same secret file"
    )]
    WrongSecret {
        /// The namespace.
        namespace: String,
        /// The ids that it announces.
        announced: String,
        /// This node's.
        own: String,
    },
    /// The topics do not have the partitions that the namespace was created with.
    #[error(
        "namespace `{namespace}` has {expected} partitions, but {topic} has {found}. A topic may have more, never fewer: was it deleted and made anew?"
    )]
    Partitions {
        /// The namespace.
        namespace: String,
        /// The topic.
        topic: String,
        /// What the namespace's record says.
        expected: u32,
        /// What the topic has.
        found: u32,
    },
    /// The consumer group cannot be used any more.
    #[error("this node's membership in its consumer group ended: {0}")]
    Group(String),
}

impl EngineError {
    /// Stable code; see `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "TW0501",
            Self::Kafka(_) => "TW0502",
            Self::TopicsMissing(_) => "TW0503",
            Self::WrongSecret { .. } => "TW0504",
            Self::Partitions { .. } => "TW0505",
            Self::Group(_) => "TW0506",
        }
    }
}

impl From<LogError> for EngineError {
    fn from(error: LogError) -> Self {
        Self::Kafka(error.to_string())
    }
}

impl From<GroupError> for EngineError {
    fn from(error: GroupError) -> Self {
        Self::Group(error.to_string())
    }
}

/// Why a read is not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// This node does not own the partition, or is not sure that it still does (R17).
    #[error("this node does not own the workflow's partition any more; ask again")]
    NotOwned,
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

/// Why a request is not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// No answer in time: it may have been carried out. The same request id gives the same answer.
    #[error(
        "no owner answered in time; the request may have been carried out. Repeat it with the same request_id: it happens once"
    )]
    Timeout,
    /// The command could not be sent.
    #[error("the request could not be sent: {0}")]
    Unavailable(String),
}

impl RequestError {
    /// Stable code; see `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "TW0507",
            Self::Unavailable(_) => "TW0508",
        }
    }
}

/// Why a query is not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The partition cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such workflow or run.
    #[error("there is no such workflow")]
    NotFound,
    /// The query is not for a workflow that stands so.
    #[error("the query was not asked: the run {run_id} is {}, and query_reject_condition excludes that", .status.as_str())]
    Rejected {
        /// The run.
        run_id: RunId,
        /// How it stands.
        status: WorkflowStatus,
    },
    /// The workflow's code has not come to its first await yet, so that there is nothing to ask.
    #[error("{}", not_ready(.standing))]
    NotReady {
        /// The run.
        run_id: RunId,
        /// How it stands.
        standing: Box<Standing>,
    },
    /// No worker is there that could answer.
    #[error(
        "no worker of task queue `{task_queue}` that takes workflow tasks is there to answer the query; start one that has the \
         workflow registered (`tidewright worker list` shows who is there)"
    )]
    NoWorker {
        /// Where its workers listen.
        task_queue: String,
    },
    /// No worker answered in time.
    #[error(
        "no worker of task queue `{task_queue}` answered the query of workflow `{workflow_id}` in time; see that one runs that \
         has the workflow registered, or give the query more time"
    )]
    NotAnswered {
        /// The workflow.
        workflow_id: WorkflowId,
        /// Where its workers listen.
        task_queue: String,
    },
    /// Too many queries wait already.
    #[error("{pending_max} queries wait for their answers at this node already; ask again in a moment")]
    TooMany {
        /// How many may wait.
        pending_max: usize,
    },
    /// A worker says why it cannot be answered.
    #[error("{}", .failed.failure.message)]
    Failed {
        /// The run.
        run_id: RunId,
        /// What it says.
        failed: Box<QueryFailed>,
    },
    /// The query could not be sent, or its answer not be understood.
    #[error("the query could not be asked: {0}")]
    Unavailable(String),
}

impl QueryError {
    /// Stable code; see `docs/errors/`. None where another error's code stands.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Read(_) | Self::NotFound => return None,
            Self::Unavailable(_) => "TW0508",
            Self::NoWorker { .. } => "TW0630",
            Self::NotAnswered { .. } => "TW0631",
            Self::TooMany { .. } => "TW0632",
            Self::Rejected { .. } => "TW0633",
            Self::NotReady { .. } => "TW0636",
            Self::Failed { failed, .. } => match failed.cause {
                QueryFailedCause::WorkerBusy => "TW0632",
                QueryFailedCause::UnknownQuery => "TW0635",
                QueryFailedCause::HandlerFailed
                | QueryFailedCause::ReplayFailed
                | QueryFailedCause::WorkflowTypeNotRegistered => "TW0634",
            },
        })
    }
}

fn not_ready(standing: &Standing) -> String {
    let task_queue = &standing.task_queue;
    match (&standing.last_failure, standing.status) {
        (Some(failure), _) => {
            format!("the workflow has no state yet that could be asked about: its first workflow task fails: {failure}")
        }
        (None, WorkflowStatus::Running) => format!(
            "the workflow has no state yet that could be asked about: no worker of task queue `{task_queue}` has completed its \
             first workflow task; see that one runs that has the workflow registered"
        ),
        (None, status) => {
            format!(
                "the workflow has no state that could be asked about: it is {}, before its code ran",
                status.as_str()
            )
        }
    }
}
