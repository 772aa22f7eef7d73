//! What it means to cancel the call of an activity: try, wait, abandon; whether the activity agrees, completes all the same,
//! has completed before, or has not begun.

use anyhow::{Context as _, Result, ensure};
use end_to_end::{Running, World, eventually};
use serde::{Deserialize, Serialize};
use tidewright::ActivityCancellationType::{Abandon, TryCancel, WaitCancellationCompleted};
use tidewright::prelude::*;
use tidewright_schemas::EventAttributes;
use tokio::sync::mpsc;

/// What an activity tells the test.
#[derive(Debug, PartialEq)]
enum Told {
    Runs(String),
    HasHeard(String),
}

struct Lab(mpsc::UnboundedSender<Told>);

#[activities]
impl Lab {
    /// Runs until it hears that it is to end; `agrees` ends as cancelled, `insists` completes. `completes` needs no telling.
    #[activity(start_to_close = "120s")]
    async fn work(&self, ctx: &ActivityContext, how: String) -> ActivityResult<String> {
        self.0.send(Told::Runs(how.clone()))?;
        if how == "completes" {
            return Ok("done".to_owned());
        }
        ctx.cancelled().await;
        self.0.send(Told::HasHeard(how.clone()))?;
        if how == "insists" { Ok("done all the same".to_owned()) } else { Err(ActivityError::canceled("rolled back")) }
    }
}

/// Which kind of cancellation, of what.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Case {
    kind: String,
    how: String,
}

const CANCEL: SignalDef<()> = SignalDef::new("cancel");

fn kind(name: &str) -> ActivityCancellationType {
    match name {
        "try" => TryCancel,
        "wait" => WaitCancellationCompleted,
        _ => Abandon,
    }
}

/// Calls an activity in a scope, which a signal cancels. Says what came of the call.
#[workflow]
async fn calls(ctx: &WorkflowContext, case: Case) -> WorkflowResult<String> {
    let scope = ctx.scope();
    let queue = if case.how == "waits" { "nobody" } else { "q" };
    let call = scope.activity(Lab::work, case.how).task_queue(queue).cancellation_type(kind(&case.kind));
    let cancels = async {
        ctx.receive(CANCEL).await?;
        scope.cancel();
        Ok::<_, Canceled>(())
    };
    let (outcome, cancelled) = join!(call, cancels);
    cancelled?;
    Ok(match outcome {
        Ok(result) => result,
        Err(failed) if failed.is_canceled() => format!("cancelled: {}", failed.details::<String>().unwrap_or_default()),
        Err(failed) => failed.message().to_owned(),
    })
}

struct Site {
    world: World,
    client: Client,
    told: mpsc::UnboundedReceiver<Told>,
    _worker: Running,
}

impl Site {
    async fn open() -> Result<Self> {
        let world = World::start().await?;
        let client = world.client()?;
        let (sender, told) = mpsc::unbounded_channel();
        let running = world.run(Worker::new(&client, "q").workflow(calls).activities(Lab(sender)));
        Ok(Self { world, client, told, _worker: running })
    }

    async fn hears(&mut self, expected: Told) -> Result<()> {
        let told = eventually("an activity says something", || std::future::ready(self.told.try_recv().ok())).await?;
        ensure!(told == expected, "{told:?} instead of {expected:?}");
        Ok(())
    }

    /// Begins the activity and lets its scope be cancelled: before anything else happens, or once it has completed.
    async fn cancelled(&mut self, kind: &str, how: &str) -> Result<String> {
        let id = format!("{kind}-{how}");
        let case = Case { kind: kind.to_owned(), how: how.to_owned() };
        let run = self.client.start(calls, case).id(&id).task_queue("q").await?;
        if how == "waits" {
            let is_out =
                |event: &EventAttributes| matches!(event, EventAttributes::ActivityTaskScheduled(_)).then_some(());
            self.world.event(&id, is_out).await?;
        } else {
            self.hears(Told::Runs(how.to_owned())).await?;
        }
        if how == "completes" {
            let is_done =
                |event: &EventAttributes| matches!(event, EventAttributes::ActivityTaskCompleted(_)).then_some(());
            self.world.event(&id, is_done).await?;
        }
        run.signal(CANCEL, ()).await?;
        let outcome = self.world.outcome(&id).await?;
        Ok(outcome.result.with_context(|| format!("{id}: {:?}", outcome.failure))?.read()?)
    }

    async fn was_asked(&self, id: &str) -> Result<bool> {
        let history = self.world.history(id).await?;
        Ok(history.iter().any(|event| event.attributes.event_type() == "ActivityTaskCancelRequested"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_gets_what_the_activity_made_of_it() -> Result<()> {
    let mut site = Site::open().await?;
    for (how, expected) in [("agrees", "cancelled: rolled back"), ("insists", "done all the same")] {
        ensure!(site.cancelled("wait", how).await? == expected, "{how}");
        site.hears(Told::HasHeard(how.to_owned())).await?;
        ensure!(site.was_asked(&format!("wait-{how}")).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_goes_on_at_once_and_the_activity_hears_it() -> Result<()> {
    let mut site = Site::open().await?;
    for how in ["agrees", "insists"] {
        ensure!(site.cancelled("try", how).await? == "cancelled: ", "{how}");
        site.hears(Told::HasHeard(how.to_owned())).await?;
        ensure!(site.was_asked(&format!("try-{how}")).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_abandons_goes_on_at_once_and_asks_nobody() -> Result<()> {
    let mut site = Site::open().await?;
    ensure!(site.cancelled("abandon", "agrees").await? == "cancelled: ");
    ensure!(!site.was_asked("abandon-agrees").await?);
    // It hears only that its workflow is closed.
    site.hears(Told::HasHeard("agrees".to_owned())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_completed_before_its_scope_was_cancelled_has_completed() -> Result<()> {
    let mut site = Site::open().await?;
    for kind in ["wait", "try", "abandon"] {
        ensure!(site.cancelled(kind, "completes").await? == "done", "{kind}");
        ensure!(!site.was_asked(&format!("{kind}-completes")).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_begun_is_cancelled_by_the_workflow_alone_unless_it_waits_for_a_worker() -> Result<()> {
    let mut site = Site::open().await?;
    for kind in ["try", "abandon"] {
        ensure!(site.cancelled(kind, "waits").await? == "cancelled: ", "{kind}");
        ensure!(site.was_asked(&format!("{kind}-waits")).await? == (kind == "try"));
    }
    Ok(())
}
