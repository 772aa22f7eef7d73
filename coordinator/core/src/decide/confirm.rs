//! `ConfirmTask`: is a task that may be a repeat still wanted (R25, R26)?
//!
//! | activity | the asker says which process it is | it does not |
//! |---|---|---|
//! | `Dispatched`, this attempt | run, and `Started` by the asker: the grant | run, and counted; after three deliveries the attempt fails by its policy. At most once: run, and `Started` |
//! | `Started`, this attempt | run if the asker holds the grant, else drop | drop |
//! | anything else | drop | drop |
//!
//! A `Dispatched` attempt of an activity that its workflow has asked to end is not run: it closes as cancelled.
//!
//! | workflow task | |
//! |---|---|
//! | `Out`, this attempt, the one who asked last asks again | run |
//! | `Out`, this attempt, somebody else asks | run, and counted; after three deliveries drop, and the task is withheld for its backoff |
//! | anything else | drop |

use tidewright_schemas::{
    ActivityDelivered, ActivityStarted, Answer, Answered, ConfirmTask, Failure, TaskConfirmed, TaskKind, TaskVerdict,
    WorkerIdentity, WorkflowTaskDelivered, WorkflowTaskFailedCause,
};

use super::activity::OpenActivity;
use super::activity_retry::{AttemptFailure, fail_attempt_in};
use super::draft::Draft;
use super::workflow_task::{FailedTask, OutTask, fail_task};
use super::{Decision, fit};
use crate::state::{ActivityState, State};
use crate::{Change, Context, Decided, Rows, TaskToken};

/// After so many deliveries that nobody has come to an end with, a task is taken for one that takes its workers down.
const DELIVERIES_MAX: u32 = 3;

pub(super) fn confirm<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &ConfirmTask,
    context: &Context,
) -> Decision {
    let dropped = || Change::of_rows(token.workflow_id.clone(), vec![answer(command, TaskVerdict::Drop).into()]);
    match token.task.kind {
        TaskKind::Workflow => match OutTask::of_token(state, token)? {
            None => Ok(dropped().into()),
            Some(out) => workflow_task(state, token, &out, command, context),
        },
        TaskKind::Activity => {
            let found = OpenActivity::of_token(state, token)?;
            match found.filter(|activity| activity.row.attempt == token.task.attempt) {
                None => Ok(dropped().into()),
                Some(found) if found.is_cancelled_before_it_runs() => Ok(cancel(&found, command, context)),
                Some(found) => Ok(activity(&found, command, context)),
            }
        }
    }
}

impl OpenActivity {
    fn is_cancelled_before_it_runs(&self) -> bool {
        self.row.state == ActivityState::Dispatched && self.row.cancel_requested_event_id.is_some()
    }
}

fn cancel(activity: &OpenActivity, command: &ConfirmTask, context: &Context) -> Decided {
    let mut draft = activity.draft(context);
    if let Some(canceled) = activity.canceled(None, &fit::worker(&command.worker)) {
        activity.close_in(&mut draft, None, canceled);
    }
    draft.row(answer(command, TaskVerdict::Drop));
    draft.finish().into()
}

fn activity(activity: &OpenActivity, command: &ConfirmTask, context: &Context) -> Decided {
    let asker = fit::worker(&command.worker);
    let mut draft = activity.draft(context);
    let verdict = match &activity.row.state {
        ActivityState::Dispatched => send_to(activity, asker, &mut draft),
        // It holds the grant, so it is told the same again (R21).
        ActivityState::Started { worker, .. } if worker.is_same_process(&asker) => TaskVerdict::Run,
        ActivityState::Started { .. } | ActivityState::BackingOff { .. } => TaskVerdict::Drop,
    };
    draft.row(answer(command, verdict));
    draft.finish().into()
}

/// The first asker runs the attempt, and whoever else asks does not. One that is nobody cannot be told from others, so
/// each may run it, unless it is to run at most once.
fn send_to(activity: &OpenActivity, asker: WorkerIdentity, draft: &mut Draft) -> TaskVerdict {
    let (scheduled_event_id, attempt) = (activity.scheduled_event_id, activity.row.attempt);
    if !asker.incarnation.is_empty() || activity.row.is_at_most_once() {
        draft.row(ActivityStarted { scheduled_event_id, attempt, worker: asker, time_ms: draft.now_ms });
        return TaskVerdict::Run;
    }
    if activity.row.deliveries >= DELIVERIES_MAX {
        let message = format!(
            "activity `{}` was delivered {} times, and no worker came to an end with it: it may be what takes them down",
            activity.row.activity_type, activity.row.deliveries
        );
        let failure = AttemptFailure::Failed(Failure::server("TW0321", message, false));
        fail_attempt_in(draft, activity, failure, Some(&asker));
        return TaskVerdict::Drop;
    }
    let deliveries = activity.row.deliveries.saturating_add(1);
    draft.row(ActivityDelivered { scheduled_event_id, attempt, deliveries });
    TaskVerdict::Run
}

fn workflow_task<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    out: &OutTask,
    command: &ConfirmTask,
    context: &Context,
) -> Decision {
    let (workflow_id, run_id) = (&token.workflow_id, &token.task.run_id);
    let asker = fit::worker(&command.worker);
    let mut draft = Draft::of(workflow_id, run_id, &out.run, context);
    if !asker.incarnation.is_empty() && asker.incarnation == out.asked_by {
        draft.row(answer(command, TaskVerdict::Run));
        return Ok(draft.finish().into());
    }
    if out.deliveries >= DELIVERIES_MAX {
        let message = format!(
            "the workflow task was delivered {} times, and no worker came to an end with it: it may be what takes them \
             down, so it is withheld for a while",
            out.deliveries
        );
        let failure = Failure::server("TW0322", message, false);
        let failed = FailedTask { cause: WorkflowTaskFailedCause::TaskWithheld, failure, at_once: false };
        let mut decided = fail_task(state, workflow_id, run_id, out, failed, &asker, context)?;
        if let Decided::Change(change) = &mut decided {
            change.rows.push(answer(command, TaskVerdict::Drop).into());
        }
        return Ok(decided);
    }
    draft.row(WorkflowTaskDelivered {
        scheduled_event_id: out.scheduled_event_id,
        attempt: out.attempt,
        deliveries: out.deliveries.saturating_add(1),
        worker: asker,
    });
    draft.row(answer(command, TaskVerdict::Run));
    Ok(draft.finish().into())
}

fn answer(command: &ConfirmTask, verdict: TaskVerdict) -> Answered {
    Answered { reply_to: command.reply_to.clone(), answer: Answer::TaskConfirmed(TaskConfirmed { verdict }) }
}
