//! Signals, requests to cancel, and terminations: what anyone may ask of a workflow that was started.
//!
//! | run | signal | request to cancel | terminate |
//! |---|---|---|---|
//! | open | an event, or buffered while a workflow task is out | the same; once | closes at once |
//! | closed | rejected | rejected | rejected, unless this request closed it |
//! | none | rejected | rejected | rejected |
//!
//! A request that the run has taken already is answered again and changes nothing (R21).

use std::ops::ControlFlow;

use tidewright_schemas::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use tidewright_schemas::{
    Answer, Answered, Payload, ReplyTo, RequestAccepted, RequestCancelWorkflow, RunId, SignalWorkflow,
    TerminateWorkflow, WorkflowExecutionCancelRequested, WorkflowExecutionSignaled, WorkflowExecutionTerminated,
    WorkflowId,
};

use super::draft::Draft;
use super::{Decision, Refusal, Request, fit};
use crate::state::{RunRow, State};
use crate::{Change, Context, Decided, Rejection, Rows};

pub(super) fn signal<R: Rows>(
    state: &State<'_, R>,
    request: &Request,
    command: &SignalWorkflow,
    context: &Context,
) -> Decision {
    let id = &request.workflow_id;
    let request_id = command.request_id.as_ref().or(request.event_id.as_ref());
    check_signal(id, &command.signal_name, command.input.as_ref())?;
    check_names(&[("request_id", request_id), ("identity", command.identity.as_ref())])?;
    let asked = Asked { run_id: command.run_id.as_ref(), request_id, reply_to: command.reply_to.as_ref() };
    let (run_id, run) = match asked.open_run(state, id)? {
        ControlFlow::Continue(open) => open,
        ControlFlow::Break(answered) => return Ok(answered),
    };
    let mut draft = Draft::of(id, &run_id, &run, context);
    let signaled = WorkflowExecutionSignaled {
        signal_name: command.signal_name.clone(),
        input: command.input.clone(),
        header: command.header.clone(),
        request_id: request_id.cloned(),
        links: command.links.clone(),
        identity: command.identity.clone(),
    };
    draft.happened(vec![signaled.into()], true);
    Ok(accept(draft, command.reply_to.as_ref(), run_id))
}

pub(super) fn request_cancel<R: Rows>(
    state: &State<'_, R>,
    request: &Request,
    command: &RequestCancelWorkflow,
    context: &Context,
) -> Decision {
    let id = &request.workflow_id;
    let request_id = command.request_id.as_ref().or(request.event_id.as_ref());
    check_names(&[("request_id", request_id), ("identity", command.identity.as_ref())])?;
    let asked = Asked { run_id: command.run_id.as_ref(), request_id, reply_to: command.reply_to.as_ref() };
    let (run_id, run) = match asked.open_run(state, id)? {
        ControlFlow::Continue(open) => open,
        ControlFlow::Break(answered) => return Ok(answered),
    };
    if run.cancel_requested {
        return Ok(accepted_before(id, command.reply_to.as_ref(), run_id));
    }
    let mut draft = Draft::of(id, &run_id, &run, context);
    let requested = WorkflowExecutionCancelRequested {
        cause: command.reason.as_deref().map(fit::text),
        request_id: request_id.cloned(),
        links: command.links.clone(),
        identity: command.identity.clone(),
    };
    draft.happened(vec![requested.into()], true);
    Ok(accept(draft, command.reply_to.as_ref(), run_id))
}

pub(super) fn terminate<R: Rows>(
    state: &State<'_, R>,
    request: &Request,
    command: &TerminateWorkflow,
    context: &Context,
) -> Decision {
    let id = &request.workflow_id;
    let request_id = command.request_id.as_ref().or(request.event_id.as_ref());
    check_names(&[("request_id", request_id), ("identity", command.identity.as_ref())])?;
    check_payload(id, "details", command.details.as_ref())?;
    let asked = Asked { run_id: command.run_id.as_ref(), request_id, reply_to: command.reply_to.as_ref() };
    let (run_id, run) = match asked.open_run(state, id)? {
        ControlFlow::Continue(open) => open,
        ControlFlow::Break(answered) => return Ok(answered),
    };
    let terminated = WorkflowExecutionTerminated {
        reason: command.reason.as_deref().map(fit::text),
        details: command.details.clone(),
        request_id: request_id.cloned(),
        links: command.links.clone(),
        identity: command.identity.clone(),
    };
    let mut draft = Draft::of(id, &run_id, &run, context);
    draft.close_tasks(state, &run, fit::json_bytes(&terminated))?;
    draft.event(terminated);
    Ok(accept(draft, command.reply_to.as_ref(), run_id))
}

/// What requests of an open run have in common.
struct Asked<'a> {
    run_id: Option<&'a RunId>,
    request_id: Option<&'a String>,
    reply_to: Option<&'a ReplyTo>,
}

impl Asked<'_> {
    /// The open run; or the same answer again if the run, closed by now or not, has taken this very request.
    fn open_run<R: Rows>(
        &self,
        state: &State<'_, R>,
        id: &WorkflowId,
    ) -> Result<ControlFlow<Decided, (RunId, RunRow)>, Refusal> {
        let (run_id, run) = find(state, id, self.run_id)?;
        if let Some(request_id) = self.request_id
            && state.request_accepted(id, &run_id, request_id)?
        {
            return Ok(ControlFlow::Break(accepted_before(id, self.reply_to, run_id)));
        }
        if run.is_open() {
            return Ok(ControlFlow::Continue((run_id, run)));
        }
        let closed = run.status.as_str();
        let message = format!("workflow `{id}`, run {run_id}, is closed ({closed}); nothing can be asked of it");
        Err(Rejection { code: "TW0207", message, run_id: Some(run_id) }.into())
    }
}

/// The run that is meant: the one that is named, or the workflow's latest.
pub(super) fn find<R: Rows>(
    state: &State<'_, R>,
    id: &WorkflowId,
    run_id: Option<&RunId>,
) -> Result<(RunId, RunRow), Refusal> {
    let found = match run_id {
        Some(run_id) => Some(run_id.clone()),
        None => state.workflow(id)?.map(|row| row.current_run),
    };
    if let Some(run_id) = found
        && let Some(run) = state.run(id, &run_id)?
    {
        return Ok((run_id, run));
    }
    let which = run_id.map(|run_id| format!(", run {run_id},")).unwrap_or_default();
    let message = format!("there is no workflow `{id}`{which} in this namespace; was it started, and is it retained?");
    Err(Rejection::new("TW0206", message).into())
}

/// Whether a signal may be sent to any workflow.
pub(super) fn check_signal(id: &WorkflowId, name: &str, input: Option<&Payload>) -> Result<(), Rejection> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let message = format!("`signal_name` has {} bytes; 1 to {NAME_BYTES_MAX} are allowed", name.len());
        return Err(Rejection::new("TW0201", message));
    }
    check_payload(id, "input", input)
}

pub(super) fn check_names(names: &[(&str, Option<&String>)]) -> Result<(), Rejection> {
    for (field, value) in names {
        let bytes = value.map_or(1, String::len);
        if bytes == 0 || bytes > NAME_BYTES_MAX {
            let message = format!("`{field}` has {bytes} bytes; 1 to {NAME_BYTES_MAX} are allowed");
            return Err(Rejection::new("TW0201", message));
        }
    }
    Ok(())
}

fn check_payload(id: &WorkflowId, field: &str, payload: Option<&Payload>) -> Result<(), Rejection> {
    let size = payload.map_or(0, Payload::size);
    if size > PAYLOAD_BYTES_MAX {
        let message = format!(
            "`{field}` for workflow `{id}` has {size} bytes; at most {PAYLOAD_BYTES_MAX} are allowed. Pass a reference to \
             where it is stored"
        );
        return Err(Rejection::new("TW0204", message));
    }
    Ok(())
}

fn answer(reply_to: &ReplyTo, run_id: RunId) -> Answered {
    Answered { reply_to: reply_to.clone(), answer: Answer::RequestAccepted(RequestAccepted { run_id }) }
}

pub(super) fn accept(mut draft: Draft, reply_to: Option<&ReplyTo>, run_id: RunId) -> Decided {
    if let Some(reply_to) = reply_to {
        draft.row(answer(reply_to, run_id));
    }
    draft.finish().into()
}

/// The same request again: the same answer, if anyone wants one.
pub(super) fn accepted_before(id: &WorkflowId, reply_to: Option<&ReplyTo>, run_id: RunId) -> Decided {
    match reply_to {
        None => Decided::Nothing,
        Some(reply_to) => Change::of_rows(id.clone(), vec![answer(reply_to, run_id).into()]).into(),
    }
}
