//! Histories in the making, fed to workflows without a worker. A history is a value: feed a clone to another run to see
//! whether a replay does the same.

#![allow(clippy::unwrap_used, dead_code, reason = "tests; each file uses a part")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidewright::WorkflowDef;
use tidewright_replay::{ReplayError, Run, RunInfo};
use tidewright_schemas::{Decision, HistoryEvent, Payload, RunId, WorkflowId};

pub fn run_of<I, O, S>(workflow: WorkflowDef<I, O, S>) -> Run
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + 'static,
    S: Send + 'static,
{
    let info = RunInfo {
        namespace: "default".to_owned(),
        workflow_id: WorkflowId::new("w").unwrap(),
        run_id: RunId::from_text("r"),
        workflow_type: workflow.name().to_owned(),
    };
    Run::new(info, workflow.replayable())
}

/// The answer to a query, or the problem as text.
pub fn query<T: DeserializeOwned>(run: &Run, name: &str, input: &str) -> Result<T, String> {
    let answer = run.query(name, Some(&Payload::from_json(input).unwrap())).map_err(|problem| problem.to_string())?;
    Ok(answer.read().unwrap())
}

/// A history, as an engine would write it.
#[derive(Debug, Clone, Default)]
pub struct History {
    events: Vec<Value>,
    /// Where activities and timers were asked for, by id.
    asked: BTreeMap<String, usize>,
    task: (usize, usize),
    completed: usize,
}

impl History {
    /// The start alone.
    pub fn started(input: &str) -> Self {
        let input: Value = serde_json::from_str(input).unwrap();
        let mut history = Self::default();
        history.push("WorkflowExecutionStarted", json!({"workflow_type": "T", "task_queue": "q", "input": input}));
        history
    }

    /// The start and the first workflow task.
    pub fn begun(input: &str) -> Self {
        Self::started(input).task()
    }

    fn push(&mut self, kind: &str, attributes: Value) -> usize {
        let id = self.events.len() + 1;
        let event = json!({"event_id": id, "event_time_ms": 1_000 + id, "event_type": kind, "attributes": attributes});
        self.events.push(event);
        id
    }

    fn with(mut self, kind: &str, attributes: Value) -> Self {
        self.push(kind, attributes);
        self
    }

    /// A workflow task is scheduled and started.
    pub fn task(mut self) -> Self {
        let scheduled = self.push("WorkflowTaskScheduled", json!({"task_queue": "q", "attempt": 1}));
        let started = self.push("WorkflowTaskStarted", json!({"scheduled_event_id": scheduled}));
        self.task = (scheduled, started);
        self
    }

    /// The open task is completed with these decisions, in JSON.
    pub fn decided(self, decisions: &[&str]) -> Self {
        self.completed(&decisions.iter().map(|d| serde_json::from_str(d).unwrap()).collect::<Vec<_>>())
    }

    /// The open task is completed with these decisions.
    pub fn completed(mut self, decisions: &[Decision]) -> Self {
        let (scheduled, started) = self.task;
        let boundary = json!({"scheduled_event_id": scheduled, "started_event_id": started, "completion_id": "c"});
        self.completed = self.push("WorkflowTaskCompleted", boundary);
        for decision in decisions {
            self.record(decision);
        }
        self
    }

    fn record(&mut self, decision: &Decision) {
        let task = ("workflow_task_completed_event_id".to_owned(), json!(self.completed));
        let (kind, attributes) = match decision {
            Decision::ScheduleActivity(d) => (
                "ActivityTaskScheduled",
                json!({"activity_id": d.activity_id, "activity_type": d.activity_type, "task_queue": "q",
                       "retry_policy": {}, "detached": d.detached}),
            ),
            Decision::StartTimer(d) => (
                "TimerStarted",
                json!({"timer_id": d.timer_id, "start_to_fire_timeout_ms": d.start_to_fire_timeout_ms}),
            ),
            Decision::CancelTimer(d) => {
                ("TimerCanceled", json!({"timer_id": d.timer_id, "started_event_id": self.asked[&d.timer_id]}))
            }
            Decision::RequestCancelActivity(d) => {
                ("ActivityTaskCancelRequested", json!({"scheduled_event_id": d.scheduled_event_id}))
            }
            Decision::CompleteWorkflow(d) => ("WorkflowExecutionCompleted", json!({"result": d.result})),
            Decision::FailWorkflow(d) => ("WorkflowExecutionFailed", json!({"failure": d.failure})),
            Decision::CancelWorkflow(d) => ("WorkflowExecutionCanceled", json!({"details": d.details})),
        };
        let mut attributes = attributes;
        attributes.as_object_mut().unwrap().extend([task]);
        let id = self.push(kind, attributes);
        match decision {
            Decision::ScheduleActivity(d) => drop(self.asked.insert(d.activity_id.clone(), id)),
            Decision::StartTimer(d) => drop(self.asked.insert(d.timer_id.clone(), id)),
            _ => {}
        }
    }

    pub fn signaled(self, name: &str, input: &str) -> Self {
        let input: Value = serde_json::from_str(input).unwrap();
        self.with("WorkflowExecutionSignaled", json!({"signal_name": name, "input": input}))
    }

    pub fn cancel_requested(self) -> Self {
        self.with("WorkflowExecutionCancelRequested", json!({}))
    }

    pub fn fired(self, timer_id: &str) -> Self {
        let started = self.asked[timer_id];
        self.with("TimerFired", json!({"timer_id": timer_id, "started_event_id": started}))
    }

    pub fn done(self, activity_id: &str, result: &str) -> Self {
        let (scheduled, result): (_, Value) = (self.asked[activity_id], serde_json::from_str(result).unwrap());
        self.with(
            "ActivityTaskCompleted",
            json!({"scheduled_event_id": scheduled, "started_event_id": 0, "result": result}),
        )
    }

    pub fn canceled(self, activity_id: &str) -> Self {
        let scheduled = self.asked[activity_id];
        self.with(
            "ActivityTaskCanceled",
            json!({"scheduled_event_id": scheduled, "started_event_id": 0, "latest_cancel_requested_event_id": 0}),
        )
    }

    pub fn failed(self, activity_id: &str, error_type: &str) -> Self {
        let failure = json!({"message": format!("{error_type} happened"),
                             "info": {"type": "Application", "error_type": error_type, "non_retryable": true}});
        self.failed_with(activity_id, &failure)
    }

    pub fn failed_with(self, activity_id: &str, failure: &Value) -> Self {
        let scheduled = self.asked[activity_id];
        self.with(
            "ActivityTaskFailed",
            json!({"scheduled_event_id": scheduled, "started_event_id": 0, "failure": failure,
                   "retry_state": "NonRetryableFailure"}),
        )
    }

    /// Feeds the history to a run, with a new workflow task at its end unless one is open, and advances it.
    pub fn try_advance(self, run: &mut Run) -> Result<Vec<Decision>, ReplayError> {
        let is_open = self.task.1 == self.events.len() && self.task.1 > 0;
        let history = if is_open { self } else { self.task() };
        for event in &history.events {
            run.apply(
                &serde_json::from_value::<HistoryEvent>(event.clone()).unwrap_or_else(|e| panic!("{event}: {e}")),
            )?;
        }
        run.activate(history.events.len() as u64, 0)
    }

    /// The same, where it must succeed.
    pub fn advance(self, run: &mut Run) -> Vec<Decision> {
        self.try_advance(run).unwrap()
    }

    /// Advances two runs, one that has seen the beginning and one that has not: both decide the same.
    pub fn same(&self, live: &mut Run, fresh: &mut Run) -> Vec<Decision> {
        let decisions = self.clone().advance(live);
        assert_eq!(self.clone().advance(fresh), decisions, "a replay differs");
        decisions
    }
}
