//! What a command changes. One file per family; this one only tells them apart.

mod activity;
mod activity_cancel;
mod activity_retry;
mod confirm;
mod control;
mod decision_check;
mod decisions;
mod delete;
mod draft;
mod fit;
mod heartbeat;
mod return_task;
mod start;
mod task_trouble;
mod timer;
mod worker_lost;
mod workflow_task;

use tidewright_schemas::{Answer, Answered, Command, DeadLettered, OriginSeen, Rejected, RowFact, WorkflowId};

use crate::state::State;
use crate::{Change, Context, Decided, Rejection, Rows, RowsError, TaskToken};

/// A command with what its record says besides its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The workflow that it is about.
    pub workflow_id: WorkflowId,
    /// The command.
    pub command: Command,
    /// The token that it carries, opened: its MAC was checked.
    pub token: Option<TaskToken>,
    /// Where it came from, if it was forwarded: its MAC was checked (R9).
    pub origin: Option<String>,
    /// Stands in for a missing request id (`ce_id`).
    pub event_id: Option<String>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

/// Why a command has no effect: an answer to its sender, or state that cannot be read.
pub(crate) enum Refusal {
    Rejected(Rejection),
    Rows(RowsError),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<RowsError> for Refusal {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

pub(crate) type Decision = Result<Decided, Refusal>;

/// Says what a command changes. Pure: the same rows, request and context give the same answer.
pub fn decide<R: Rows>(rows: &R, request: &Request, context: &Context) -> Result<Decided, RowsError> {
    let state = State(rows);
    if let Some(origin) = &request.origin
        && state.origin_seen(&request.workflow_id, origin)?
    {
        return Ok(Decided::Nothing);
    }
    let decided = match dispatch(&state, request, context) {
        Ok(decided) => decided,
        Err(Refusal::Rows(error)) => return Err(error),
        Err(Refusal::Rejected(rejection)) => refuse(request, rejection),
    };
    Ok(remember_origin(request, decided))
}

fn dispatch<R: Rows>(state: &State<'_, R>, request: &Request, context: &Context) -> Decision {
    // A command changes its own workflow id and no other (R1).
    let token = request.token.as_ref().filter(|token| token.workflow_id == request.workflow_id);
    match (&request.command, token) {
        (Command::StartWorkflow(start), _) => start::start(state, request, start, context),
        (Command::SignalWithStartWorkflow(both), _) => start::signal_with_start(state, request, both, context),
        (Command::SignalWorkflow(c), _) => control::signal(state, request, c, context),
        (Command::RequestCancelWorkflow(c), _) => control::request_cancel(state, request, c, context),
        (Command::TerminateWorkflow(c), _) => control::terminate(state, request, c, context),
        (Command::DeleteWorkflow(c), _) => delete::delete(state, request, c, context),
        (Command::CompleteWorkflowTask(c), Some(token)) => workflow_task::complete(state, token, c, context),
        (Command::FailWorkflowTask(c), Some(token)) => workflow_task::fail(state, token, c, context),
        (Command::RecordActivityStarted(c), Some(token)) => activity::record_started(state, token, c, context),
        (Command::RecordActivityHeartbeat(c), Some(token)) => heartbeat::record(state, token, c, context),
        (Command::CompleteActivity(c), Some(token)) => activity::complete(state, token, c, context),
        (Command::FailActivity(c), Some(token)) => activity::fail(state, token, c, context),
        (Command::CancelActivity(c), Some(token)) => activity_cancel::canceled(state, token, c, context),
        (Command::ConfirmTask(c), Some(token)) => confirm::confirm(state, token, c, context),
        (Command::ReturnTask(c), Some(token)) => return_task::return_task(state, token, c, context),
        (Command::FireTimer(c), _) => timer::fire(state, &request.workflow_id, c, context),
        (Command::EffectFailed(c), _) => task_trouble::undeliverable(state, &request.workflow_id, c, context),
        (Command::TaskLost(c), _) => task_trouble::lost(state, &request.workflow_id, c, context),
        (Command::WorkerLost(c), _) => worker_lost::lost(state, &request.workflow_id, c, context),
        (command, None) => {
            let message = format!("a {} without the token of its task; repeat the task's token", command.type_name());
            Err(Rejection::new("TW0107", message).into())
        }
    }
}

/// A rejection leaves a record even if it changes nothing else (R2): the answer, or the way to the dead letters.
fn refuse(request: &Request, rejection: Rejection) -> Decided {
    let fact = match request.command.reply_to() {
        Some(reply_to) => {
            let Rejection { code, message, run_id } = rejection;
            let answer = Answer::Rejected(Rejected { code: code.to_owned(), message, run_id });
            RowFact::Answered(Answered { reply_to: reply_to.clone(), answer })
        }
        None => RowFact::DeadLettered(DeadLettered { code: rejection.code.to_owned(), message: rejection.message }),
    };
    Change::of_rows(request.workflow_id.clone(), vec![fact]).into()
}

/// A forwarded command is taken once even if it changed nothing: what its repeat meets may be another state (R9).
fn remember_origin(request: &Request, decided: Decided) -> Decided {
    let Some(origin) = &request.origin else { return decided };
    let mut change = match decided {
        Decided::Change(change) => *change,
        Decided::Nothing => Change::of_rows(request.workflow_id.clone(), Vec::new()),
        early @ Decided::Early { .. } => return early,
        Decided::Tell(told) => Change::of_rows(request.workflow_id.clone(), vec![told.into()]),
    };
    change.rows.push(RowFact::OriginSeen(OriginSeen { origin: origin.clone() }));
    change.into()
}
