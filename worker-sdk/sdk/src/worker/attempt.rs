//! Runs one attempt of an activity: reads the task, runs the code under its timeout, tells the outcome.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tidewright_replay::{Panic, catch};
use tidewright_schemas::{
    ActivityTask, CancelActivity, Command, CompleteActivity, FailActivity, Failure, FailureInfo,
    RecordActivityHeartbeat, RecordActivityStarted, ReturnTask, TimeoutFailure, TimeoutType, WorkerIdentity,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

use super::commands::{Commands, Undeliverable};
use super::measure::Meters;
use super::trace;
use crate::ActivityContext;
use crate::attempt_link::{AttemptLink, CancelReason};
use crate::error::application;
use crate::registry::{Attempt, AttemptOutcome, Registry};

/// An activity that runs for longer than this is announced, so that its timeouts watch it (R24).
const ANNOUNCED_AFTER: Duration = Duration::from_millis(500);

/// What attempts share.
pub(crate) struct Attempts {
    pub(crate) registry: Arc<Registry>,
    pub(crate) commands: Commands,
    pub(crate) worker: WorkerIdentity,
    pub(crate) meters: Arc<Meters>,
}

impl Attempts {
    /// Hands a task back that has not begun. True once that is in the log.
    pub(crate) async fn hand_back(&self, task: &ActivityTask, traceparent: Option<&str>) -> bool {
        let back = ReturnTask { token: task.token.clone(), worker: self.worker.clone() };
        let sent = self.commands.send(&task.workflow_id, &back.into(), traceparent).await;
        if let Err(error) = &sent {
            tracing::error!(workflow_id = %task.workflow_id, "a task cannot be handed back; its timeouts will tell: {error}");
        }
        self.meters.handed_back();
        sent.is_ok()
    }

    /// Runs an attempt. `settled` is called once its record needs no redelivery any more: when it is announced, at the
    /// latest when its outcome is in the log. It is announced after a while, or when `announce` says so.
    pub(crate) async fn run(
        &self,
        task: ActivityTask,
        (link, announce): (&Arc<AttemptLink>, &Notify),
        traceparent: Option<String>,
        settled: impl Fn(),
    ) {
        let span = trace::attempt(&task, traceparent.as_deref());
        let traceparent = trace::onward(&span, traceparent.as_deref());
        let traceparent = traceparent.as_deref();
        self.meters.attempt_starts(&task);
        let began = Instant::now();
        let announce = async {
            // Early only if its record is about to be another worker's.
            let _ = tokio::time::timeout(ANNOUNCED_AFTER, announce.notified()).await;
            let started = RecordActivityStarted { token: task.token.clone(), worker: self.worker.clone() };
            match self.commands.send(&task.workflow_id, &started.into(), traceparent).await {
                Ok(()) => settled(),
                Err(error) => tracing::error!(workflow_id = %task.workflow_id, "a start was not announced: {error}"),
            }
            std::future::pending::<AttemptOutcome>().await
        };
        let outcome = tokio::select! {
            outcome = self.outcome(&task, link, traceparent, &span) => outcome,
            outcome = announce => outcome,
        };
        self.meters.attempt_ends(&task, began, outcome.is_err());
        if let Err(failure) = &outcome {
            trace::failed(&span, &failure.message);
        }
        match link.cancel_reason() {
            // Nobody waits for it, so nobody is told; its record is done.
            Some(CancelReason::WorkflowClosed | CancelReason::NotWanted) => {
                let (workflow_id, activity_type) = (&task.workflow_id, &task.activity_type);
                tracing::debug!(%workflow_id, activity_type, "an activity that nobody waits for has ended");
            }
            reason => self.tell(&task, link, (outcome, reason), traceparent).instrument(span).await,
        }
        settled();
    }

    async fn outcome(
        &self,
        task: &ActivityTask,
        link: &Arc<AttemptLink>,
        traceparent: Option<&str>,
        span: &Span,
    ) -> AttemptOutcome {
        let Some(runner) = self.registry.activity(&task.activity_type) else {
            let known = self.registry.activity_names();
            let message = format!(
                "activity type `{}` is not registered with this worker, which knows [{known}]; register it, or let its \
                 workers listen on another task queue",
                task.activity_type
            );
            return Err(application("ActivityTypeNotRegistered".to_owned(), message, true));
        };
        let ctx = ActivityContext::of_task(task, traceparent.map(str::to_owned), Arc::clone(link));
        // A task of its own: code that blocks its thread holds up neither its announcement nor its timeout.
        let mut code = Spawned(tokio::spawn(Catching(runner(ctx, task.input.clone())).instrument(span.clone())));
        let limit = task.start_to_close_timeout_ms.map_or(Duration::MAX, Duration::from_millis);
        match tokio::time::timeout(limit, &mut code.0).await {
            Ok(Ok(Ok(outcome))) => outcome,
            Ok(Ok(Err(panic))) => Err(panicked(task, &panic)),
            Ok(Err(ended)) => {
                Err(application("WorkerShutdown".to_owned(), format!("the attempt was ended: {ended}"), false))
            }
            Err(_) => {
                let message = format!("activity `{}` ran longer than {limit:?}", task.activity_type);
                let last_heartbeat_details = link.last_details().or_else(|| task.heartbeat_details.clone());
                let timeout = TimeoutFailure { timeout_type: TimeoutType::StartToClose, last_heartbeat_details };
                Err(Box::new(Failure::of(message, FailureInfo::Timeout(timeout))))
            }
        }
    }

    /// Sends the outcome. One that the log refuses is replaced by a failure that says so.
    async fn tell(
        &self,
        task: &ActivityTask,
        link: &AttemptLink,
        (outcome, cancelled): (AttemptOutcome, Option<CancelReason>),
        traceparent: Option<&str>,
    ) {
        if let Err(failure) = &outcome {
            tracing::warn!(
                workflow_id = %task.workflow_id, run_id = %task.run_id, activity_type = task.activity_type,
                activity_id = task.activity_id, attempt = task.attempt, error_type = failure.error_type(),
                "an attempt of an activity failed: {}", failure.message
            );
            self.tell_how_far_it_came(task, link, traceparent).await;
        }
        let command = self.command(task, outcome, cancelled);
        let Err(error) = self.commands.send(&task.workflow_id, &command, traceparent).await else { return };
        let error_type = match error {
            Undeliverable::TooLarge(_) => "ResultTooLarge",
            Undeliverable::Refused(_) => "ResultRefused",
        };
        let message = format!("what activity `{}` gave cannot be sent: {error}", task.activity_type);
        tracing::error!(workflow_id = %task.workflow_id, "{message}");
        let failure = *application(error_type.to_owned(), message, true);
        let failed = FailActivity::new(task.token.clone(), failure, self.worker.clone());
        if let Err(error) = self.commands.send(&task.workflow_id, &failed.into(), traceparent).await {
            tracing::error!(workflow_id = %task.workflow_id, "nor can its failure; its timeout will tell: {error}");
        }
    }
}

impl Attempts {
    fn command(&self, task: &ActivityTask, outcome: AttemptOutcome, cancelled: Option<CancelReason>) -> Command {
        let (token, worker) = (task.token.clone(), self.worker.clone());
        let failure = match outcome {
            Ok(result) => return CompleteActivity { token, result: Some(result), worker }.into(),
            Err(failure) => failure,
        };
        match (failure.info, cancelled) {
            // It was not the workflow that asked: the activity goes on elsewhere.
            (FailureInfo::Canceled(_), Some(CancelReason::WorkerShutdown)) => {
                let message = format!("activity `{}` ended with its worker", task.activity_type);
                let failure = application("WorkerShutdown".to_owned(), message, false);
                FailActivity::new(token, *failure, worker).into()
            }
            (FailureInfo::Canceled(canceled), _) => CancelActivity { token, details: canceled.details, worker }.into(),
            (info, _) => FailActivity::new(token, Failure { info, ..*failure }.shortened(), worker).into(),
        }
    }

    /// The next attempt is given the last details, even if it was not time yet to send them.
    async fn tell_how_far_it_came(&self, task: &ActivityTask, link: &AttemptLink, traceparent: Option<&str>) {
        let Some(details) = link.take_unlogged() else { return };
        let (token, worker) = (task.token.clone(), self.worker.clone());
        let heartbeat = RecordActivityHeartbeat { token, details: Some(details), worker }.into();
        if let Err(error) = self.commands.send(&task.workflow_id, &heartbeat, traceparent).await {
            tracing::error!(workflow_id = %task.workflow_id, "the last heartbeat cannot be sent: {error}");
        }
    }
}

fn panicked(task: &ActivityTask, panic: &Panic) -> Box<Failure> {
    let message = format!("activity `{}` panicked: {}", task.activity_type, panic.message);
    let mut failure = application("Panic".to_owned(), message, false);
    failure.stack_trace = panic.location.clone();
    failure
}

/// Ends the code when whoever waits for it goes.
struct Spawned<T>(JoinHandle<T>);

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An attempt whose panic comes out as a value.
struct Catching(Attempt);

impl Future for Catching {
    type Output = Result<AttemptOutcome, Panic>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match catch(|| self.0.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
