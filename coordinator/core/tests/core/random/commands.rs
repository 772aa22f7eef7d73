//! Commands at random: mostly such as come, sometimes late, repeated, forged or senseless.

use tidewright_core::{DueTimer, Request, TaskToken, is_wanted, read};
use tidewright_schemas::api::PendingActivity;
use tidewright_schemas::{
    ApplicationFailure, CancelActivity, CompleteActivity, CompleteWorkflowTask, Decision, EffectFailure,
    EventAttributes, FailActivity, FailWorkflowTask, Failure, FailureInfo, RecordActivityHeartbeat,
    RecordActivityStarted, RetryPolicy, RunId, ScheduleActivity, TaskKind, TimeoutType, TimerTarget, WorkflowId,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowTask, WorkflowTaskFailedCause,
};

use super::Life;
use crate::support::commands::*;
use crate::support::decisions::*;

const WORKERS: [&str; 3] = ["a", "b", "c"];

impl Life {
    pub(super) fn any_command(&mut self) -> Request {
        let found = match self.chance.below(28) {
            27 => Some(self.any_loss()),
            24..27 => Some(self.any_control()),
            0 => None,
            1..8 => self.any_workflow_task_outcome(),
            8..17 => self.any_activity_outcome(),
            17..21 => self.any_timer(),
            21 => self.any_trouble(),
            _ => self.chance.recent(&self.sent).cloned(),
        };
        let found = if found.is_none() && !self.chance.one_in(3) { self.any_timer() } else { found };
        let mut request = found.unwrap_or_else(|| self.any_start());
        if self.chance.one_in(15) {
            request.origin = Some(format!("commands/{}/9", self.chance.below(20)));
        }
        if self.chance.one_in(20) {
            self.forge(&mut request);
        }
        request
    }

    fn any_start(&mut self) -> Request {
        let id = self.any_workflow_id();
        self.any_start_of(&id).request(&self.world)
    }

    fn any_start_of(&mut self, id: &WorkflowId) -> Start {
        let mut start = start(id.as_str());
        start.command.request_id = self.chance.maybe(|c| format!("request {}", c.below(6)));
        start.event_id = self.chance.maybe(|c| format!("request {}", c.below(6)));
        start.command.workflow_id_reuse_policy = self.chance.maybe(|c| {
            use WorkflowIdReusePolicy::{AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate};
            [AllowDuplicate, AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate][c.index(4)]
        });
        start.command.workflow_id_conflict_policy = self.chance.maybe(|c| {
            use WorkflowIdConflictPolicy::{Fail, TerminateExisting, UseExisting};
            [Fail, Fail, UseExisting, UseExisting, TerminateExisting][c.index(5)]
        });
        start.command.workflow_run_timeout_ms = self.chance.maybe(|c| c.below(400_000));
        start.command.workflow_execution_timeout_ms = self.chance.maybe(|c| c.below(400_000));
        start.command.start_delay_ms = self.chance.maybe(|c| c.below(20_000));
        start.command.reply_to = self.chance.maybe(|_| reply_to());
        start
    }

    /// Something that is asked of a workflow from outside.
    fn any_control(&mut self) -> Request {
        let id = self.any_workflow_id();
        let request_id = self.chance.maybe(|c| format!("signal {}", c.below(9)));
        let mut asked = match self.chance.below(13) {
            12 => return self.any_deletion(id),
            0 => terminate_with(|command| command.request_id = request_id),
            1 | 2 => cancel_requested(),
            3 | 4 => {
                let started = self.any_start_of(&id);
                signal_with_start("first", started)(&self.world)
            }
            _ => {
                let reply_to = self.chance.maybe(|_| reply_to());
                signal_with("next", |command| {
                    command.request_id = request_id;
                    command.reply_to = reply_to;
                })(&self.world)
            }
        };
        asked.workflow_id = id;
        asked
    }

    /// Of the latest run, or of any that ever was.
    fn any_deletion(&mut self, workflow_id: WorkflowId) -> Request {
        let request_id = self.chance.maybe(|c| format!("delete {}", c.below(4)));
        let reply_to = self.chance.maybe(|_| reply_to());
        let named = self.chance.maybe(|c| c.recent(&self.runs).cloned()).flatten();
        let mut asked = delete_with(|command| {
            command.request_id = request_id;
            command.reply_to = reply_to;
            command.run_id = named.as_ref().map(|(_, run_id)| run_id.clone());
        });
        asked.workflow_id = named.map_or(workflow_id, |(workflow_id, _)| workflow_id);
        asked
    }

    fn any_workflow_task_outcome(&mut self) -> Option<Request> {
        let (token, task) = self.any_workflow_task()?;
        let by = worker(WORKERS[self.chance.index(3)]);
        if self.chance.one_in(12) {
            return Some(may_run_token(token, &by.identity));
        }
        if self.chance.one_in(6) {
            use WorkflowTaskFailedCause::{HistoryUnavailable, NonDeterministicError, TaskLost};
            let cause = [NonDeterministicError, HistoryUnavailable, TaskLost][self.chance.index(3)];
            let failure = self.any_failure();
            return Some(with_token(token, FailWorkflowTask { token: String::new(), cause, failure, worker: by }));
        }
        let decisions = (0..self.chance.below(5)).map(|_| self.any_decision(&token)).collect::<Vec<_>>();
        let mut decisions = self.mostly_allowed(decisions);
        if self.chance.one_in(8) {
            decisions.push([complete(), complete(), fail(), end_as_cancelled()][self.chance.index(4)].clone());
        }
        let completion_id = format!("{}#{} of {}", task.scheduled_event_id, task.attempt, by.identity);
        Some(with_token(token, CompleteWorkflowTask::new(String::new(), completion_id, decisions, by)))
    }

    /// Mostly one that is out, and not the oldest of them for ever.
    fn any_workflow_task(&mut self) -> Option<(TaskToken, WorkflowTask)> {
        if self.chance.one_in(6) {
            return self.chance.recent(&self.world.workflow_tasks).cloned();
        }
        let rows = &self.world.rows;
        let is_out = |token: &TaskToken| is_wanted(rows, &token.workflow_id, &token.task).unwrap();
        let out: Vec<_> = self.world.workflow_tasks.iter().filter(|(token, _)| is_out(token)).collect();
        self.chance.recent(&out).map(|task| (*task).clone())
    }

    /// A timer that the run started at some time.
    fn any_timer_of(&mut self, token: &TaskToken) -> Option<String> {
        let page = read::history(&self.world.rows, &token.workflow_id, &token.task.run_id, 1, usize::MAX).unwrap()?;
        let started: Vec<_> = page
            .events
            .into_iter()
            .filter_map(|event| match event.attributes {
                EventAttributes::TimerStarted(started) => Some(started.timer_id),
                _ => None,
            })
            .collect();
        self.chance.recent(&started).cloned()
    }

    /// Mostly an activity that is open, and was not asked to end.
    fn any_activity_of(&mut self, token: &TaskToken) -> Option<u64> {
        let run = read::describe(&self.world.rows, &token.workflow_id, &token.task.run_id).unwrap()?;
        let unlikely = self.chance.one_in(12);
        let may_be_asked = |activity: &PendingActivity| unlikely || !(activity.cancel_requested || activity.detached);
        let open: Vec<_> = run.pending_activities.iter().filter(|activity| may_be_asked(activity)).collect();
        self.chance.recent(&open).map(|activity| activity.scheduled_event_id)
    }

    /// Most workflow code does not use an id twice in one completion.
    fn mostly_allowed(&mut self, decisions: Vec<Decision>) -> Vec<Decision> {
        if self.chance.one_in(10) {
            return decisions;
        }
        let mut kept: Vec<Decision> = Vec::new();
        for decision in decisions {
            let id = |decision: &Decision| match decision {
                Decision::ScheduleActivity(activity) => Some(activity.activity_id.clone()),
                Decision::StartTimer(timer) => Some(timer.timer_id.clone()),
                Decision::CancelTimer(timer) => Some(timer.timer_id.clone()),
                Decision::RequestCancelActivity(cancel) => Some(format!("event {}", cancel.scheduled_event_id)),
                _ => None,
            };
            if !kept.iter().any(|other| id(other) == id(&decision)) {
                kept.push(decision);
            }
        }
        kept
    }

    fn any_decision(&mut self, token: &TaskToken) -> Decision {
        if self.chance.one_in(6)
            && let Some(id) = self.any_timer_of(token)
        {
            return cancel(&id);
        }
        if self.chance.one_in(6)
            && let Some(scheduled_event_id) = self.any_activity_of(token)
        {
            return cancel_activity(scheduled_event_id);
        }
        let chance = &mut self.chance;
        match chance.below(10) {
            0..6 => {
                let id = format!("a{}", chance.below(60));
                ScheduleActivity {
                    task_queue: chance.maybe(|_| "shipping".to_owned()),
                    schedule_to_start_timeout_ms: chance.maybe(|c| 10_000 + c.below(50_000)),
                    schedule_to_close_timeout_ms: chance.maybe(|c| 10_000 + c.below(90_000)),
                    heartbeat_timeout_ms: chance.maybe(|c| 1_000 + c.below(9_000)),
                    retry_policy: chance.maybe(|c| RetryPolicy {
                        initial_interval_ms: c.below(3_000),
                        backoff_coefficient: 1.0 + c.below(1_000) as f64 / 333.0,
                        maximum_interval_ms: c.maybe(|c| 3_000 + c.below(9_000)),
                        maximum_attempts: c.below(4) as u32,
                        non_retryable_error_types: c.maybe(|_| vec!["Fatal".to_owned()]).unwrap_or_default(),
                    }),
                    detached: chance.one_in(5),
                    ..activity(&id)
                }
                .into()
            }
            _ => timer(&format!("t{}", chance.below(20)), chance.below(30_000)),
        }
    }

    fn any_failure(&mut self) -> Failure {
        let chance = &mut self.chance;
        let failure = match chance.below(5) {
            0 => Failure::timeout(TimeoutType::Heartbeat, "it is silent"),
            1 => Failure::application("Fatal", "no", chance.one_in(2)),
            2 => {
                let next_retry_delay_ms = Some(chance.below(5_000));
                let info = ApplicationFailure { next_retry_delay_ms, ..ApplicationFailure::default() };
                Failure::of("busy", FailureInfo::Application(info))
            }
            _ => boom(),
        };
        if chance.one_in(10) { (0..100).fold(failure, |cause, _| boom().caused_by(cause)) } else { failure }
    }

    fn any_activity_outcome(&mut self) -> Option<Request> {
        let token = self.chance.recent(&self.world.activity_tasks)?.0.clone();
        let by = worker(WORKERS[self.chance.index(3)]);
        Some(match self.chance.below(12) {
            8 | 9 => {
                let details = self.chance.maybe(|c| payload_of(2 + c.index(9)));
                with_token(token, RecordActivityHeartbeat { token: String::new(), details, worker: by })
            }
            10 => {
                let details = self.chance.maybe(|c| payload_of(2 + c.index(9)));
                with_token(token, CancelActivity { token: String::new(), details, worker: by })
            }
            11 => returned_token(token, &by.identity),
            0 | 1 => with_token(token, RecordActivityStarted { token: String::new(), worker: by }),
            2 => may_run_token(token, &by.identity),
            3 | 4 => {
                let failure = self.any_failure();
                with_token(token, FailActivity::new(String::new(), failure, by))
            }
            _ => {
                let large = self.chance.one_in(20);
                let result =
                    self.chance.maybe(|c| if large { payload_of(300_000) } else { payload_of(2 + c.index(9)) });
                with_token(token, CompleteActivity { token: String::new(), result, worker: by })
            }
        })
    }

    fn any_timer(&mut self) -> Option<Request> {
        let due = self.world.due();
        let timer = due.get(self.chance.index(due.len().clamp(1, 5)))?.clone();
        if self.chance.one_in(8) {
            return Some(fire(&self.almost(timer)));
        }
        if !self.chance.one_in(4) {
            self.world.now_ms = self.world.now_ms.max(timer.due_ms.min(self.world.now_ms + 60_000));
        }
        Some(fire(&timer))
    }

    fn almost(&mut self, timer: DueTimer) -> DueTimer {
        match self.chance.below(5) {
            0 => DueTimer { due_ms: timer.due_ms + 1, ..timer },
            1 => DueTimer { attempt: timer.attempt + 1, ..timer },
            2 => DueTimer { event_id: timer.event_id + 1, ..timer },
            3 => DueTimer { target: TimerTarget::ActivityScheduleToClose, ..timer },
            _ => DueTimer { run_id: RunId::from_text("another"), ..timer },
        }
    }

    fn any_trouble(&mut self) -> Option<Request> {
        let token = self.any_token()?;
        let reason = [EffectFailure::TopicMissing, EffectFailure::TooLarge][self.chance.index(2)];
        Some(if self.chance.one_in(2) { lost(&token) } else { undeliverable(&token, reason) })
    }

    /// A worker is gone, now or some time ago.
    fn any_loss(&mut self) -> Request {
        let id = self.any_workflow_id();
        let as_of_ms = self.world.now_ms.saturating_sub(self.chance.maybe(|c| c.below(60_000)).unwrap_or(0));
        worker_lost_of(id.as_str(), WORKERS[self.chance.index(3)], as_of_ms)
    }

    fn any_token(&mut self) -> Option<TaskToken> {
        if self.chance.one_in(2) {
            return self.chance.recent(&self.world.workflow_tasks).map(|(token, _)| token.clone());
        }
        self.chance.recent(&self.world.activity_tasks).map(|(token, _)| token.clone())
    }

    /// A token that was not made for this, or none.
    fn forge(&mut self, request: &mut Request) {
        let other = self.any_token();
        let Some(token) = &mut request.token else { return };
        match self.chance.below(6) {
            0 => token.digest = "another".to_owned(),
            1 => token.task.attempt += 1,
            2 => token.task.scheduled_event_id += 1,
            3 => token.task.run_id = RunId::from_text("another"),
            4 => token.task.kind = TaskKind::Activity,
            _ => request.token = other,
        }
    }
}
