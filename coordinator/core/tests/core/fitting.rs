//! A record always fits its topic, and can be read again, whatever comes in (R7). [`World`] checks the size of each.

use tidewright_schemas::limits::{COMMAND_BYTES_MAX, DECISIONS_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use tidewright_schemas::{
    ApplicationFailure, Command, Decision, EventAttributes, FailWorkflow, Failure, FailureInfo, RetryPolicy,
    ScheduleActivity, StartWorkflow, TimerTarget, WorkerIdentity, WorkflowTaskFailedCause::*,
};

use crate::support::commands::*;
use crate::support::decisions::*;
use crate::support::{ORDER, World};

/// A failure whose every part is as large as a command lets it be.
fn large_failures() -> Vec<Failure> {
    let text = "x".repeat(COMMAND_BYTES_MAX - 10_000);
    let application = |info| Failure::of("no", FailureInfo::Application(info));
    let mut source = boom();
    source.source.clone_from(&text);
    let mut trace = boom();
    trace.stack_trace.clone_from(&text);
    vec![
        source,
        trace,
        Failure::application("T", text.clone(), false),
        Failure::application(text, "no", false),
        application(ApplicationFailure {
            details: Some(payload_of(COMMAND_BYTES_MAX - 10_000)),
            ..ApplicationFailure::default()
        }),
        (0..100).fold(boom(), |cause, _| Failure::application("T", "x".repeat(29_000), false).caused_by(cause)),
    ]
}

#[test]
fn r7_failures_of_workflow_tasks_fit() {
    for failure in large_failures() {
        let mut w = order_that_decided([schedule("a"), schedule("b")]);
        w.when(activity_completed("a")).when(activity_completed_with("b", payload_of(PAYLOAD_BYTES_MAX)));
        w.when(task_failed_with(NonDeterministicError, failure)).then_effects([]);
    }
}

#[test]
fn r7_failures_of_activities_fit() {
    for failure in large_failures() {
        let mut w = order_that_decided([schedule("a"), with_policy("b", at_most(3))]);
        w.when(activity_completed("a"));
        for _ in 0..2 {
            w.when(activity_failed_with("b", failure.clone())).when_due(TimerTarget::ActivityRetry);
        }
        w.when(activity_failed_with("b", failure.clone()));
        assert_eq!(w.describe().buffered_events, 1);
        // Beside a completion that is as large as can be.
        let more = ScheduleActivity { input: Some(payload_of(PAYLOAD_BYTES_MAX)), ..activity("c") };
        let large = FailWorkflow { failure: Failure::application("T", "x".repeat(15_000), false) };
        w.when(task_completed([more.into(), large.into()]));
    }
}

#[test]
fn r7_a_flush_leaves_what_does_not_fit_beside_the_decisions() {
    let mut w = World::default();
    w.check_compaction = false;
    let mut begin = start(ORDER);
    begin.command.task_queue = "q".repeat(NAME_BYTES_MAX);
    w.when(begin).when(task_completed([schedule("a"), schedule("b")]));
    let details = Some(payload_of(PAYLOAD_BYTES_MAX - 1_000));
    let failure = Failure::of("no", FailureInfo::Application(ApplicationFailure { details, ..Default::default() }));
    w.when(activity_failed_with("b", failure)).when_due(TimerTarget::ActivityRetry).when(activity_completed("a"));
    w.when(activity_completed_with("b", payload_of(PAYLOAD_BYTES_MAX)));
    // As much as a command may hold, and as much as may become of it in history.
    let large = |id: &str| Decision::from(ScheduleActivity { input: Some(payload_of(1_250_000)), ..activity(id) });
    let mut decisions = vec![large("c"), large("d")];
    decisions.extend((0..900).map(|n| ScheduleActivity { input: None, ..activity(&format!("{n}")) }.into()));
    w.when(task_completed_with(decisions)).then_facts([]);
    assert_eq!(w.describe().buffered_events, 1);
    w.when(task_completed([])).then_facts(["BufferFlushed 1"]);
}

#[test]
fn r7_a_completion_that_grows_too_large_is_refused() {
    let mut w = World::default();
    let mut begin = start(ORDER);
    begin.command.task_queue = "q".repeat(NAME_BYTES_MAX);
    w.when(begin);
    w.check_compaction = false;
    let many = (0..DECISIONS_MAX)
        .map(|n| ScheduleActivity { input: Some(payload_of(1_000)), ..activity(&format!("a{n}")) }.into());
    w.when(task_completed_with(many.collect())).then_events(["WorkflowTaskFailed CompletionTooLarge"]);
}

#[test]
fn r7_names_of_workers_and_completions_are_bounded() {
    let long = "ä".repeat(700_000);
    let huge = WorkerIdentity { identity: long.clone(), incarnation: long.clone() };
    let mut w = order_that_decided([schedule("a"), schedule("b")]);
    let mut notice = started_notice("a", "w")(&w);
    let Command::RecordActivityStarted(command) = &mut notice.command else { panic!() };
    command.worker = huge.clone();
    w.when(notice);
    assert!(w.describe().pending_activities[0].last_worker.as_ref().unwrap().len() <= NAME_BYTES_MAX);
    let mut completion = activity_completed("a")(&w);
    let Command::CompleteActivity(command) = &mut completion.command else { panic!() };
    command.worker = huge.clone();
    w.when(completion);
    let mut failure = activity_failed("b")(&w);
    let Command::FailActivity(command) = &mut failure.command else { panic!() };
    command.worker = huge.clone();
    w.when(failure);
    let mut completion = task_completed([])(&w);
    let Command::CompleteWorkflowTask(command) = &mut completion.command else { panic!() };
    command.worker = huge;
    w.when(completion.clone()).then_events(["WorkflowTaskCompleted"]);
    let mut w = order_that_decided([timer("t", 1)]);
    w.when_due(TimerTarget::Timer);
    let mut completion = task_completed([])(&w);
    let Command::CompleteWorkflowTask(command) = &mut completion.command else { panic!() };
    command.completion_id = long;
    w.when(completion).then_events(["WorkflowTaskFailed BadDecision"]);
}

/// As deep as JSON is read.
fn deep() -> Failure {
    (0..125).fold(boom(), |cause, _| boom().caused_by(cause))
}

#[test]
fn r7_a_failure_as_deep_as_json_allows_can_be_read_again() {
    let failed = |mut w: World| {
        let brief = ScheduleActivity { schedule_to_close_timeout_ms: Some(60_000), ..activity("b") };
        w.when(start(ORDER)).when(task_completed([brief.into()]));
        w.when(activity_failed_with("b", deep())).after(60_000).when_due(TimerTarget::ActivityScheduleToClose);
        w
    };
    let w = failed(World::default());
    assert!(
        matches!(w.attributes("ActivityTaskTimedOut"), EventAttributes::ActivityTaskTimedOut(e) if e.failure.cause.is_some())
    );
    let mut w = World::default();
    w.when(start(ORDER)).when(task_failed_with(NonDeterministicError, deep()));
    w.when_due(TimerTarget::WorkflowTaskRetry).when(task_completed([FailWorkflow { failure: deep() }.into()]));
    assert_eq!(w.outcome().failure.expect("it failed").message, boom().message);
}

#[test]
fn a_payload_as_deep_as_it_likes_can_be_read_again() {
    let deep = json(&format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)));
    let mut w = order_that_decided([schedule("a")]);
    w.when(activity_completed_with("a", deep)).then_effects(["workflow task 8#1"]);
}

#[test]
fn a_policy_is_read_as_it_was_written() {
    // Decimals of 17 digits, which a reader that rounds twice gets wrong.
    for n in 1..200_u32 {
        let backoff_coefficient = 1.0 + f64::from(n) / 197.0;
        let policy = RetryPolicy { backoff_coefficient, ..RetryPolicy::default() };
        order_that_decided([with_policy("a", policy)]);
    }
}

#[test]
fn a_start_with_a_large_answer_fits() {
    let mut begin = start(ORDER).answered();
    begin.command.input = Some(payload_of(PAYLOAD_BYTES_MAX));
    if let Some(StartWorkflow { reply_to: Some(reply_to), .. }) = Some(&mut begin.command) {
        reply_to.correlation_id = "c".repeat(COMMAND_BYTES_MAX - PAYLOAD_BYTES_MAX - 1_000);
    }
    World::default().when(begin).then_effects(["workflow task 2#1", "reply WorkflowStarted"]);
}
