//! Signals: heard in order, once, and none is lost, also those that come before anybody listens or while the workflow works;
//! over each way in.

use std::future::IntoFuture as _;

use anyhow::{Context as _, Result, ensure};
use end_to_end::by_hand::{ByHand, complete_workflow};
use end_to_end::ways::{WayIn, Ways, signal_of, signal_with_start_of, start_of};
use end_to_end::{Running, World};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright_schemas::{SignalWorkflow, StartWorkflow};

const SAY: SignalDef<String> = SignalDef::new("say");
const STOP: SignalDef<()> = SignalDef::new("stop");

struct Clock;

#[activities]
impl Clock {
    #[activity(start_to_close = "30s")]
    async fn tick(&self) -> ActivityResult<()> {
        Ok(())
    }
}

/// Listens only after a while, then writes down what is said until it is told to stop.
#[workflow]
async fn late_listener(ctx: &WorkflowContext, activities: u32) -> WorkflowResult<Vec<String>> {
    for _ in 0..activities {
        ctx.activity(Clock::tick, ()).await?;
    }
    let mut heard = Vec::new();
    loop {
        select! {
            said = ctx.receive(SAY) => heard.push(said?),
            stop = ctx.receive(STOP) => return stop.map(|()| heard).map_err(Into::into),
        }
    }
}

/// The same with state: each signal is applied before the code goes on.
#[derive(Default)]
struct Book {
    said: Vec<String>,
    before_it_ran: usize,
    is_closed: bool,
}

#[workflow]
impl Book {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<(usize, Vec<String>)> {
        ctx.state_mut(|book| book.before_it_ran = book.said.len());
        ctx.wait_for(|book| book.is_closed).await?;
        Ok(ctx.state(|book| (book.before_it_ran, book.said.clone())))
    }

    #[signal]
    fn say(&mut self, text: String) {
        self.said.push(text);
    }

    #[signal]
    fn stop(&mut self) {
        self.is_closed = true;
    }
}

async fn started() -> Result<(World, Running)> {
    let world = World::with_http().await?;
    let worker = Worker::new(&world.client()?, "q").workflow(late_listener).workflow(Book::run).activities(Clock);
    let running = world.run(worker);
    Ok((world, running))
}

fn say(text: &str) -> Result<SignalWorkflow> {
    signal_of("say", &json!(text))
}

async fn result<T: serde::de::DeserializeOwned>(world: &World, id: &str) -> Result<T> {
    let outcome = world.outcome(id).await?;
    Ok(outcome.result.with_context(|| format!("{id} is {:?}", outcome.status))?.read()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_anybody_listens_is_kept_in_order_over_each_way_in() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    let check = async |way: WayIn| {
        let id = format!("early-{way:?}");
        let start = start_of("LateListener", &id, &json!(3))?;
        // The first one starts it; a repeat of the whole is neither another start nor another signal.
        let first = StartWorkflow { request_id: Some("r-1".to_owned()), ..start };
        let first = signal_with_start_of(first, "say", &json!("one"))?;
        let run_id = ways.accepted(way, &id, first.clone()).await?;
        ensure!(ways.accepted(way, &id, first).await? == run_id);
        for text in ["two", "three"] {
            ensure!(ways.accepted(way, &id, say(text)?).await? == run_id);
        }
        ways.accepted(way, &id, signal_of("nobody-listens-to-this", &json!("lost?"))?).await?;
        ways.accepted(way, &id, signal_of("stop", &Value::Null)?).await?;
        ensure!(result::<Vec<String>>(&world, &id).await? == ["one", "two", "three"], "{id}");
        anyhow::Ok(())
    };
    try_join_all(WayIn::ALL.map(check)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_that_starts_a_workflow_is_applied_before_its_code_begins() -> Result<()> {
    let (world, _worker) = started().await?;
    let client = world.client()?;
    let run = client.start(Book::run, ()).id("book").task_queue("q").with_signal(Book::say, "one".to_owned()).await?;
    run.signal(Book::say, "two".to_owned()).await?;
    run.signal(Book::stop, ()).await?;
    let (before_it_ran, said) = result::<(usize, Vec<String>)>(&world, "book").await?;
    ensure!((1..=2).contains(&before_it_ran) && said == ["one", "two"], "{before_it_ran}, {said:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_makes_a_signal_one_over_all_ways_in_together() -> Result<()> {
    let (world, _worker) = started().await?;
    let ways = Ways::into(&world)?;
    ways.accepted(WayIn::Record, "once", start_of("LateListener", "once", &json!(0))?).await?;
    for text in ["one", "two"] {
        let signal = SignalWorkflow { request_id: Some(format!("r-{text}")), ..say(text)? };
        try_join_all(WayIn::ALL.map(|way| ways.accepted(way, "once", signal.clone()))).await?;
    }
    ways.accepted(WayIn::Record, "once", signal_of("stop", &Value::Null)?).await?;
    ensure!(result::<Vec<String>>(&world, "once").await? == ["one", "two"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_sender_says_while_the_workflow_works_is_heard_in_its_order() -> Result<()> {
    let (world, _worker) = started().await?;
    let client = world.client()?;
    let run = client.start(late_listener, 20).id("busy").task_queue("q").await?;
    let texts: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    for text in &texts {
        run.signal(SAY, text.clone()).into_future().await?;
    }
    run.signal(STOP, ()).await?;
    let heard: Vec<String> = result(&world, "busy").await?;
    ensure!(heard == texts, "{heard:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_task_is_out_waits_for_its_completion() -> Result<()> {
    let world = World::with_http().await?;
    let (ways, mut worker) = (Ways::into(&world)?, ByHand::of(&world)?);
    ways.accepted(WayIn::Record, "out", start_of("T", "out", &Value::Null)?).await?;
    let task = worker.workflow_task().await?;
    for way in WayIn::ALL {
        ways.accepted(way, "out", say(&format!("{way:?}"))?).await?;
    }
    let run = world.describe_until("out", "its signals wait", |run| run.buffered_events == 4).await?;
    ensure!(run.summary.history_length == 3, "{run:?}");
    worker.decide(&task, &[]).await?;
    let task = worker.workflow_task().await?;
    let events = task["events"].as_array().context("no events")?;
    let said: Vec<_> = events.iter().filter_map(|event| event["attributes"]["input"].as_str()).collect();
    ensure!(said == WayIn::ALL.map(|way| format!("{way:?}")), "{task}");
    worker.decide(&task, &[complete_workflow(&Value::Null)]).await?;
    world.outcome("out").await?;
    Ok(())
}
