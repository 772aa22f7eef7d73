//! What a workflow sees of an activity that failed: a standard error, whose sources are what history has, typed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod history;

use std::error::Error;

use history::{History, run_of};
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright::{Failure, FailureInfo, RetryState, TimeoutType};
use tidewright_schemas::{Decision, Payload};

struct Payments;

#[activities]
impl Payments {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, cents: u64) -> ActivityResult<String> {
        Ok(cents.to_string())
    }
}

/// An error and its sources, from the outermost to the innermost.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source()).collect()
}

fn texts(error: &(dyn Error + 'static)) -> Vec<String> {
    chain(error).into_iter().map(ToString::to_string).collect()
}

#[workflow]
async fn tells(ctx: &WorkflowContext) -> WorkflowResult<Vec<String>> {
    let failed = ctx.activity(Payments::charge, 100).await.unwrap_err();
    let causes = chain(&failed).into_iter().skip(1).map(|cause| cause.downcast_ref::<Failure>().unwrap());
    let mut told = texts(&failed);
    told.push(format!("{failed:#}"));
    told.extend(causes.map(|cause| match &cause.info {
        FailureInfo::Application(application) => format!("application {}", application.error_type),
        FailureInfo::Timeout(timeout) => {
            let details = timeout.last_heartbeat_details.as_ref().map(|details| details.read::<u64>().unwrap());
            format!("timeout {:?} {details:?}", timeout.timeout_type)
        }
        FailureInfo::Canceled(canceled) => format!("cancelled by `{}`", canceled.identity),
        FailureInfo::Terminated(terminated) => format!("terminated by `{}`", terminated.identity),
        FailureInfo::Server(server) => format!("engine {}", server.code),
        FailureInfo::Activity(activity) => format!("activity {}", activity.activity_type),
    }));
    Ok(told)
}

/// What [`tells`] gives if its activity fails so.
fn told_of(failure: &Value) -> Vec<String> {
    let mut run = run_of(tells);
    let asked = History::begun("null").advance(&mut run);
    let history = History::begun("null").completed(&asked).failed_with("1", failure);
    let decisions = history.advance(&mut run);
    let [Decision::CompleteWorkflow(done)] = decisions.as_slice() else { panic!("{decisions:?}") };
    done.result.as_ref().unwrap().read().unwrap()
}

#[test]
fn the_sources_of_an_activity_that_failed_are_its_causes_each_said_once() {
    let details = serde_json::to_value(Payload::new(&42).unwrap()).unwrap();
    let digit = json!({"message": "invalid digit", "info": {"type": "Application", "error_type": "ParseIntError"}});
    let cases = [
        (
            json!({"message": "no money", "info": {"type": "Application", "error_type": "CardDeclined"}, "cause": digit}),
            vec!["no money", "invalid digit"],
            vec!["application CardDeclined", "application ParseIntError"],
        ),
        (
            json!({"message": "no sign of life",
                   "info": {"type": "Timeout", "timeout_type": "Heartbeat", "last_heartbeat_details": details}}),
            vec!["no sign of life"],
            vec!["timeout Heartbeat Some(42)"],
        ),
        (
            json!({"message": "called off", "info": {"type": "Canceled", "identity": "ada"}}),
            vec!["called off"],
            vec!["cancelled by `ada`"],
        ),
        (
            json!({"message": "ended", "info": {"type": "Terminated", "identity": "ada"}}),
            vec!["ended"],
            vec!["terminated by `ada`"],
        ),
        (json!({"message": "lost", "info": {"type": "Server", "code": "TW0304"}}), vec!["lost"], vec!["engine TW0304"]),
    ];
    for (failure, messages, kinds) in cases {
        let mut expected = vec!["activity `Charge` failed".to_owned()];
        expected.extend(messages.iter().map(|message| (*message).to_owned()));
        expected.push(expected.join(": "));
        expected.extend(kinds.iter().map(|kind| (*kind).to_owned()));
        assert_eq!(told_of(&failure), expected);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("order {number} is not paid")]
struct NotPaid {
    number: u64,
    #[source]
    reason: ActivityFailed,
}

async fn pay(ctx: &WorkflowContext, number: u64) -> Result<String, NotPaid> {
    ctx.activity(Payments::charge, 100).await.map_err(|reason| NotPaid { number, reason })
}

async fn order(ctx: &WorkflowContext, number: u64) -> WorkflowResult<String> {
    Ok(pay(ctx, number).await?)
}

#[workflow]
async fn fails(ctx: &WorkflowContext, number: u64) -> WorkflowResult<String> {
    let receipt = order(ctx, number).await?;
    Ok(receipt)
}

#[test]
fn an_error_with_an_activity_behind_it_goes_through_two_levels_with_its_chain_whole() {
    let mut run = run_of(fails);
    let asked = History::begun("7").advance(&mut run);
    let cause = json!({"message": "too late", "info": {"type": "Timeout", "timeout_type": "ScheduleToClose"}});
    let failure =
        json!({"message": "no money", "info": {"type": "Application", "error_type": "CardDeclined"}, "cause": cause});
    let decisions = History::begun("7").completed(&asked).failed_with("1", &failure).advance(&mut run);
    let [Decision::FailWorkflow(failed)] = decisions.as_slice() else { panic!("{decisions:?}") };
    let failure = &failed.failure;
    assert_eq!(failure.error_type(), "NotPaid");
    assert_eq!(texts(failure), ["order 7 is not paid", "activity `Charge` failed", "no money", "too late"]);
    let kinds: Vec<_> = chain(failure).into_iter().map(|error| error.downcast_ref::<Failure>().unwrap()).collect();
    let FailureInfo::Activity(activity) = &kinds[1].info else { panic!("{failure:?}") };
    assert_eq!((activity.activity_type.as_str(), activity.retry_state), ("Charge", RetryState::NonRetryableFailure));
    assert_eq!(kinds[2].error_type(), "CardDeclined");
    assert!(matches!(&kinds[3].info, FailureInfo::Timeout(t) if t.timeout_type == TimeoutType::ScheduleToClose));
}

#[test]
fn errors_of_activities_and_workflows_are_walked_by_their_failures() {
    fn parse(text: &str) -> ActivityResult<u64> {
        Ok(text.parse()?)
    }
    let error = parse("x").unwrap_err();
    assert_eq!(texts(error.failure()), ["invalid digit found in string"]);
    let error = WorkflowError::new("NotPaid", "no").caused_by(error.failure());
    assert_eq!(texts(error.failure()), ["no", "invalid digit found in string"]);
    assert_eq!(error.failure().cause.as_ref().unwrap().error_type(), "ParseIntError");
}
