//! Queries of open, blocked, closed and terminated workflows, by the SDK, over HTTP and from the command line: what they
//! answer, and that they leave no trace.

use std::future::IntoFuture;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use end_to_end::by_hand::beacons;
use end_to_end::{World, binaries, eventually};
use serde_json::{Value, json};
use tidewright::prelude::*;
use tidewright::{QueryError, QueryRejectCondition, WorkflowHandle};
use tidewright_api::ApiServer;
use tidewright_log::{Admin, LogReader, ReaderOptions, Record, StartAt};
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

/// Asks until a worker answers, whatever it says. One that has just begun is not known yet, and one that does not get to run
/// for some seconds is taken for gone.
async fn ask<R, C>(call: impl Fn() -> C) -> anyhow::Result<Result<R, QueryError>>
where
    C: IntoFuture<Output = Result<R, QueryError>>,
{
    eventually("a worker answers", || async {
        match call().await {
            Err(QueryError::NoWorker { .. } | QueryError::NotAnswered { .. }) => None,
            answered => Some(answered),
        }
    })
    .await
}

async fn sum(run: &Handle) -> anyhow::Result<u64> {
    Ok(ask(|| run.query(Ledger::sum, ())).await??)
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
    ensure!(sum(&run).await? == 0);
    for number in 1..=3_u64 {
        run.signal(Ledger::add, number).await?;
        // What was accepted before the query was asked is in its answer.
        ensure!(sum(&run).await? == (1..=number).sum::<u64>());
    }
    let before = trace(&world, "open").await?;
    for _ in 0..20 {
        ensure!(ask(|| run.query(Ledger::plus, 10)).await?? == 16);
        ensure!(ask(|| run.query_named::<u64>("sum", &())).await?? == 6);
    }
    let state: Value = ask(|| run.query_named("__state", &())).await??;
    ensure!(state == json!({"sum": 6, "count": 3, "is_done": false}), "{state}");
    let stack: String = ask(|| run.query_named("__stack_trace", &())).await??;
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
        ensure!(sum(run).await? == 7);
    }
    completed.signal(Ledger::finish, ()).await?;
    terminated.terminate("enough").await?;
    ensure!(world.outcome("completed").await?.status == WorkflowStatus::Completed);
    ensure!(world.outcome("terminated").await?.status == WorkflowStatus::Terminated);
    let before = (trace(&world, "completed").await?, trace(&world, "terminated").await?);
    for run in [&completed, &terminated] {
        ensure!(sum(run).await? == 7);
        let open_only = ask(|| run.query(Ledger::sum, ()).reject_condition(QueryRejectCondition::NotOpen)).await?;
        ensure!(matches!(open_only, Err(QueryError::Rejected { .. })), "{open_only:?}");
    }
    let cleanly = QueryRejectCondition::NotCompletedCleanly;
    ensure!(ask(|| completed.query(Ledger::sum, ()).reject_condition(cleanly)).await?? == 7);
    let not_cleanly = ask(|| terminated.query(Ledger::sum, ()).reject_condition(cleanly)).await?;
    ensure!(matches!(not_cleanly, Err(QueryError::Rejected { .. })), "{not_cleanly:?}");
    let stack: String = ask(|| completed.query_named("__stack_trace", &())).await??;
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
            let sum = sum(&run).await?;
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
    ensure!(sum(&run).await? == told);
    first.crash().await;
    let _second = world.run(worker(&client));
    // Until the group has noticed, its partitions are the dead worker's.
    let sum = sum(&run).await?;
    ensure!(sum == told, "{sum} instead of {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_history_does_not_stand_by_is_not_told() -> anyhow::Result<()> {
    let (world, client, _api) = started().await?;
    let _beacons = beacons(&world, "by hand");
    let run = client.start(Ledger::run, ()).id("ahead").task_queue("q").await?;
    let mut tasks = world.consumer(&world.topics.workflow_tasks("q"))?;
    let task = world.take(&mut tasks).await?.json()?;
    let completion = json!({"type": "CompleteWorkflowTask", "token": task["token"], "completion_id": "accepted"});
    world.publish("ahead", &completion.to_string()).await?;
    let asking = async {
        loop {
            match run.query(Ledger::sum, ()).timeout(Duration::from_secs(60)).await {
                // That the worker is there may not be known yet.
                Err(QueryError::NoWorker { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                answered => return answered,
            }
        }
    };
    tokio::pin!(asking);
    let mut was_asked_exactly = false;
    let sum = loop {
        let query = tokio::select! {
            answered = &mut asking => break answered?,
            taken = world.take(&mut tasks) => taken?.json()?,
        };
        ensure!(query["basis"]["completion_id"] == "accepted", "{query}");
        ensure!(query["events"].as_array().is_some_and(|events| events.len() == 4), "{query}");
        // Says first what no history knows, as a worker might that was ahead of it.
        let is_exact = query["exact"] == true;
        was_asked_exactly |= is_exact;
        let (completion_id, sum) = if is_exact { ("accepted", 7) } else { ("of another worker", 13) };
        answer(&world, &query, completion_id, sum).await?;
    };
    ensure!(was_asked_exactly && sum == 7, "{sum}");
    Ok(())
}

/// Answers a query as a worker does.
async fn answer(world: &World, query: &Value, completion_id: &str, sum: u64) -> anyhow::Result<()> {
    let answer = json!({
        "correlation_id": query["reply_to"]["correlation_id"],
        "workflow_id": query["workflow_id"],
        "answer": {
            "type": "QueryAnswered",
            "basis": {"started_event_id": 3, "completion_id": completion_id},
            "query_result": sum,
        },
    });
    let partition = u32::try_from(query["reply_to"]["partition"].as_u64().context("no partition")?)?;
    world
        .producer
        .send(Record::to(world.topics.replies()).partition(partition).value(answer.to_string()))
        .await
        .await?;
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
    let unknown = ask(|| run.query_named::<u64>("smu", &())).await?;
    let Err(QueryError::Unknown { message: unknown }) = unknown else { anyhow::bail!("{unknown:?}") };
    ensure!(["sum", "plus", "__stack_trace"].iter().all(|name| unknown.contains(name)), "{unknown}");
    let failed = ask(|| run.query(Ledger::fails, ())).await?;
    let Err(QueryError::Failed { failure, .. }) = failed else { anyhow::bail!("{failed:?}") };
    ensure!(failure.error_type() == "ParseIntError", "{failure:?}");
    let missing = client.workflow(Ledger::run, "missing")?.query(Ledger::sum, ()).await;
    ensure!(matches!(missing, Err(QueryError::Read(_))), "{missing:?}");
    let stumbling = client.start(stumbles, ()).id("stumbling").task_queue("q").await?;
    eventually("that its first task fails is told", || async {
        let not_ready = stumbling.query_named::<String>("__stack_trace", &()).await.err()?.to_string();
        (not_ready.contains("kaboom") && not_ready.contains("TW0636")).then_some(())
    })
    .await?;
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
    let program = binaries::path("tidewright")?;
    let once = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(&program);
        let command = command.arg("workflow").args(arguments).args(["--address", &api.url]);
        let output = command.env_remove("TIDEWRIGHT_CONFIG").kill_on_drop(true).output().await.ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let complaint = text(&output.stderr);
        // As `ask` has it.
        let was_answered = !["TW0630", "TW0631"].iter().any(|code| complaint.contains(code));
        was_answered.then(|| (output.status.code(), text(&output.stdout), complaint))
    };
    let tidewright = async |arguments: &[&str]| eventually("a worker answers", || once(arguments)).await;
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
