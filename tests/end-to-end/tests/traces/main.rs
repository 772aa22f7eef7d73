//! One trace from the producer of the start record to the end of the workflow, across processes that are killed.

mod collector;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use collector::{Collector, Received};
use end_to_end::processes::{kill, start_engine_with, start_worker_with, stop, write_secret};
use end_to_end::{Kafka, binaries, eventually};
use serde_json::json;
use tidewright_log::{Producer, Record};
use tidewright_schemas::headers;
use tidewright_schemas::topics::Topics;

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const PRODUCER: u64 = 0x00f0_67aa_0ba9_02b7;

fn named<'a>(spans: &'a [Received], name: &str) -> Vec<&'a Received> {
    spans.iter().filter(|received| received.span.name == name).collect()
}

fn only<'a>(spans: &'a [Received], name: &str) -> anyhow::Result<&'a Received> {
    let found = named(spans, name);
    ensure!(found.len() == 1, "{} spans are named {name}", found.len());
    Ok(found[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_the_producer_to_the_end_although_the_engine_is_killed() -> anyhow::Result<()> {
    binaries::build()?;
    let (kafka, collector) = (Kafka::start().await?, Collector::start().await?);
    let directory = tempfile::tempdir()?;
    let topics = Topics::new(&format!("o{:012x}.", rand::random::<u64>() >> 16), Topics::DEFAULT_NAMESPACE)?;
    let (brokers, folder) = (kafka.brokers(), directory.path());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    write_secret(folder)?;

    let mut engine = start_engine_with(brokers, &topics, folder, "engine", &variables).await?;
    let start = json!({
        "type": "StartWorkflow", "workflow_type": "OrderWorkflow", "workflow_id": "order-1", "task_queue": "orders",
        "input": {
            "order_id": "order-1", "customer": "ada@example.org", "items": [{"sku": "book", "quantity": 2}],
            "amount_cents": 4200, "card": "flaky", "address": "Main Street 1",
        },
    });
    let record = Record::to(topics.commands())
        .key("order-1")
        .value(start.to_string())
        .header(headers::TRACEPARENT, format!("00-{TRACE:032x}-{PRODUCER:016x}-01"));
    Producer::new(&kafka.config())?.send(record).await.await?;
    eventually("the start is traced", || async {
        (!named(&collector.trace(TRACE), "StartWorkflow").is_empty()).then_some(())
    })
    .await?;

    // The run is begun and its task is out; whoever takes over must continue the trace from the log alone.
    kill(&mut engine.process).await?;
    std::fs::remove_dir_all(folder.join("engine"))?;
    let engine = start_engine_with(brokers, &topics, folder, "engine", &variables).await?;
    let worker = start_worker_with(brokers, &topics, folder, 0, Duration::ZERO, &variables)?;
    let spans = eventually("the order and its last activity are traced", || async {
        let spans = collector.trace(TRACE);
        let ended = ["RunWorkflow:OrderWorkflow", "Activity:SendConfirmation", "RunActivity:SendConfirmation"];
        ended.iter().all(|name| !named(&spans, name).is_empty()).then_some(())
    });
    spans.await?;
    // What waits to be exported is, at the end.
    stop(worker).await?;
    stop(engine.process).await?;
    check(&collector.trace(TRACE))
}

fn check(spans: &[Received]) -> anyhow::Result<()> {
    let run = only(spans, "RunWorkflow:OrderWorkflow")?;
    ensure!(run.is_child_of(&PRODUCER.to_be_bytes()), "the run belongs to its producer's span");
    ensure!(run.service == "tidewright" && run.attribute("temporalWorkflowID") == Some("order-1"), "{run:?}");
    let started = only(spans, "StartWorkflow")?;
    ensure!(started.is_child_of(&PRODUCER.to_be_bytes()), "the start belongs to its producer's span");
    for step in ["decide", "commit"] {
        let steps = named(spans, step);
        ensure!(steps.iter().any(|span| span.is_child_of(&started.span.span_id)), "the start has no {step}");
    }

    let tasks = named(spans, "RunWorkflowTask:OrderWorkflow");
    ensure!(!tasks.is_empty() && tasks.iter().all(|task| task.is_child_of(&run.span.span_id)), "tasks are the run's");
    for activity in ["ValidateOrder", "ProcessPayment", "CreateShipment", "SendConfirmation"] {
        let whole = only(spans, &format!("Activity:{activity}"))?;
        ensure!(whole.is_child_of(&run.span.span_id), "{activity} is the run's");
        let attempts = named(spans, &format!("RunActivity:{activity}"));
        ensure!(!attempts.is_empty() && attempts.iter().all(|a| a.is_child_of(&whole.span.span_id)), "{activity}");
        ensure!(attempts.iter().all(|attempt| attempt.service == "order-fulfilment"), "{activity}");
        let run_id = run.attribute("temporalRunID");
        ensure!(run_id.is_some() && attempts.iter().all(|attempt| attempt.attribute("temporalRunID") == run_id));
        // A fire-and-forget activity tells nobody.
        if activity != "SendConfirmation" {
            let linked = tasks.iter().any(|task| task.links_to(&whole.span.span_id));
            ensure!(linked, "a workflow task follows {activity}, by a link");
        }
    }

    // The first attempt of the payment fails: the second follows it, after a wait, by a link.
    let mut payments = named(spans, "RunActivity:ProcessPayment");
    payments.sort_by_key(|payment| payment.span.start_time_unix_nano);
    let [failed, .., paid] = payments.as_slice() else { anyhow::bail!("the payment is tried again") };
    ensure!(failed.span.status.as_ref().is_some_and(|status| status.code == 2), "the first attempt is an error");
    ensure!(paid.links_to(&failed.span.span_id) && !paid.is_child_of(&failed.span.span_id), "{paid:?}");
    let fired = named(spans, "FireTimer");
    let payment = only(spans, "Activity:ProcessPayment")?;
    ensure!(fired.iter().any(|fired| fired.links_to(&payment.span.span_id)), "the retry's timer follows the activity");
    let completed = named(spans, "CompleteActivity");
    ensure!(completed.iter().any(|span| span.is_child_of(&paid.span.span_id)), "a completion is its attempt's");
    let failures = named(spans, "FailActivity");
    let failure = failures.first().context("the failure is traced")?;
    ensure!(failure.is_child_of(&failed.span.span_id), "a failure is its attempt's");
    Ok(())
}
