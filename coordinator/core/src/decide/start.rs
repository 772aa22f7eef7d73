//! `StartWorkflow` and `SignalWithStartWorkflow`: at most one run of an id is open, and a repeated request starts nothing
//! twice (R8).
//!
//! | the id's latest run | what a start does | what a signal-with-start does |
//! |---|---|---|
//! | none | starts | starts, then signals |
//! | closed | by reuse policy | by reuse policy |
//! | open, `Fail` (default of a start) | rejected | is no choice |
//! | open, `UseExisting` (default of a signal-with-start) | answers with the open run | signals the open run |
//! | open, `TerminateExisting` | terminates it and starts, in one record (R1) | the same, then signals |

use std::collections::BTreeMap;

use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use tidewright_schemas::{
    Answer, Answered, Payload, ReplyTo, RequestAttached, RunId, Signal, SignalWithStartWorkflow, StartWorkflow,
    TraceContext, WorkflowExecutionSignaled, WorkflowExecutionStarted, WorkflowExecutionTerminated,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStarted,
};

use super::control::check_signal;
use super::draft::Draft;
use super::{Decision, Refusal, Request, fit};
use crate::state::{RequestRow, RunRow, State, WorkflowTaskState};
use crate::{Change, Context, Decided, Rejection, Rows};

/// A start that was checked, with what goes along with it.
struct Start<'a> {
    command: &'a StartWorkflow,
    signal: Option<&'a Signal>,
    request_id: Option<&'a String>,
    traceparent: Option<&'a String>,
}

pub(super) fn start<R: Rows>(
    state: &State<'_, R>,
    request: &Request,
    command: &StartWorkflow,
    context: &Context,
) -> Decision {
    let start = Start::new(request, command, None)?;
    start.decide(state, command.workflow_id_conflict_policy.unwrap_or(WorkflowIdConflictPolicy::Fail), context)
}

pub(super) fn signal_with_start<R: Rows>(
    state: &State<'_, R>,
    request: &Request,
    both: &SignalWithStartWorkflow,
    context: &Context,
) -> Decision {
    check_signal(&both.start.workflow_id, &both.signal.signal_name, both.signal.input.as_ref())?;
    let start = Start::new(request, &both.start, Some(&both.signal))?;
    let policy = both.start.workflow_id_conflict_policy.unwrap_or(WorkflowIdConflictPolicy::UseExisting);
    if policy == WorkflowIdConflictPolicy::Fail {
        let message =
            "`workflow_id_conflict_policy: Fail` makes no sense for a SignalWithStartWorkflow; use a StartWorkflow";
        return Err(Rejection::new("TW0201", message).into());
    }
    start.decide(state, policy, context)
}

impl<'a> Start<'a> {
    fn new(request: &'a Request, command: &'a StartWorkflow, signal: Option<&'a Signal>) -> Result<Self, Rejection> {
        let request_id = command.request_id.as_ref().or(request.event_id.as_ref());
        check(command, request_id)?;
        let traceparent = request.traceparent.as_ref().filter(|trace| is_trace(trace));
        Ok(Self { command, signal, request_id, traceparent })
    }

    fn decide<R: Rows>(&self, state: &State<'_, R>, policy: WorkflowIdConflictPolicy, context: &Context) -> Decision {
        let id = &self.command.workflow_id;
        // A request whose run is deleted was never made.
        if let Some(request_id) = self.request_id
            && let Some(RequestRow { run_id, started }) = state.request(id, request_id)?
            && state.run(id, &run_id)?.is_some()
        {
            return Ok(self.repeated(run_id, started));
        }
        let latest = match state.workflow(id)? {
            Some(row) => state.run(id, &row.current_run)?.map(|run| (row.current_run, run)),
            None => None,
        };
        match latest {
            Some((run_id, run)) if run.is_open() => self.meet(state, policy, &run_id, &run, context),
            Some((run_id, run)) => {
                self.may_reuse(&run_id, run.status)?;
                Ok(self.begin(context).into())
            }
            None => Ok(self.begin(context).into()),
        }
    }

    /// A run of the id is open.
    fn meet<R: Rows>(
        &self,
        state: &State<'_, R>,
        policy: WorkflowIdConflictPolicy,
        run_id: &RunId,
        run: &RunRow,
        context: &Context,
    ) -> Decision {
        match policy {
            WorkflowIdConflictPolicy::Fail => Err(self.rejected(
                run_id,
                "TW0202",
                format!(
                    "workflow `{}` is already running as {run_id}; use another workflow id, wait for its end, or say \
                     `workflow_id_conflict_policy`",
                    self.command.workflow_id
                ),
            )),
            WorkflowIdConflictPolicy::UseExisting => Ok(self.use_existing(run_id, run, context)),
            WorkflowIdConflictPolicy::TerminateExisting => {
                let next = self.begin(context);
                let reserved = next.events.iter().map(fit::json_bytes).sum();
                let mut draft = Draft::of(&self.command.workflow_id, run_id, run, context);
                draft.close_tasks(state, run, reserved)?;
                draft.event(WorkflowExecutionTerminated {
                    reason: Some("another start of the workflow id terminates the open run".to_owned()),
                    identity: self.command.identity.clone(),
                    ..WorkflowExecutionTerminated::default()
                });
                Ok(draft.finish().followed_by(next).into())
            }
        }
    }

    /// Starts nothing; the open run hears the signal, and remembers the request, so that its repeats stay one.
    fn use_existing(&self, run_id: &RunId, run: &RunRow, context: &Context) -> Decided {
        let mut draft = Draft::of(&self.command.workflow_id, run_id, run, context);
        if let Some(signal) = self.signal {
            draft.happened(vec![self.signaled(signal).into()], true);
            if matches!(run.workflow_task, WorkflowTaskState::Delayed { .. }) {
                draft.send_workflow_task();
            }
        }
        if let Some(request_id) = self.request_id {
            draft.row(RequestAttached { request_id: request_id.clone() });
        }
        if let Some(reply_to) = &self.command.reply_to {
            draft.row(answer(reply_to, run_id.clone(), false));
        }
        draft.finish_or_nothing()
    }

    fn begin(&self, context: &Context) -> Change {
        let command = self.command;
        let run_id = context.run_id(0);
        let mut draft = Draft::of_new_run(&command.workflow_id, &run_id, &command.task_queue, context);
        let delay_ms = command.start_delay_ms.filter(|delay| *delay > 0);
        let execution_timeout_ms = command.workflow_execution_timeout_ms.filter(|timeout| *timeout > 0);
        draft.event(WorkflowExecutionStarted {
            workflow_type: command.workflow_type.clone(),
            task_queue: command.task_queue.clone(),
            input: command.input.clone(),
            request_id: self.request_id.cloned(),
            workflow_id_reuse_policy: command.workflow_id_reuse_policy,
            workflow_execution_timeout_ms: execution_timeout_ms,
            workflow_run_timeout_ms: command.workflow_run_timeout_ms.filter(|timeout| *timeout > 0),
            workflow_task_timeout_ms: command.workflow_task_timeout_ms.filter(|timeout| *timeout > 0),
            workflow_execution_expiration_time_ms: execution_timeout_ms
                .map(|timeout| draft.now_ms.saturating_add(delay_ms.unwrap_or(0)).saturating_add(timeout)),
            first_workflow_task_backoff_ms: delay_ms,
            memo: command.memo.clone(),
            header: command.header.clone(),
            priority: command.priority.clone(),
            user_metadata: command.user_metadata.clone(),
            links: command.links.clone(),
            identity: command.identity.clone(),
            traceparent: self.traceparent.cloned(),
        });
        if let Some(signal) = self.signal {
            draft.event(self.signaled(signal));
        }
        if delay_ms.is_none() {
            draft.send_workflow_task();
        }
        if let Some(reply_to) = &command.reply_to {
            draft.row(answer(reply_to, run_id, true));
        }
        draft.finish()
    }

    fn signaled(&self, signal: &Signal) -> WorkflowExecutionSignaled {
        WorkflowExecutionSignaled {
            signal_name: signal.signal_name.clone(),
            input: signal.input.clone(),
            header: signal.header.clone(),
            request_id: None,
            links: self.command.links.clone(),
            identity: self.command.identity.clone(),
        }
    }

    /// The same request again: the same answer, if anyone wants one.
    fn repeated(&self, run_id: RunId, started: bool) -> Decided {
        match &self.command.reply_to {
            None => Decided::Nothing,
            Some(reply_to) => {
                let fact = answer(reply_to, run_id, started);
                Change::of_rows(self.command.workflow_id.clone(), vec![fact.into()]).into()
            }
        }
    }

    fn may_reuse(&self, run_id: &RunId, status: WorkflowStatus) -> Result<(), Refusal> {
        use WorkflowIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
        let default = if self.request_id.is_some() { AllowDuplicate } else { RejectDuplicate };
        let policy = self.command.workflow_id_reuse_policy.unwrap_or(default);
        let allowed = match policy {
            AllowDuplicate => true,
            AllowDuplicateFailedOnly => status != WorkflowStatus::Completed,
            RejectDuplicate => false,
        };
        if allowed {
            return Ok(());
        }
        let message = format!(
            "workflow `{}` was already run as {run_id} ({}), and the policy is {policy:?}; use another workflow id, or say \
             `workflow_id_reuse_policy: AllowDuplicate` (the default of a start with a request_id)",
            self.command.workflow_id,
            status.as_str()
        );
        Err(self.rejected(run_id, "TW0203", message))
    }

    fn rejected(&self, run_id: &RunId, code: &'static str, message: String) -> Refusal {
        Rejection { code, message, run_id: Some(run_id.clone()) }.into()
    }
}

/// Whether it is worth keeping: what is no trace context is passed over, as W3C says.
fn is_trace(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && TraceContext::parse(text).is_some()
}

fn answer(reply_to: &ReplyTo, run_id: RunId, started: bool) -> Answered {
    let answer = Answer::WorkflowStarted(WorkflowStarted { run_id, started });
    Answered { reply_to: reply_to.clone(), answer }
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
    let of_map = |map: &BTreeMap<String, Payload>| map.iter().map(|(key, value)| key.len() + value.size()).sum();
    let sizes = [
        ("input", start.input.as_ref().map_or(0, Payload::size)),
        ("memo", of_map(&start.memo)),
        ("header", of_map(&start.header)),
    ];
    for (what, size) in sizes {
        if size > PAYLOAD_BYTES_MAX {
            let message = format!(
                "the {what} of workflow `{}` has {size} bytes; at most {PAYLOAD_BYTES_MAX} are allowed. Pass a reference to \
                 where it is stored",
                start.workflow_id
            );
            return Err(Rejection::new("TW0204", message));
        }
    }
    Ok(())
}
