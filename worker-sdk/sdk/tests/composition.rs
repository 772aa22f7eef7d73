//! Workflows are composed with the ordinary means of Rust: `join!`, `select!`, `?`, drop.

#![allow(clippy::unwrap_used, reason = "tests")]

use tidewright::prelude::*;
use tidewright_replay::{Run, RunInfo};
use tidewright_schemas::{Decision, HistoryEvent, RunId, WorkflowId};

struct Shop;

#[activities]
impl Shop {
    #[activity(start_to_close = "30s", schedule_to_close = "5m")]
    async fn reserve(&self, _ctx: &ActivityContext, sku: String) -> ActivityResult<u64> {
        Ok(sku.len() as u64)
    }

    /// Has no default timeout: a call without one does not compile.
    #[activity(name = "shop.pack")]
    async fn pack(&self) -> ActivityResult<()> {
        Ok(())
    }
}

#[workflow]
async fn together(ctx: &WorkflowContext) -> WorkflowResult<u64> {
    let (a, b) = try_join!(
        ctx.activity(Shop::reserve, "a".to_owned()),
        ctx.activity(Shop::reserve, "bb".to_owned()).retry(RetryPolicy::never())
    )?;
    ctx.activity(Shop::pack, ()).start_to_close(10.secs()).detach();
    Ok(a + b)
}

#[workflow]
async fn against_time(ctx: &WorkflowContext) -> WorkflowResult<String> {
    let options = ActivityOptions::start_to_close(1.mins()).task_queue("elsewhere");
    let mut packing = ctx.activity(Shop::pack, ()).options(&options);
    select! {
        packed = packing => packed.map(|()| "packed".to_owned()).map_err(WorkflowError::from),
        slept = ctx.sleep(1.hours()) => Ok(slept.map(|()| format!("too late at {}", ctx.now()))?),
    }
}

#[workflow(name = "named.elsewhere")]
async fn by_name(ctx: &WorkflowContext, n: u64) -> WorkflowResult<Vec<u64>> {
    let calls = (0..n).map(|i| ctx.activity_named::<u64>("other.double", &i).schedule_to_close(1.days()));
    Ok(futures::future::try_join_all(calls).await?)
}

fn run_of<I, O>(workflow: WorkflowDef<I, O>) -> Run
where
    I: serde::de::DeserializeOwned + Send + 'static,
    O: serde::Serialize + 'static,
{
    let info = RunInfo {
        namespace: "default".to_owned(),
        workflow_id: WorkflowId::new("w").unwrap(),
        run_id: RunId::from_text("r"),
        workflow_type: workflow.name().to_owned(),
    };
    Run::new(info, workflow.replayable())
}

/// Feeds events, the last of which is a `WorkflowTaskStarted`, and advances the run.
fn advance(run: &mut Run, events: &[(&str, String)]) -> Vec<Decision> {
    let mut id = run.last_event_id();
    for (kind, attributes) in events {
        id += 1;
        let text = format!(r#"{{"event_id":{id},"event_time_ms":0,"event_type":"{kind}","attributes":{attributes}}}"#);
        run.apply(&serde_json::from_str::<HistoryEvent>(&text).unwrap()).unwrap();
    }
    run.activate(id, 0).unwrap()
}

fn begin(run: &mut Run, input: &str) -> Vec<Decision> {
    let started = format!(r#"{{"workflow_type":"T","task_queue":"q","input":{input}}}"#);
    advance(
        run,
        &[
            ("WorkflowExecutionStarted", started),
            ("WorkflowTaskScheduled", r#"{"task_queue":"q","attempt":1}"#.to_owned()),
            ("WorkflowTaskStarted", r#"{"scheduled_event_id":2}"#.to_owned()),
        ],
    )
}

fn accepted() -> (&'static str, String) {
    ("WorkflowTaskCompleted", r#"{"scheduled_event_id":2,"started_event_id":3,"completion_id":"c"}"#.to_owned())
}

fn scheduled(id: u64, activity_type: &str) -> (&'static str, String) {
    let text = format!(
        r#"{{"activity_id":"{id}","activity_type":"{activity_type}","task_queue":"q","retry_policy":{{}},"workflow_task_completed_event_id":4}}"#
    );
    ("ActivityTaskScheduled", text)
}

fn done(event: u64, result: &str) -> (&'static str, String) {
    ("ActivityTaskCompleted", format!(r#"{{"scheduled_event_id":{event},"started_event_id":0,"result":{result}}}"#))
}

fn next_task() -> [(&'static str, String); 2] {
    [
        ("WorkflowTaskScheduled", r#"{"task_queue":"q","attempt":1}"#.to_owned()),
        ("WorkflowTaskStarted", r#"{"scheduled_event_id":2}"#.to_owned()),
    ]
}

#[test]
fn joined_activities_are_asked_for_together_and_a_detached_one_is_not_waited_for() {
    let mut run = run_of(together);
    let asked = begin(&mut run, "null");
    let [Decision::ScheduleActivity(a), Decision::ScheduleActivity(b)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((a.start_to_close_timeout_ms, a.schedule_to_close_timeout_ms), (Some(30_000), Some(300_000)));
    assert_eq!((a.retry_policy.as_ref(), b.retry_policy.as_ref().unwrap().maximum_attempts), (None, 1));

    let [scheduled_again, started_again] = next_task();
    let events = [accepted(), scheduled(1, "Reserve"), scheduled(2, "Reserve"), done(6, "2"), done(5, "1")];
    let decisions = advance(&mut run, &[events.as_slice(), &[scheduled_again, started_again]].concat());
    let [Decision::ScheduleActivity(pack), Decision::CompleteWorkflow(end)] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    assert!(pack.detached && pack.activity_type == "shop.pack" && pack.start_to_close_timeout_ms == Some(10_000));
    assert_eq!(end.result.as_ref().unwrap().read::<u64>().unwrap(), 3);
}

#[test]
fn the_timer_of_a_won_race_is_cancelled() {
    let mut run = run_of(against_time);
    let asked = begin(&mut run, "null");
    let [Decision::ScheduleActivity(pack), Decision::StartTimer(_)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(pack.task_queue.as_deref(), Some("elsewhere"));
    let timer = r#"{"timer_id":"2","start_to_fire_timeout_ms":3600000,"workflow_task_completed_event_id":4}"#;
    let [scheduled_again, started_again] = next_task();
    let decisions = advance(
        &mut run,
        &[
            accepted(),
            scheduled(1, "shop.pack"),
            ("TimerStarted", timer.to_owned()),
            done(5, "null"),
            scheduled_again,
            started_again,
        ],
    );
    let [Decision::CancelTimer(cancel), Decision::CompleteWorkflow(_)] = decisions.as_slice() else {
        panic!("{decisions:?}")
    };
    assert_eq!(cancel.timer_id, "2");
}

#[test]
fn workflows_and_activities_can_be_named() {
    let mut run = run_of(by_name);
    let asked = begin(&mut run, "2");
    let names: Vec<_> = asked
        .iter()
        .map(|decision| match decision {
            Decision::ScheduleActivity(activity) => activity.activity_type.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((by_name.name(), names), ("named.elsewhere", vec!["other.double", "other.double"]));
}

#[tokio::test]
async fn an_activity_can_be_unit_tested() {
    let ctx = ActivityContext::new(tidewright::ActivityInfo::default());
    assert_eq!(Shop::reserve.run(&Shop, &ctx, "abc".to_owned()).await.unwrap(), 3);
}
