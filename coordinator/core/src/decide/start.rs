//! `StartWorkflow`: at most one run of an id is open, and a repeated request starts nothing twice (R8).

use tidewright_schemas::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use tidewright_schemas::{
    Answer, Answered, RunId, StartWorkflow, TraceContext, WorkflowExecutionStarted, WorkflowIdReusePolicy,
    WorkflowStarted,
};

use super::draft::Draft;
use super::{Decision, Request};
use crate::state::State;
use crate::{Change, Context, Decided, Rejection, Rows};
use tidewright_schemas::api::WorkflowStatus;

pub(super) fn start<R: Rows>(
    state: &State<'_, R>,
    request: &Request,
    start: &StartWorkflow,
    context: &Context,
) -> Decision {
    let request_id = start.request_id.as_ref().or(request.event_id.as_ref());
    check(start, request_id)?;
    if let Some(request_id) = request_id
        && let Some(run_id) = state.run_of_request(&start.workflow_id, request_id)?
    {
        return Ok(already_started(start, run_id));
    }
    if let Some(row) = state.workflow(&start.workflow_id)? {
        let status = state.run(&start.workflow_id, &row.current_run)?.map(|run| run.status);
        may_reuse(start, request_id.is_some(), &row.current_run, status)?;
    }
    let run_id = context.run_id(0);
    let mut draft = Draft::of_new_run(&start.workflow_id, &run_id, &start.task_queue, context);
    draft.event(WorkflowExecutionStarted {
        workflow_type: start.workflow_type.clone(),
        task_queue: start.task_queue.clone(),
        input: start.input.clone(),
        request_id: request_id.cloned(),
        workflow_id_reuse_policy: start.workflow_id_reuse_policy,
        identity: start.identity.clone(),
        traceparent: request.traceparent.clone().filter(|trace| is_trace(trace)),
    });
    draft.send_workflow_task();
    if let Some(reply_to) = &start.reply_to {
        let answer = Answer::WorkflowStarted(WorkflowStarted { run_id });
        draft.row(Answered { reply_to: reply_to.clone(), answer });
    }
    Ok(draft.finish().into())
}

/// Whether it is worth keeping: what is no trace context is passed over, as W3C says.
fn is_trace(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && TraceContext::parse(text).is_some()
}

/// The same request again: the same answer, if anyone wants one.
fn already_started(start: &StartWorkflow, run_id: RunId) -> Decided {
    match &start.reply_to {
        None => Decided::Nothing,
        Some(reply_to) => {
            let answer = Answer::WorkflowStarted(WorkflowStarted { run_id });
            let fact = Answered { reply_to: reply_to.clone(), answer };
            Change::of_rows(start.workflow_id.clone(), vec![fact.into()]).into()
        }
    }
}

fn may_reuse(
    start: &StartWorkflow,
    has_request_id: bool,
    run_id: &RunId,
    status: Option<WorkflowStatus>,
) -> Result<(), Rejection> {
    use WorkflowIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
    let default = if has_request_id { AllowDuplicate } else { RejectDuplicate };
    let policy = start.workflow_id_reuse_policy.unwrap_or(default);
    let id = &start.workflow_id;
    let reject = |code, message| Err(Rejection { code, message, run_id: Some(run_id.clone()) });
    match (status, policy) {
        (None, _) | (Some(WorkflowStatus::Completed | WorkflowStatus::Failed), AllowDuplicate) => Ok(()),
        (Some(WorkflowStatus::Failed), AllowDuplicateFailedOnly) => Ok(()),
        (Some(WorkflowStatus::Running), _) => reject(
            "TW0202",
            format!("workflow `{id}` is already running as {run_id}; use another workflow id, or wait for its end"),
        ),
        (Some(status), policy) => reject(
            "TW0203",
            format!(
                "workflow `{id}` was already run as {run_id} ({}), and the policy is {policy:?}; use another workflow \
                 id, or say `workflow_id_reuse_policy: AllowDuplicate` (the default of a start with a request_id)",
                status.as_str()
            ),
        ),
    }
}

fn check(start: &StartWorkflow, request_id: Option<&String>) -> Result<(), Rejection> {
    let names = [
        ("workflow_type", Some(&start.workflow_type)),
        ("task_queue", Some(&start.task_queue)),
        ("request_id", request_id),
        ("identity", start.identity.as_ref()),
    ];
    for (field, value) in names {
        let Some(value) = value else { continue };
        if value.is_empty() || value.len() > NAME_BYTES_MAX {
            let message = format!("`{field}` has {} bytes; 1 to {NAME_BYTES_MAX} are allowed", value.len());
            return Err(Rejection::new("TW0201", message));
        }
    }
    let size = start.input.as_ref().map_or(0, tidewright_schemas::Payload::size);
    if size > PAYLOAD_BYTES_MAX {
        let message = format!(
            "the input of workflow `{}` has {size} bytes; at most {PAYLOAD_BYTES_MAX} are allowed. Pass a reference to where it is stored",
            start.workflow_id
        );
        return Err(Rejection::new("TW0204", message));
    }
    Ok(())
}
