//! Hand-made histories, and a small engine that turns decisions into history.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use tidewright_replay::{
    ActivityCancellationType, ActivityRequest, Origin, PendingActivity, ReplayError, Run, RunContext, RunInfo,
    WorkflowFuture,
};
use tidewright_schemas::{
    ActivityTaskCancelRequested, ActivityTaskCanceled, ActivityTaskCompleted, ActivityTaskFailed,
    ActivityTaskScheduled, ActivityTaskStarted, Decision, EventAttributes, EventId, Failure, HistoryEvent, Payload,
    RetryPolicy, RetryState, RunId, TimeoutType, TimerCanceled, TimerFired, TimerStarted, WorkerIdentity,
    WorkflowExecutionCancelRequested, WorkflowExecutionCanceled, WorkflowExecutionCompleted, WorkflowExecutionFailed,
    WorkflowExecutionSignaled, WorkflowExecutionStarted, WorkflowId, WorkflowTaskCompleted, WorkflowTaskFailed,
    WorkflowTaskFailedCause, WorkflowTaskScheduled, WorkflowTaskStarted, WorkflowTaskTimedOut,
};

/// A workflow under test.
pub type Workflow = fn(RunContext, Option<Payload>) -> WorkflowFuture;

/// A run of `workflow` that knows nothing yet.
pub fn run_of(workflow: impl Fn(RunContext, Option<Payload>) -> WorkflowFuture + Send + 'static) -> Run {
    let info = RunInfo {
        namespace: "default".to_owned(),
        workflow_id: WorkflowId::new("order-1").unwrap(),
        run_id: RunId::from_text("run-1"),
        workflow_type: "Test".to_owned(),
    };
    Run::new(info, Box::new(move |ctx, input| workflow(ctx, input).into()))
}

/// The place that calls this.
#[track_caller]
pub fn here() -> Origin {
    Location::caller()
}

/// A request for an activity with a start-to-close timeout.
pub fn activity(activity_type: &str) -> ActivityRequest {
    ActivityRequest {
        activity_type: activity_type.to_owned(),
        task_queue: None,
        input: None,
        start_to_close_timeout_ms: Some(Duration::from_secs(30).as_millis() as u64),
        schedule_to_start_timeout_ms: None,
        schedule_to_close_timeout_ms: None,
        heartbeat_timeout_ms: None,
        retry_policy: None,
        cancellation_type: ActivityCancellationType::TryCancel,
    }
}

/// What a decision amounts to, in words.
pub fn words(decisions: &[Decision]) -> Vec<String> {
    decisions
        .iter()
        .map(|decision| match decision {
            Decision::ScheduleActivity(d) if d.detached => format!("detach {} {}", d.activity_id, d.activity_type),
            Decision::ScheduleActivity(d) => format!("schedule {} {}", d.activity_id, d.activity_type),
            Decision::StartTimer(d) => format!("timer {} {}ms", d.timer_id, d.start_to_fire_timeout_ms),
            Decision::CancelTimer(d) => format!("cancel {}", d.timer_id),
            Decision::RequestCancelActivity(d) => format!("cancel the activity of event {}", d.scheduled_event_id),
            Decision::CompleteWorkflow(d) => {
                format!("complete {}", d.result.as_ref().map_or("".into(), |r| r.json_text().unwrap()))
            }
            Decision::FailWorkflow(d) => format!("fail {}", d.failure.message),
            Decision::CancelWorkflow(_) => "end as cancelled".to_owned(),
        })
        .collect()
}

/// A history in the making.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub events: Vec<HistoryEvent>,
    scheduled: BTreeMap<String, EventId>,
    task: (EventId, EventId),
    completed: EventId,
}

impl History {
    /// A history that begins with a start and a workflow task.
    pub fn started() -> Self {
        let mut history = Self::default();
        history.push_start();
        history.task_started()
    }

    /// Begins a history without a workflow task.
    pub fn push_start(&mut self) {
        self.push(
            serde_json::from_str::<WorkflowExecutionStarted>(r#"{"workflow_type":"Test","task_queue":"q"}"#).unwrap(),
        );
    }

    pub fn last_id(&self) -> EventId {
        self.events.len() as EventId
    }

    pub fn push(&mut self, attributes: impl Into<EventAttributes>) -> EventId {
        let event_id = self.last_id() + 1;
        self.events.push(HistoryEvent {
            event_id,
            event_time_ms: 1_000 + event_id * 10,
            attributes: attributes.into(),
        });
        event_id
    }

    pub fn task_started(mut self) -> Self {
        self.open_task();
        self
    }

    pub fn open_task(&mut self) {
        let scheduled_event_id = self.push(WorkflowTaskScheduled { task_queue: "q".to_owned(), attempt: 1 });
        let started = self.push(WorkflowTaskStarted { scheduled_event_id });
        self.task = (scheduled_event_id, started);
    }

    pub fn task_failed(mut self) -> Self {
        self.push(WorkflowTaskFailed {
            scheduled_event_id: self.task.0,
            started_event_id: self.task.1,
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
            failure: Failure::application("Panic", "boom", false),
            worker: WorkerIdentity::default(),
        });
        self
    }

    pub fn task_timed_out(mut self) -> Self {
        self.push(WorkflowTaskTimedOut {
            scheduled_event_id: self.task.0,
            started_event_id: self.task.1,
            timeout_type: TimeoutType::StartToClose,
            failure: None,
            worker: WorkerIdentity::default(),
        });
        self
    }

    pub fn task_completed(mut self) -> Self {
        self.completed = self.push(WorkflowTaskCompleted {
            scheduled_event_id: self.task.0,
            started_event_id: self.task.1,
            completion_id: "c".to_owned(),
            sdk_metadata: None,
            versioning: None,
            worker: WorkerIdentity::default(),
        });
        self
    }

    /// The task is completed with these decisions.
    pub fn decided(self, decisions: &[Decision]) -> Self {
        let mut history = self.task_completed();
        for decision in decisions {
            history.record(decision);
        }
        history
    }

    pub fn scheduled(mut self, activity_id: &str, activity_type: &str) -> Self {
        let id = self.push(ActivityTaskScheduled {
            activity_id: activity_id.to_owned(),
            activity_type: activity_type.to_owned(),
            task_queue: "q".to_owned(),
            input: None,
            header: BTreeMap::new(),
            priority: None,
            user_metadata: None,
            start_to_close_timeout_ms: Some(30_000),
            schedule_to_start_timeout_ms: None,
            schedule_to_close_timeout_ms: None,
            heartbeat_timeout_ms: None,
            retry_policy: RetryPolicy::default(),
            detached: false,
            workflow_task_completed_event_id: self.completed,
        });
        self.scheduled.insert(activity_id.to_owned(), id);
        self
    }

    pub fn timer_started(mut self, timer_id: &str) -> Self {
        let id = self.push(TimerStarted {
            timer_id: timer_id.to_owned(),
            start_to_fire_timeout_ms: 5,
            user_metadata: None,
            workflow_task_completed_event_id: self.completed,
        });
        self.scheduled.insert(timer_id.to_owned(), id);
        self
    }

    pub fn timer_canceled(mut self, timer_id: &str) -> Self {
        self.push(TimerCanceled {
            timer_id: timer_id.to_owned(),
            started_event_id: self.scheduled[timer_id],
            workflow_task_completed_event_id: self.completed,
        });
        self
    }

    pub fn fired(mut self, timer_id: &str) -> Self {
        self.push(TimerFired { timer_id: timer_id.to_owned(), started_event_id: self.scheduled[timer_id] });
        self
    }

    pub fn activity_completed(mut self, activity_id: &str, result: &str) -> Self {
        let (scheduled_event_id, started_event_id) = self.activity_started(activity_id);
        self.push(ActivityTaskCompleted {
            scheduled_event_id,
            started_event_id,
            result: Some(Payload::from_json(result).unwrap()),
            worker: WorkerIdentity::default(),
        });
        self
    }

    pub fn activity_failed(mut self, activity_id: &str, message: &str) -> Self {
        let (scheduled_event_id, started_event_id) = self.activity_started(activity_id);
        self.push(ActivityTaskFailed {
            scheduled_event_id,
            started_event_id,
            failure: Failure::application("Declined", message, true),
            retry_state: RetryState::NonRetryableFailure,
            cause: None,
            worker: WorkerIdentity::default(),
        });
        self
    }

    pub fn activity_cancel_requested(mut self, scheduled_event_id: EventId) -> Self {
        let workflow_task_completed_event_id = self.completed;
        self.push(ActivityTaskCancelRequested { scheduled_event_id, workflow_task_completed_event_id });
        self
    }

    pub fn activity_canceled(mut self, activity_id: &str, details: &str) -> Self {
        let (scheduled_event_id, started_event_id) = self.activity_started(activity_id);
        self.push(ActivityTaskCanceled {
            details: Some(Payload::from_json(details).unwrap()),
            latest_cancel_requested_event_id: 0,
            scheduled_event_id,
            started_event_id,
            worker: WorkerIdentity::default(),
        });
        self
    }

    pub fn signaled(mut self, name: &str, input: &str) -> Self {
        self.push(WorkflowExecutionSignaled {
            signal_name: name.to_owned(),
            input: Some(Payload::from_json(input).unwrap()),
            header: BTreeMap::new(),
            request_id: None,
            links: Vec::new(),
            identity: None,
        });
        self
    }

    pub fn cancel_requested(mut self) -> Self {
        self.push(WorkflowExecutionCancelRequested::default());
        self
    }

    fn activity_started(&mut self, activity_id: &str) -> (EventId, EventId) {
        let scheduled_event_id = self.scheduled[activity_id];
        let started = self.push(ActivityTaskStarted {
            scheduled_event_id,
            attempt: 1,
            worker: WorkerIdentity::default(),
            last_failure: None,
        });
        (scheduled_event_id, started)
    }

    /// Writes the event of one decision, as an engine would.
    pub fn record(&mut self, decision: &Decision) {
        let taken = std::mem::take(self);
        *self = match decision {
            Decision::ScheduleActivity(d) => taken.scheduled(&d.activity_id, &d.activity_type),
            Decision::StartTimer(d) => taken.timer_started(&d.timer_id),
            Decision::CancelTimer(d) => taken.timer_canceled(&d.timer_id),
            Decision::RequestCancelActivity(d) => taken.activity_cancel_requested(d.scheduled_event_id),
            Decision::CompleteWorkflow(d) => {
                let mut history = taken;
                let workflow_task_completed_event_id = history.completed;
                let result = d.result.clone();
                history.push(WorkflowExecutionCompleted { result, workflow_task_completed_event_id });
                history
            }
            Decision::FailWorkflow(d) => {
                let mut history = taken;
                let workflow_task_completed_event_id = history.completed;
                let failure = d.failure.clone();
                history.push(WorkflowExecutionFailed { failure, workflow_task_completed_event_id });
                history
            }
            Decision::CancelWorkflow(d) => {
                let mut history = taken;
                let workflow_task_completed_event_id = history.completed;
                let details = d.details.clone();
                history.push(WorkflowExecutionCanceled { details, workflow_task_completed_event_id });
                history
            }
        };
    }
}

/// Feeds a whole history whose last workflow task is current, and advances the run.
pub fn activate(run: &mut Run, history: &History) -> Result<Vec<Decision>, ReplayError> {
    for event in &history.events {
        run.apply(event)?;
    }
    run.activate(history.last_id(), 0)
}

/// Waits for an activity, and cancels it when `stop` comes first.
pub async fn cancelled_by(mut work: PendingActivity, stop: impl Future) -> Result<Option<Payload>, Box<Failure>> {
    let mut stop = std::pin::pin!(stop);
    let mut stopped = false;
    std::future::poll_fn(|cx| {
        if !stopped && stop.as_mut().poll(cx).is_ready() {
            stopped = true;
            work.cancel();
            work.cancel();
        }
        Pin::new(&mut work).poll(cx)
    })
    .await
}
