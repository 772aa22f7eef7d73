//! What goes along with requests and decisions: it changes nothing, and nothing of it is lost.

use std::collections::BTreeMap;

use tidewright_schemas::{
    ActivityTaskFailedCause, BatchJobLink, CompleteWorkflowTask, EventAttributes, FailActivity, Failure, Link, Payload,
    Priority, ScheduleActivity, SdkMetadata, StartTimer, UserMetadata, WorkerVersioning,
};

use crate::support::ORDER;
use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::sentences::given;

fn header() -> BTreeMap<String, Payload> {
    BTreeMap::from([("trace".to_owned(), json("7"))])
}

fn links() -> Vec<Link> {
    vec![BatchJobLink { job_id: "nightly".to_owned() }.into()]
}

fn shown(summary: &str) -> Option<UserMetadata> {
    Some(UserMetadata { summary: Some(Payload::new(summary).unwrap()), details: None })
}

fn urgent() -> Option<Priority> {
    Some(Priority { priority_key: 1, fairness_key: "eu".to_owned(), fairness_weight: Some(2.5) })
}

#[test]
fn a_start_passes_on_all_that_it_says() {
    let mut asked = start(ORDER);
    asked.command.header = header();
    asked.command.memo = header();
    asked.command.priority = urgent();
    asked.command.links = links();
    asked.command.user_metadata = shown("an order");
    asked.command.workflow_task_timeout_ms = Some(7_000);
    asked.command.input = Some(Payload::several(vec![json("1"), json("2")]));
    let w = given(|w| w.when(asked));
    let EventAttributes::WorkflowExecutionStarted(started) = w.attributes("WorkflowExecutionStarted") else {
        panic!("no start")
    };
    assert_eq!((&started.header, &started.memo), (&header(), &header()));
    assert_eq!((&started.priority, &started.links, &started.user_metadata), (&urgent(), &links(), &shown("an order")));
    assert_eq!(started.input.as_ref().unwrap().read::<(u8, u8)>().unwrap(), (1, 2));
    assert_eq!(w.workflow_task().1.workflow_task_timeout_ms, Some(7_000), "its worker is told");
}

#[test]
fn a_decision_passes_on_all_that_it_says_to_history_and_to_the_worker() {
    let charge = ScheduleActivity {
        header: header(),
        priority: urgent(),
        user_metadata: shown("charges the card"),
        retry_policy: Some(at_most(3)),
        ..activity("charge")
    };
    let wait = StartTimer { user_metadata: shown("waits"), timer_id: "t".to_owned(), start_to_fire_timeout_ms: 9 };
    let w = order_that_decided([charge.into(), wait.into()]);
    let EventAttributes::ActivityTaskScheduled(scheduled) = w.attributes("ActivityTaskScheduled") else {
        panic!("no activity")
    };
    assert_eq!((&scheduled.header, &scheduled.priority), (&header(), &urgent()));
    assert_eq!(scheduled.user_metadata, shown("charges the card"));
    let EventAttributes::TimerStarted(timer) = w.attributes("TimerStarted") else { panic!("no timer") };
    assert_eq!(timer.user_metadata, shown("waits"));
    let task = &w.activity_task("charge").1;
    assert_eq!((&task.header, &task.priority, &task.retry_policy), (&header(), &urgent(), &at_most(3)));
}

#[test]
fn a_completion_passes_on_what_its_sdk_notes() {
    let mut w = given(|w| w.when(start(ORDER)));
    let sdk_metadata = Some(SdkMetadata { core_used_flags: vec![1, 3], ..SdkMetadata::default() });
    let versioning = Some(WorkerVersioning { build_id: "7".to_owned(), ..WorkerVersioning::default() });
    let plain = CompleteWorkflowTask::new(String::new(), "c".to_owned(), vec![timer("t", 9)], worker("w"));
    let command = CompleteWorkflowTask { sdk_metadata: sdk_metadata.clone(), versioning: versioning.clone(), ..plain };
    let token = w.workflow_task().0.clone();
    w.take(&with_token(token, command));
    let EventAttributes::WorkflowTaskCompleted(completed) = w.attributes("WorkflowTaskCompleted") else {
        panic!("no completion")
    };
    assert_eq!((&completed.sdk_metadata, &completed.versioning), (&sdk_metadata, &versioning));
}

#[test]
fn a_worker_that_cannot_do_its_part_says_what() {
    let mut w = order_that_decided([with_policy("charge", at_most(1))]);
    let token = w.activity_task("charge").0.clone();
    let failure = Failure::application("TooLarge", "the result has 9 MB", true);
    let command = FailActivity {
        cause: Some(ActivityTaskFailedCause::PayloadsTooLarge),
        ..FailActivity::new(String::new(), failure, worker("a"))
    };
    w.take(&with_token(token, command));
    let EventAttributes::ActivityTaskFailed(failed) = w.attributes("ActivityTaskFailed") else { panic!("no failure") };
    assert_eq!(failed.cause, Some(ActivityTaskFailedCause::PayloadsTooLarge));
}

#[test]
fn links_of_requests_stand_at_their_events() {
    let mut w = order_that_decided([timer("t", 60_000)]);
    w.when(signal_with("approve", |signal| signal.links = links()));
    let EventAttributes::WorkflowExecutionSignaled(signaled) = w.attributes("WorkflowExecutionSignaled") else {
        panic!("no signal")
    };
    assert_eq!(signaled.links, links());
    w.when(task_completed([]));
    w.when(cancel_with(|cancel| cancel.links = links()));
    let EventAttributes::WorkflowExecutionCancelRequested(asked) = w.attributes("WorkflowExecutionCancelRequested")
    else {
        panic!("no request")
    };
    assert_eq!(asked.links, links());
    w.when(terminate_with(|terminate| terminate.links = links()));
    let EventAttributes::WorkflowExecutionTerminated(ended) = w.attributes("WorkflowExecutionTerminated") else {
        panic!("no end")
    };
    assert_eq!(ended.links, links());
}
