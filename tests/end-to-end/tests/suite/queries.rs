//! Queries of open, blocked, closed and terminated workflows, by the SDK, over HTTP and from the command line: what they
//! answer, and that they leave no trace.

use std::future::IntoFuture as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use end_to_end::{World, binaries, eventually};
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright::{QueryError, QueryRejectCondition, WorkflowHandle};
use tidewright_api::ApiServer;
use tidewright_log::{Admin, LogReader, ReaderOptions, StartAt};
use tidewright_schemas::api::WorkflowStatus;
use tidewright_schemas::topics::partition_of;
use tokio::sync::oneshot;

/// Adds up numbers until it is told to stop.
#[derive(Default, serde::Serialize)]
struct Ledger {
    sum: u64,
    count: u64,
    is_done: bool,
}

#[workflow]
impl Ledger {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>, _input: ()) -> WorkflowResult<u64> {
        ctx.wait_for(|ledger| ledger.is_done).await?;
        Ok(ctx.state(|ledger| ledger.sum))
    }

    #[signal]
    fn add(&mut self, number: u64) {
        self.sum += number;
        self.count += 1;
    }

    #[signal]
    fn finish(&mut self) {
        self.is_done = true;
    }

    #[query]
    fn sum(&self) -> u64 {
        self.sum
    }

    #[query]
    fn plus(&self, number: u64) -> u64 {
        self.sum + number
    }

    #[query]
    fn fails(&self) -> Result<u64, std::num::ParseIntError> {
        "no number".parse()
    }
}

/// Panics as soon as it runs.
#[workflow]
async fn stumbles(_ctx: &WorkflowContext, _input: ()) -> WorkflowResult<()> {
    panic!("kaboom")
}

/// Ends at once, one way or the other.
#[workflow]
async fn stops(_ctx: &WorkflowContext, number: u64) -> WorkflowResult<u64> {
    if number == 0 { Err(WorkflowError::new("Empty", "nothing to count")) } else { Ok(number) }
}

type Handle = WorkflowHandle<u64, Ledger>;

/// Serves HTTP until it is dropped.
struct Api {
    url: String,
    _stop: oneshot::Sender<()>,
}

async fn started() -> anyhow::Result<(World, Client, Api)> {
    let mut world = World::without_engine().await?;
    let server = ApiServer::bind(([127, 0, 0, 1], 0).into()).await?;
    let url = format!("http://{}", server.local_addr());
    world.change_engine(|config| config.http_url = Some(url.clone()));
    world.start_engine().await?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve(world.engine()?.clone(), async move { drop(stopped.await) }));
    let client = world.client()?;
    Ok((world, client, Api { url, _stop: stop }))
}

fn worker(client: &Client) -> Worker {
    Worker::new(client, "q").workflow(Ledger::run).workflow(stumbles).workflow(stops)
}

async fn ledger(client: &Client, id: &str) -> anyhow::Result<Handle> {
    Ok(client.start(Ledger::run, ()).id(id).task_queue("q").await?)
}

/// How many changes the history of a workflow's partition holds, how many commands there were, and how many events the
/// workflow has.
async fn trace(world: &World, id: &str) -> anyhow::Result<(usize, u64, usize)> {
    let partition = partition_of(id.as_bytes(), world.engine()?.partitions());
    let admin = Admin::new(&world.kafka.config())?;
    let commands = admin.watermarks(&world.topics.commands(), partition).await?.high;
    let reader = LogReader::new(&world.kafka.config(), &ReaderOptions::default())?;
    let mut history = reader.open(&world.topics.history(), partition, StartAt::Beginning).await?;
    let mut changes = 0;
    while history.position() < history.end_at_open() {
        let batch = history.next_batch(1_000, 1 << 20).await?;
        let is_change = |key: &[u8]| key.starts_with(b"transition/");
        changes += batch.records.iter().filter(|record| record.key.as_deref().is_some_and(is_change)).count();
    }
    Ok((changes, commands, world.history(id).await?.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_workflow_answers_as_it_stands_and_nothing_is_written() -> anyhow::Result<()> {
    let (world, client, _api) = started().await?;
    let _worker = world.run(worker(&client));
    let run = ledger(&client, "open").await?;
    ensure!(run.query(Ledger::sum, ()).await? == 0);
    for number in 1..=3_u64 {
        run.signal(Ledger::add, number).await?;
        // What was accepted before the query was asked is in its answer.
        ensure!(run.query(Ledger::sum, ()).await? == (1..=number).sum::<u64>());
    }
    let before = trace(&world, "open").await?;
    for _ in 0..20 {
        ensure!(run.query(Ledger::plus, 10).await? == 16);
        ensure!(run.query_named::<u64>("sum", &()).await? == 6);
    }
    let state: Value = run.query_named("__state", &()).await?;
    ensure!(state == json!({"sum": 6, "count": 3, "is_done": false}), "{state}");
    let stack: String = run.query_named("__stack_trace", &()).await?;
    ensure!(stack.contains("condition") && stack.contains("suite/queries.rs:"), "{stack}");
    ensure!(trace(&world, "open").await? == before, "a query has left a trace");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_ended_answers_as_of_its_end() -> anyhow::Result<()> {
    let (world, client, _api) = started().await?;
    let _worker = world.run(worker(&client));
    let (completed, terminated) = (ledger(&client, "completed").await?, ledger(&client, "terminated").await?);
    for run in [&completed, &terminated] {
        run.signal(Ledger::add, 7).await?;
        ensure!(run.query(Ledger::sum, ()).await? == 7);
    }
    completed.signal(Ledger::finish, ()).await?;
    terminated.terminate("enough").await?;
    ensure!(world.outcome("completed").await?.status == WorkflowStatus::Completed);
    ensure!(world.outcome("terminated").await?.status == WorkflowStatus::Terminated);
    let before = (trace(&world, "completed").await?, trace(&world, "terminated").await?);
    for run in [&completed, &terminated] {
        ensure!(run.query(Ledger::sum, ()).await? == 7);
        let open_only = run.query(Ledger::sum, ()).reject_condition(QueryRejectCondition::NotOpen).await;
        ensure!(matches!(open_only, Err(QueryError::Rejected { .. })), "{open_only:?}");
    }
    let cleanly = QueryRejectCondition::NotCompletedCleanly;
    ensure!(completed.query(Ledger::sum, ()).reject_condition(cleanly).await? == 7);
    let not_cleanly = terminated.query(Ledger::sum, ()).reject_condition(cleanly).await;
    ensure!(matches!(not_cleanly, Err(QueryError::Rejected { .. })), "{not_cleanly:?}");
    let stack: String = completed.query_named("__stack_trace", &()).await?;
    ensure!(stack.contains("its code has ended"), "{stack}");
    ensure!((trace(&world, "completed").await?, trace(&world, "terminated").await?) == before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_answered_while_signals_pour_in_and_never_go_back() -> anyhow::Result<()> {
    let (world, client, _api) = started().await?;
    let _worker = world.run(worker(&client));
    let run = ledger(&client, "busy").await?;
    let sends = async {
        let sends = (0..100).map(|_| run.signal(Ledger::add, 1).into_future());
        futures::future::try_join_all(sends).await
    };
    let asks = async {
        let mut last = 0;
        while last < 100 {
            let sum = run.query(Ledger::sum, ()).timeout(Duration::from_secs(60)).await?;
            ensure!(sum >= last, "after {last} the workflow said {sum}");
            last = sum;
        }
        Ok(())
    };
    let (sent, asked) = tokio::join!(sends, asks);
    sent?;
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_run_replays_a_long_history() -> anyhow::Result<()> {
    let (world, client, _api) = started().await?;
    let first = world.run(worker(&client));
    let run = ledger(&client, "long").await?;
    let mut told = 0;
    while world.history("long").await?.len() < 1_000 {
        run.signal(Ledger::add, 1).await?;
        told += 1;
    }
    ensure!(run.query(Ledger::sum, ()).timeout(Duration::from_secs(60)).await? == told);
    drop(first);
    let _second = world.run(worker(&client));
    // Meanwhile the group is between two workers.
    let sum = eventually("the second worker answers", || async { run.query(Ledger::sum, ()).await.ok() }).await?;
    ensure!(sum == told, "{sum} instead of {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_asked_says_why() -> anyhow::Result<()> {
    let (world, client, _api) = started().await?;
    let run = ledger(&client, "alone").await?;
    let nobody = eventually("that no worker is there is known", || async {
        match run.query(Ledger::sum, ()).timeout(Duration::from_secs(1)).await {
            Err(QueryError::NoWorker { message }) => Some(message),
            _ => None,
        }
    })
    .await?;
    ensure!(nobody.contains("`q`"), "{nobody}");
    let running = world.run(worker(&client));
    let unknown = eventually("the worker answers", || async {
        match run.query_named::<u64>("smu", &()).await {
            Err(QueryError::Unknown { message }) => Some(message),
            _ => None,
        }
    })
    .await?;
    ensure!(["sum", "plus", "__stack_trace"].iter().all(|name| unknown.contains(name)), "{unknown}");
    let failed = run.query(Ledger::fails, ()).await;
    let Err(QueryError::Failed { failure, .. }) = failed else { anyhow::bail!("{failed:?}") };
    ensure!(failure.error_type() == "ParseIntError", "{failure:?}");
    let missing = client.workflow(Ledger::run, "missing")?.query(Ledger::sum, ()).await;
    ensure!(matches!(missing, Err(QueryError::Read(_))), "{missing:?}");
    let stumbling = client.start(stumbles, ()).id("stumbling").task_queue("q").await?;
    let not_ready = stumbling.query_named::<String>("__stack_trace", &()).await;
    let message = not_ready.err().context("it has no state")?.to_string();
    ensure!(message.contains("kaboom") && message.contains("TW0636"), "{message}");
    drop(running);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_executes_and_shows_where_a_workflow_waits() -> anyhow::Result<()> {
    binaries::build()?;
    let (world, client, api) = started().await?;
    let _worker = world.run(worker(&client));
    let run = ledger(&client, "shown").await?;
    run.signal(Ledger::add, 4).await?;
    let tidewright = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(binaries::path("tidewright")?);
        let command = command.arg("workflow").args(arguments).args(["--address", &api.url]);
        let output = command.env_remove("TIDEWRIGHT_CONFIG").kill_on_drop(true).output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        anyhow::Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    };
    let (code, said, _) = tidewright(&["query", "-w", "shown", "--type", "plus", "-i", "10"]).await?;
    ensure!((code, said.trim()) == (Some(0), "14"), "{code:?} {said}");
    let (code, said, _) = tidewright(&["query", "-w", "shown", "--type", "sum", "-o", "json"]).await?;
    let answer: Value = serde_json::from_str(&said)?;
    ensure!(code == Some(0) && answer["query_result"] == 4 && answer["run_id"] == run.run_id(), "{answer}");
    let (code, said, _) = tidewright(&["stack", "-w", "shown"]).await?;
    ensure!(code == Some(0) && said.contains("suite/queries.rs:"), "{code:?} {said}");
    let (code, _, complaint) = tidewright(&["query", "-w", "shown", "--type", "smu"]).await?;
    ensure!(code == Some(1) && complaint.contains("TW0635") && complaint.contains("plus"), "{code:?} {complaint}");
    let arguments = ["execute", "--type", "Stops", "-t", "q", "-w", "executed", "-i"];
    let (code, said, _) = tidewright(&[&arguments[..], &["7"]].concat()).await?;
    ensure!((code, said.trim()) == (Some(0), "7"), "{code:?} {said}");
    let (code, _, complaint) = tidewright(&[&arguments[..], &["0"]].concat()).await?;
    ensure!(code == Some(1) && complaint.contains("nothing to count"), "{code:?} {complaint}");
    Ok(())
}
