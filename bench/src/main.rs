//! Benchmarks of the whole system: a broker (embedded, or any Kafka), an engine, a worker and a load, each a process.
//!
//! This program is the load. It starts itself again as the worker and the `tidewright` program that lies beside it as
//! engine and broker; under `cargo run` it builds that one first. Each result is one JSON object on stdout and one line
//! of a table on stderr. Exit code 1 if any workflow went wrong.

mod cancel;
mod cluster;
mod job;
mod load;
mod lost_worker;
mod options;
mod patient;
mod programs;
mod queries;
mod report;
mod signals;
mod usage;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;

use cluster::Cluster;
use load::Workload;
use options::{Command, Options, RunOptions};
use report::{Measured, Table};
use tidewright::Client;

/// Until when the first workflow must be done: the engine has its partitions by then, the worker its own.
const FIRST_PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Options::parse().command {
        Command::Seq { steps, run } => benchmark(&[Workload::seq(steps)], &run).await,
        Command::Throughput { steps, clients, run } => benchmark(&[Workload::throughput(steps, clients)], &run).await,
        Command::Signals { signals, in_flight, run } => {
            signals::benchmark(signals, in_flight, &run).await.map(|()| ExitCode::SUCCESS)
        }
        Command::Queries { queries, run } => queries::benchmark(queries, &run).await.map(|()| ExitCode::SUCCESS),
        Command::Cancel { cancels, clients, run } => {
            cancel::benchmark(cancels, clients, &run).await.map(|()| ExitCode::SUCCESS)
        }
        Command::LostWorker { rounds, activities, just_joined, run } => {
            lost_worker::benchmark(rounds, activities, just_joined, &run).await.map(|()| ExitCode::SUCCESS)
        }
        Command::All { run } => benchmark(&Workload::all(), &run).await,
        Command::Worker => job::work().await.map(|()| ExitCode::SUCCESS),
    }
}

/// Measures workloads one after the other on the same processes.
async fn benchmark(workloads: &[Workload], run: &RunOptions) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::start(run).await?;
    let outcome = measure_all(&cluster, workloads, run).await;
    if outcome.is_err() {
        eprintln!("{}", cluster.logs());
    }
    cluster.stop().await;
    let table = outcome?;
    eprint!("{table}");
    Ok(if table.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure_all(cluster: &Cluster, workloads: &[Workload], run: &RunOptions) -> anyhow::Result<Table> {
    let client = cluster.client()?;
    let mut table = Table::default();
    for workload in workloads {
        let measured = measure(cluster, &client, *workload, run).await?;
        println!("{}", serde_json::to_string(&measured)?);
        table.add(measured);
    }
    Ok(table)
}

/// Warms up, then measures.
async fn measure(cluster: &Cluster, client: &Client, workload: Workload, run: &RunOptions) -> anyhow::Result<Measured> {
    let first = load::run_one(client, workload.steps);
    tokio::time::timeout(FIRST_PATIENCE, first)
        .await
        .with_context(|| format!("the first workflow is not done after {FIRST_PATIENCE:?}"))??;
    load::run(client, workload, run.warm_up()).await;
    let before = cluster.usage();
    let loaded = load::run(client, workload, run.length()).await;
    let usage = cluster.usage().since(&before);
    Ok(Measured::new(workload, run.setting(), &loaded, &usage))
}
