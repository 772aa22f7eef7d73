//! What a run says when it is asked: by its own queries, or by those that every workflow has.

use jiff::Timestamp;
use serde_json::{Value, json};
use tidewright_replay::{PendingOperation, QueryProblem, ReplayError, Run};
use tidewright_schemas::{Answer, Failure, Payload, QueryBasis, QueryFailed, QueryFailedCause, QueryTask};

use crate::error::application;

/// What the workflow waits for, and where in its code.
const STACK_TRACE: &str = "__stack_trace";
/// The workflow's state, if it can be shown; else what it waits for.
const STATE: &str = "__state";
/// Its queries and signals.
const METADATA: &str = "__temporal_workflow_metadata";

/// Why a query has no answer.
#[derive(Debug)]
pub(crate) struct Problem {
    cause: QueryFailedCause,
    failure: Box<Failure>,
    /// Whether the run is no good any more.
    pub(crate) spoils_the_run: bool,
}

impl Problem {
    pub(crate) fn new(cause: QueryFailedCause, error_type: &str, message: impl Into<String>) -> Self {
        let failure = application(error_type.to_owned(), message.into(), false);
        Self { cause, failure, spoils_the_run: false }
    }

    /// Something about the query's code.
    pub(crate) fn handler(error_type: &str, message: impl Into<String>) -> Self {
        Self::new(QueryFailedCause::HandlerFailed, error_type, message)
    }

    /// The history is not available.
    pub(crate) fn history(problem: impl Into<String>) -> Self {
        let message = format!("the history that the query is about is not available: {}", problem.into());
        Self::new(QueryFailedCause::ReplayFailed, "HistoryUnavailable", message)
    }

    /// The history cannot be replayed.
    pub(crate) fn replay(error: &ReplayError) -> Self {
        let error_type = match error {
            ReplayError::NonDeterministic { .. } => "NonDeterministicError",
            ReplayError::Panicked(_) => "Panic",
            ReplayError::BadHistory(_) => "HistoryUnavailable",
            _ => "WorkflowWorkerUnhandledFailure",
        };
        Self::new(QueryFailedCause::ReplayFailed, error_type, error.to_string())
    }

    pub(crate) fn into_answer(self, basis: Option<QueryBasis>) -> Answer {
        QueryFailed { basis, cause: self.cause, failure: Box::new(self.failure.shortened()) }.into()
    }
}

impl From<QueryProblem> for Problem {
    fn from(problem: QueryProblem) -> Self {
        let message = problem.to_string();
        match problem {
            QueryProblem::Unknown { .. } => Self::new(QueryFailedCause::UnknownQuery, "UnknownQuery", message),
            QueryProblem::Failed(failure) => {
                Self { cause: QueryFailedCause::HandlerFailed, failure, spoils_the_run: false }
            }
            _ => Self { spoils_the_run: true, ..Self::handler("Panic", message) },
        }
    }
}

/// The answer of a run.
pub(crate) fn of(run: &Run, query: &QueryTask) -> Result<Payload, Problem> {
    let built_in = match query.query_type.as_str() {
        STACK_TRACE => Value::String(stack_trace(run)),
        STATE => match run.workflow_state() {
            Some(state) => return Ok(state),
            None => run.pending().iter().map(as_json).collect(),
        },
        METADATA => metadata(run),
        name => {
            return run.query(name, query.query_args.as_ref()).map_err(|problem| match problem {
                QueryProblem::Unknown { name, mut known } => {
                    known.extend([STACK_TRACE, STATE, METADATA]);
                    QueryProblem::Unknown { name, known }.into()
                }
                other => other.into(),
            });
        }
    };
    Payload::new(&built_in).map_err(|error| Problem::handler("QueryResultUnreadable", error.to_string()))
}

fn stack_trace(run: &Run) -> String {
    let info = run.info();
    let mut text = format!("workflow {} ({}), run {}\n", info.workflow_id, info.workflow_type, info.run_id);
    if run.is_closed() {
        text.push_str("its code has ended\n");
    } else {
        text.push_str("waits for\n");
    }
    for operation in run.pending() {
        text.push_str(&format!("  {operation}, since {}\n", time(operation.since_ms)));
    }
    text
}

fn as_json(operation: &PendingOperation) -> Value {
    json!({
        "kind": operation.kind.as_str(),
        "name": operation.name,
        "since": time(operation.since_ms),
        "at": operation.at.to_string(),
    })
}

fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX).to_string()
}

fn metadata(run: &Run) -> Value {
    let named = |names: Vec<&str>| names.into_iter().map(|name| json!({"name": name})).collect::<Value>();
    json!({
        "definition": {
            "type": run.info().workflow_type,
            "queryDefinitions": named(run.query_names()),
            "signalDefinitions": named(run.signal_names()),
            "updateDefinitions": [],
        }
    })
}
