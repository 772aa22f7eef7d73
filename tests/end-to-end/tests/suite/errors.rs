//! Each kind of error as it is seen: typed in Rust, as JSON over HTTP, as text on the command line.

use std::future::pending;

use anyhow::{Context as _, Result, bail, ensure};
use end_to_end::ways::{WayIn, Ways, start_of};
use end_to_end::{CommandLine, Running, World, eventually, in_time};
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright::{ResultError, StartError, WorkflowHandle};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::{FailureInfo, StartWorkflow, TimeoutType};

#[derive(Debug, thiserror::Error)]
#[error("the gateway said no")]
struct Declined(#[source] std::num::ParseIntError);

struct Bank;

#[activities]
impl Bank {
    /// Fails for good, with all that a failure can say.
    #[activity(start_to_close = "30s")]
    async fn charge(&self) -> ActivityResult<()> {
        let source = Declined("x".parse::<u64>().err().ok_or_else(|| ActivityError::new("Parsed", "it is a number"))?);
        Err(ActivityError::non_retryable("CardDeclined", "no cover")
            .details(&json!({"cents": 4200}))
            .caused_by(&source))
    }

    #[activity(start_to_close = "30s", heartbeat_timeout = "300ms")]
    async fn hangs(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        ctx.heartbeat(&"half way")?;
        pending().await
    }
}

/// Goes wrong as it is told.
#[workflow]
async fn goes_wrong(ctx: &WorkflowContext, how: String) -> WorkflowResult<()> {
    match how.as_str() {
        "application" => Err(WorkflowError::new("OutOfStock", "no books are left").details(&json!({"left": 0}))),
        "activity" => Ok(ctx.activity(Bank::charge, ()).await?),
        "activity-timeout" => Ok(ctx.activity(Bank::hangs, ()).retry(RetryPolicy::never()).await?),
        "waits-too-long" => Ok(ctx.receive_named::<()>("never").timeout(1.millis()).await?),
        _ => Ok(ctx.receive_named::<()>("never").await?),
    }
}

const KINDS: [(&str, WorkflowStatus); 7] = [
    ("application", WorkflowStatus::Failed),
    ("activity", WorkflowStatus::Failed),
    ("activity-timeout", WorkflowStatus::Failed),
    ("waits-too-long", WorkflowStatus::Failed),
    ("canceled", WorkflowStatus::Canceled),
    ("terminated", WorkflowStatus::Terminated),
    ("timed-out", WorkflowStatus::TimedOut),
];

/// What the end of a workflow of each kind must hold: its failure's JSON, and a line of text.
fn expected(kind: &str) -> (Value, &'static [&'static str]) {
    match kind {
        "application" => (
            json!({
                "message": "no books are left", "source": "RustSDK",
                "info": {"type": "Application", "error_type": "OutOfStock", "details": {"left": 0}},
            }),
            &["failed", "OutOfStock: no books are left"],
        ),
        "activity" => (
            json!({
                "info": {"type": "Activity", "activity_type": "Charge", "retry_state": "NonRetryableFailure"},
                "cause": {
                    "message": "no cover",
                    "info": {
                        "type": "Application", "error_type": "CardDeclined", "non_retryable": true,
                        "details": {"cents": 4200},
                    },
                    "cause": {
                        "message": "the gateway said no",
                        "cause": {"message": "invalid digit found in string"},
                    },
                },
            }),
            &[
                "activity Charge (NonRetryableFailure)",
                "caused by CardDeclined: no cover",
                "caused by Error: invalid digit",
            ],
        ),
        "activity-timeout" => (
            json!({
                "info": {"type": "Activity", "retry_state": "MaximumAttemptsReached"},
                "cause": {
                    "info": {"type": "Timeout", "timeout_type": "Heartbeat", "last_heartbeat_details": "half way"},
                },
            }),
            &["activity Hangs (MaximumAttemptsReached)", "caused by Heartbeat timeout"],
        ),
        "waits-too-long" => {
            (json!({"info": {"type": "Application", "error_type": "Timeout"}}), &["failed", "Timeout:"])
        }
        "canceled" => (json!({"info": {"type": "Canceled"}}), &["was cancelled"]),
        "terminated" => (json!({"info": {"type": "Terminated"}}), &["was terminated", "enough"]),
        _ => (json!({"info": {"type": "Timeout", "timeout_type": "StartToClose"}}), &["timed out"]),
    }
}

/// Whether all that `part` says is in `whole`.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| holds(whole, part)))
        }
        _ => whole == part,
    }
}

async fn started() -> Result<(World, Running)> {
    let world = World::with_http().await?;
    let worker = Worker::new(&world.client()?, "q").workflow(goes_wrong).activities(Bank);
    let running = world.run(worker);
    Ok((world, running))
}

/// One workflow of each kind, all of which have ended.
async fn ended(world: &World) -> Result<Vec<WorkflowHandle<()>>> {
    let client = world.client()?;
    let mut runs = Vec::new();
    for (kind, _) in KINDS {
        let call = client.start(goes_wrong, kind.to_owned()).id(kind).task_queue("q");
        let run = if kind == "timed-out" { call.run_timeout(200.millis()).await? } else { call.await? };
        match kind {
            "canceled" => drop(run.cancel("not needed").await?),
            "terminated" => drop(run.terminate("enough").await?),
            _ => {}
        }
        runs.push(run);
    }
    for (kind, status) in KINDS {
        ensure!(world.outcome(kind).await?.status == status, "{kind}");
    }
    Ok(runs)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_the_same_in_rust_over_http_and_on_the_command_line() -> Result<()> {
    let (world, _worker) = started().await?;
    let runs = ended(&world).await?;
    let command_line = CommandLine::of(&world)?;
    for ((kind, status), run) in KINDS.into_iter().zip(runs) {
        let (failure, lines) = expected(kind);
        // Rust.
        let Err(ResultError::Failed(failed)) = in_time("the result is read", run.result()).await? else {
            bail!("{kind}")
        };
        ensure!(failed.status == status && failed.workflow_id.as_str() == kind, "{failed:?}");
        let in_rust = serde_json::to_value(&*failed.failure)?;
        ensure!(holds(&in_rust, &failure), "{kind} in Rust: {in_rust}");
        // HTTP.
        let url = format!("{}/api/v1/namespaces/default/workflows/{kind}/result", world.http_url()?);
        let answer: Value = eventually("a node answers", || async {
            reqwest::get(&url).await.ok()?.error_for_status().ok()?.json().await.ok()
        })
        .await?;
        ensure!(answer["status"] == status.as_str() && answer["failure"] == in_rust, "{kind} over HTTP: {answer}");
        // The command line, for people and for programs.
        let said = command_line.workflow(&["result", "-w", kind]).await?;
        ensure!(said.code == Some(1) && lines.iter().all(|line| said.stderr.contains(line)), "{kind}: {said:?}");
        let said = command_line.workflow(&["result", "-w", kind, "-o", "json"]).await?;
        ensure!(serde_json::from_str::<Value>(&said.stdout)? == answer, "{kind}: {said:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_is_typed_in_rust() -> Result<()> {
    let (world, _worker) = started().await?;
    let runs = ended(&world).await?;
    let failure = async |kind: &str| {
        let at = KINDS.iter().position(|(known, _)| *known == kind).context("no such kind")?;
        let Err(ResultError::Failed(failed)) = in_time("the result is read", runs[at].result()).await? else {
            bail!("{kind}")
        };
        anyhow::Ok(*failed.failure)
    };
    let activity = failure("activity").await?;
    let FailureInfo::Activity(info) = &activity.info else { bail!("{activity:?}") };
    ensure!(
        info.scheduled_event_id > 0 && info.started_event_id > info.scheduled_event_id && !info.identity.is_empty()
    );
    let cause = activity.cause.context("no cause")?;
    let FailureInfo::Application(info) = &cause.info else { bail!("{cause:?}") };
    let details: Value = info.details.as_ref().context("no details")?.read()?;
    ensure!((info.non_retryable, details) == (true, json!({"cents": 4200})), "{info:?}");
    let timeout = failure("activity-timeout").await?.cause.context("no cause")?;
    let FailureInfo::Timeout(info) = &timeout.info else { bail!("{timeout:?}") };
    let last: String = info.last_heartbeat_details.as_ref().context("no heartbeat")?.read()?;
    ensure!((info.timeout_type, last.as_str()) == (TimeoutType::Heartbeat, "half way"));
    let by_whom = failure("terminated").await?;
    let FailureInfo::Terminated(info) = &by_whom.info else { bail!("{by_whom:?}") };
    ensure!(!info.identity.is_empty(), "who terminated it is told");
    ensure!(matches!(failure("canceled").await?.info, FailureInfo::Canceled(_)));
    ensure!(matches!(failure("timed-out").await?.info, FailureInfo::Timeout(_)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_refused_says_why_and_over_http_as_it_is_described() -> Result<()> {
    let (world, _worker) = started().await?;
    let (ways, client) = (Ways::into(&world)?, world.client()?);
    let run = client.start(goes_wrong, "waits".to_owned()).id("open").task_queue("q").await?;
    let again = client.start(goes_wrong, "waits".to_owned()).id("open").task_queue("q").await;
    let Err(StartError::AlreadyStarted { code, run_id, .. }) = again else { bail!("{again:?}") };
    ensure!((code.as_str(), run_id.as_str()) == ("TW0202", run.run_id()));
    let long = "x".repeat(1_001);
    for way in WayIn::ALL {
        let start = StartWorkflow { task_queue: long.clone(), ..start_of("GoesWrong", "long", &json!("waits"))? };
        let refused = ways.ask(way, "long", start).await?;
        ensure!(refused == Err("TW0201".to_owned()), "{way:?}: {refused:?}");
    }
    let base = world.http_url()?;
    let described: Value =
        reqwest::get(format!("{base}/api/v1/openapi.json")).await?.error_for_status()?.json().await?;
    let workflows = "/api/v1/namespaces/{namespace}/workflows";
    let responses = &described["paths"][workflows]["post"]["responses"];
    let http = reqwest::Client::new();
    let start = json!({"workflow_type": "GoesWrong", "workflow_id": "open", "task_queue": "q", "input": "waits"});
    let mut too_long = start.clone();
    too_long["task_queue"] = json!(long);
    let cases = [(start.to_string(), "TW0202"), (too_long.to_string(), "TW0201"), ("[]".to_owned(), "TW0605")];
    for (body, code) in cases {
        let url = format!("{base}{}", workflows.replace("{namespace}", "default"));
        let request = http.post(url).header("content-type", "application/json").body(body);
        let answer = request.send().await?;
        let status = answer.status().as_str().to_owned();
        let problem: Value = answer.json().await?;
        ensure!(problem["code"] == code, "{problem}");
        let says = responses[&status]["description"].as_str().unwrap_or_default();
        ensure!(says.contains(code), "{status} is described as {says:?}, and {code} is not in it");
    }
    Ok(())
}
