//! `ConfirmTask`: is a task that may be a repeat still wanted (R25)?
//!
//! | activity | at least once | at most once |
//! |---|---|---|
//! | `Dispatched`, this attempt | run | run, and `Started` by the asker: the grant |
//! | `Started`, this attempt | drop | run if the asker holds the grant, else drop |
//! | anything else | drop | drop |
//!
//! A `Dispatched` attempt of an activity that its workflow has asked to end is not run: it closes as cancelled.

use tidewright_schemas::{Answer, Answered, ConfirmTask, TaskConfirmed, TaskKind, TaskVerdict, WorkerIdentity};

use super::activity::OpenActivity;
use super::workflow_task::OutTask;
use super::{Decision, fit};
use crate::state::{ActivityState, State};
use crate::{Change, Context, Rows, RowsError, TaskToken};

pub(super) fn confirm<R: Rows>(
    state: &State<'_, R>,
    token: &TaskToken,
    command: &ConfirmTask,
    context: &Context,
) -> Decision {
    let verdict = match token.task.kind {
        TaskKind::Workflow => verdict(is_out(state, token)?),
        TaskKind::Activity => {
            let found = OpenActivity::of_token(state, token)?;
            match found.filter(|activity| activity.row.attempt == token.task.attempt) {
                None => TaskVerdict::Drop,
                Some(activity) if activity.is_cancelled_before_it_runs() => {
                    return Ok(cancel(&activity, command, context));
                }
                Some(activity) if activity.row.is_at_most_once() => return Ok(grant(&activity, command, context)),
                Some(activity) => verdict(activity.row.state == ActivityState::Dispatched),
            }
        }
    };
    Ok(Change::of_rows(token.workflow_id.clone(), vec![answer(command, verdict).into()]).into())
}

impl OpenActivity {
    fn is_cancelled_before_it_runs(&self) -> bool {
        self.row.state == ActivityState::Dispatched && self.row.cancel_requested_event_id.is_some()
    }
}

fn cancel(activity: &OpenActivity, command: &ConfirmTask, context: &Context) -> crate::Decided {
    let mut draft = activity.draft(context);
    if let Some(canceled) = activity.canceled(None, &fit::worker(&command.worker)) {
        activity.close_in(&mut draft, None, canceled);
    }
    draft.row(answer(command, TaskVerdict::Drop));
    draft.finish().into()
}

/// The first asker may run the attempt; whoever else asks may not, and the first is told the same again (R21).
fn grant(activity: &OpenActivity, command: &ConfirmTask, context: &Context) -> crate::Decided {
    let asker = fit::worker(&command.worker);
    let mut draft = activity.draft(context);
    let verdict = match &activity.row.state {
        ActivityState::Dispatched => {
            let started = activity.started(asker, draft.now_ms);
            draft.row(started);
            TaskVerdict::Run
        }
        ActivityState::Started { worker, .. } => verdict(is_same_process(worker, &asker)),
        ActivityState::BackingOff { .. } => TaskVerdict::Drop,
    };
    draft.row(answer(command, verdict));
    draft.finish().into()
}

fn is_same_process(a: &WorkerIdentity, b: &WorkerIdentity) -> bool {
    !a.incarnation.is_empty() && a.incarnation == b.incarnation
}

fn is_out<R: Rows>(state: &State<'_, R>, token: &TaskToken) -> Result<bool, RowsError> {
    let task = &token.task;
    let out = OutTask::find(state, &token.workflow_id, &task.run_id, task.scheduled_event_id, task.attempt)?;
    Ok(out.is_some_and(|out| out.run.history_digest == token.digest))
}

fn verdict(run: bool) -> TaskVerdict {
    if run { TaskVerdict::Run } else { TaskVerdict::Drop }
}

fn answer(command: &ConfirmTask, verdict: TaskVerdict) -> Answered {
    Answered { reply_to: command.reply_to.clone(), answer: Answer::TaskConfirmed(TaskConfirmed { verdict }) }
}
