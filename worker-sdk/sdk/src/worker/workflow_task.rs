//! Advances one run by one workflow task: a task and perhaps a cached run in, a command and perhaps a run to cache out.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewright_client::{HistoryPages, HistoryRange};
use tidewright_replay::{Note, Place, ReplayError, Run, RunInfo, WorkflowStart};
use tidewright_schemas::limits::{COMMAND_BYTES_MAX, DECISIONS_MAX};
use tidewright_schemas::{
    Command, CompleteWorkflowTask, Decision, FailWorkflowTask, Failure, HistoryEvent, TimeoutType, WorkerIdentity,
    WorkflowTask, WorkflowTaskFailedCause,
};
use tracing::Span;
use uuid::Uuid;

use super::cache::CachedRun;
use super::measure::Meters;
use super::threads::{Blocked, NoResult, WorkflowThreads};
use crate::error::application;
use crate::registry::Registry;

/// What became of a task.
pub(crate) struct Advanced {
    pub(crate) command: Command,
    pub(crate) cached: Option<CachedRun>,
}

/// Why a task could not be completed.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(
        "workflow type `{0}` is not registered with this worker, which knows [{1}]; register it, or let its workers \
         listen on another task queue"
    )]
    NotRegistered(String, String),
    #[error("the history that the task builds on is not available: {0}")]
    HistoryUnavailable(String),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Blocked(#[from] Blocked),
    #[error(
        "the workflow's code still keeps the thread of an earlier task of this run, which was given up; until it returns, this \
         worker does not run it again"
    )]
    StillBlocked,
    #[error("the worker could not run the workflow's code: {0}")]
    NoThread(NoResult),
    #[error("the workflow task was not done within its timeout of {0:?}; {1}")]
    Overdue(Duration, Where),
    #[error("the workflow asks for {0} things at once, and at most {DECISIONS_MAX} are allowed; do it in portions")]
    TooManyDecisions(usize),
    #[error(
        "the completion takes {0} bytes, and at most {COMMAND_BYTES_MAX} are allowed; pass references to large data"
    )]
    TooLarge(usize),
}

/// Where an overdue task stood.
#[derive(Debug)]
enum Where {
    /// In the workflow's code.
    Code(Place),
    /// The history that it builds on was on its way, or the code waited for a thread.
    Elsewhere,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(place) => write!(f, "the code's last await: {place}"),
            Self::Elsewhere => f.write_str("its history was on its way, or the worker had no thread for its code"),
        }
    }
}

impl Problem {
    fn cause(&self) -> WorkflowTaskFailedCause {
        match self {
            Self::NotRegistered(..) => WorkflowTaskFailedCause::WorkflowTypeNotRegistered,
            Self::HistoryUnavailable(_) | Self::Replay(ReplayError::BadHistory(_)) => {
                WorkflowTaskFailedCause::HistoryUnavailable
            }
            Self::Replay(ReplayError::NonDeterministic { .. }) => WorkflowTaskFailedCause::NonDeterministicError,
            Self::Replay(_) | Self::Blocked(_) | Self::StillBlocked | Self::NoThread(_) => {
                WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure
            }
            Self::TooManyDecisions(_) | Self::TooLarge(_) => WorkflowTaskFailedCause::CompletionTooLarge,
            // History tells of a timeout without a cause.
            Self::Overdue(..) => WorkflowTaskFailedCause::Unspecified,
        }
    }

    fn error_type(&self) -> String {
        match self {
            Self::Replay(ReplayError::Panicked(_)) => "Panic".to_owned(),
            Self::Blocked(_) | Self::StillBlocked => "PotentialDeadlock".to_owned(),
            other => format!("{:?}", other.cause()),
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Replay(error) => error.code(),
            Self::Blocked(_) | Self::StillBlocked => Some("TW0904"),
            Self::Overdue(..) => Some("TW0906"),
            _ => None,
        }
    }
}

impl From<NoResult> for Problem {
    fn from(problem: NoResult) -> Self {
        match problem {
            NoResult::Blocked(blocked) => Self::Blocked(blocked),
            NoResult::ThreadEnded => Self::NoThread(problem),
        }
    }
}

/// Advances runs.
pub(crate) struct Advancer<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) history: &'a HistoryPages,
    pub(crate) worker: &'a WorkerIdentity,
    pub(crate) meters: &'a Meters,
    /// Where the runs' code runs: nowhere else.
    pub(crate) threads: &'a WorkflowThreads,
    /// The task's span: user code runs within it, but not while it is replayed.
    pub(crate) span: &'a Span,
}

impl Advancer<'_> {
    /// Advances a run. A cached run that does not fit is thrown away.
    pub(crate) async fn advance(&self, task: &Arc<WorkflowTask>, cached: Option<CachedRun>) -> Advanced {
        match self.decide_in_time(task, cached).await {
            Ok(advanced) => advanced,
            Err(problem) => {
                let failed = self.failed(task, &problem);
                tracing::error!(
                    workflow_id = %task.workflow_id, run_id = %task.run_id, workflow_type = task.workflow_type,
                    attempt = task.attempt, cause = ?problem.cause(),
                    "a workflow task failed and will be tried again: {}", failed.failure.message
                );
                Advanced { command: failed.into(), cached: None }
            }
        }
    }

    /// The answer in place of a completion that the log refuses: beyond what any command may take, for its size.
    pub(crate) fn refused(&self, task: &WorkflowTask, message: &str) -> FailWorkflowTask {
        let cause = WorkflowTaskFailedCause::CompletionTooLarge;
        let failure = *application(format!("{cause:?}"), message.to_owned(), false);
        FailWorkflowTask { token: task.token.clone(), cause, failure, worker: self.worker.clone() }
    }

    fn failed(&self, task: &WorkflowTask, problem: &Problem) -> FailWorkflowTask {
        let message = match problem.code() {
            Some(code) => format!("{code}: workflow {}, run {}: {problem}", task.workflow_id, task.run_id),
            None => problem.to_string(),
        };
        let failure: Failure = match problem {
            Problem::Overdue(..) => Failure::timeout(TimeoutType::StartToClose, message),
            _ => *application(problem.error_type(), message, false),
        };
        FailWorkflowTask { token: task.token.clone(), cause: problem.cause(), failure, worker: self.worker.clone() }
    }

    /// A task's timeout counts from when it is begun here, not while it waits in its topic. Without one, the watchdog alone
    /// watches it: a long history takes as long as it takes.
    async fn decide_in_time(&self, task: &Arc<WorkflowTask>, cached: Option<CachedRun>) -> Result<Advanced, Problem> {
        let Some(timeout) = task.workflow_task_timeout_ms.map(Duration::from_millis) else {
            return self.decide(task, cached).await;
        };
        tokio::time::timeout(timeout, self.decide(task, cached)).await.unwrap_or_else(|_| {
            let place = self.threads.give_up(&task.run_id);
            Err(Problem::Overdue(timeout, place.map_or(Where::Elsewhere, Where::Code)))
        })
    }

    async fn decide(&self, task: &Arc<WorkflowTask>, cached: Option<CachedRun>) -> Result<Advanced, Problem> {
        if self.threads.is_given_up(&task.run_id) {
            return Err(Problem::StillBlocked);
        }
        let known = match cached.filter(|cached| cached.fits(task)) {
            Some(cached) => Some(self.go_on(cached.run, task).await),
            None => None,
        };
        let (run, decisions) = match known {
            // A cached run that the task's events do not reach is no better than none.
            None | Some(Err(Problem::Replay(ReplayError::BadHistory(_)))) => {
                self.looked_up(task, false);
                let began = Instant::now();
                let replayed = self.replay(task).await;
                self.meters.replayed(&task.workflow_type, began);
                replayed?
            }
            Some(outcome) => {
                self.looked_up(task, true);
                outcome?
            }
        };
        if decisions.len() > DECISIONS_MAX {
            return Err(Problem::TooManyDecisions(decisions.len()));
        }
        let completion_id = Uuid::new_v4().to_string();
        let cached = (!run.is_closed()).then(|| CachedRun {
            run,
            completion_id: completion_id.clone(),
            started_event_id: task.started_event_id,
            token: task.token.clone(),
        });
        let (token, worker) = (task.token.clone(), self.worker.clone());
        let command = Command::from(CompleteWorkflowTask::new(token, completion_id, decisions, worker));
        match serde_json::to_vec(&command).map_or(usize::MAX, |value| value.len()) {
            bytes if bytes > COMMAND_BYTES_MAX => Err(Problem::TooLarge(bytes)),
            _ => Ok(Advanced { command, cached }),
        }
    }

    /// A run's first task has nothing to find.
    fn looked_up(&self, task: &WorkflowTask, found: bool) {
        if task.previous_started_event_id > 0 {
            self.meters.looked_up(found);
        }
    }

    /// Replays the whole history.
    async fn replay(&self, task: &Arc<WorkflowTask>) -> Result<(Run, Vec<Decision>), Problem> {
        let start = self.start_of(task)?;
        let info = RunInfo {
            namespace: task.namespace.clone(),
            workflow_id: task.workflow_id.clone(),
            run_id: task.run_id.clone(),
            workflow_type: task.workflow_type.clone(),
        };
        let mut run = Run::new(info, start);
        tell_of_outsiders(&run);
        if let Some(mut pages) = self.pages_before(task)? {
            while let Some(events) = pages.next().await.map_err(|e| Problem::HistoryUnavailable(e.to_string()))? {
                run = self.threads.advance(run, move |run| apply(run, &events)).await??;
            }
        }
        self.go_on(run, task).await
    }

    fn start_of(&self, task: &WorkflowTask) -> Result<WorkflowStart, Problem> {
        self.registry
            .workflow(&task.workflow_type)
            .ok_or_else(|| Problem::NotRegistered(task.workflow_type.clone(), self.registry.workflow_names()))
    }

    /// The part of the history that the task does not carry, page by page.
    fn pages_before<'t>(&self, task: &'t WorkflowTask) -> Result<Option<HistoryRange<'t>>, Problem> {
        let carried_from = task.events.first().map_or(task.scheduled_event_id, |event| event.event_id);
        if carried_from <= 1 {
            return Ok(None);
        }
        let Some(url) = &task.history_url else {
            let problem = format!("the task begins at event {carried_from} and names no history_url");
            return Err(Problem::HistoryUnavailable(problem));
        };
        Ok(Some(self.history.range(url, 1, carried_from)))
    }

    async fn go_on(&self, run: Run, task: &Arc<WorkflowTask>) -> Result<(Run, Vec<Decision>), Problem> {
        let (of_task, span) = (Arc::clone(task), self.span.clone());
        let (run, decisions, notes) = self.threads.advance(run, move |run| activate(run, &of_task, &span)).await??;
        notes.into_iter().for_each(|note| self.tell(task, note));
        Ok((run, decisions))
    }

    /// Passes on what the run noted.
    fn tell(&self, task: &WorkflowTask, note: Note) {
        let (workflow_id, run_id, workflow_type) = (&task.workflow_id, &task.run_id, &task.workflow_type);
        match note {
            Note::UnreadableSignal { name, problem } => {
                self.meters.corrupted_signal(workflow_type);
                tracing::error!(
                    %workflow_id, %run_id, workflow_type, signal = name, problem,
                    "a signal is dropped: its input is not what the workflow expects"
                );
            }
            Note::UnknownSignal { name } => tracing::warn!(
                %workflow_id, %run_id, workflow_type, signal = name,
                "a signal came for which the workflow has no handler; it is kept until the code asks for it"
            ),
            note => tracing::warn!(%workflow_id, %run_id, workflow_type, "{note:?}"),
        }
    }
}

/// Replays events of history.
fn apply(mut run: Run, events: &[HistoryEvent]) -> Result<Run, ReplayError> {
    for event in events {
        run.apply(event)?;
    }
    Ok(run)
}

/// Advances a run by its task.
fn activate(run: Run, task: &WorkflowTask, span: &Span) -> Result<(Run, Vec<Decision>, Vec<Note>), ReplayError> {
    let mut run = apply(run, &task.events)?;
    let seen = run.last_event_id();
    // Up to its own boundaries, which a task that was sent again does not have yet.
    if seen != task.started_event_id && seen + 1 != task.scheduled_event_id {
        let (scheduled, started) = (task.scheduled_event_id, task.started_event_id);
        let problem = format!("it ends at event {seen}, but the task is that of events {scheduled} and {started}");
        return Err(ReplayError::BadHistory(problem));
    }
    let _live = span.enter();
    let decisions = run.activate(task.started_event_id, task.started_time_ms)?;
    let notes = run.take_notes();
    Ok((run, decisions, notes))
}

/// The run's next task will fail; whoever reads the log should not have to wait for it.
fn tell_of_outsiders(run: &Run) {
    let (info, last_await) = (run.info().clone(), run.last_await());
    run.on_outsider(move || {
        let last_await = last_await.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            workflow_id = %info.workflow_id, run_id = %info.run_id, workflow_type = info.workflow_type, last_await,
            "something outside the workflow woke it: it awaits what is not the workflow's, and its next task will fail"
        );
    });
}
