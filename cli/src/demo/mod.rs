//! `tidewright demo`: orders on the embedded broker, from plain Kafka records to their results, all in this process.

mod next_steps;
mod orders;
mod report;
mod watch;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use order_fulfilment::Services;
use order_fulfilment::audit::Audit;
use tidewright::{Client, ClientConfig, WorkerError};
use tidewright_broker::BrokerConfig;
use tidewright_log::{KafkaConfig, Producer, Record};
use tidewright_runtime::EngineConfig;
use tidewright_schemas::topics::Topics;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::broker;
use crate::dev::Home;
use crate::error::CliError;
use crate::node::Node;
use crate::output::print;
use crate::shutdown::Shutdown;
use orders::DemoOrder;
use watch::Watch;

/// How long all orders together may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long each step of an order takes, and the pause between two orders, so that one can watch.
const STEP: Duration = Duration::from_millis(300);
const INTERRUPTED: u8 = 130;

/// Options of `tidewright demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Leave everything running afterwards, until Ctrl-C
    #[arg(long)]
    keep_running: bool,
}

pub(crate) async fn run(options: DemoOptions) -> Result<ExitCode, CliError> {
    let shutdown = Shutdown::listen()?;
    let home = Home::temporary()?;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let broker = BrokerConfig { listen: any_port, storage: home.storage.clone(), ..BrokerConfig::default() };
    let broker = broker::start(broker, "--kafka-port").await?;
    let kafka = broker.address().to_string();
    let config = EngineConfig::new(KafkaConfig::new(&kafka), home.secret.clone(), &home.state);
    let node = Box::pin(Node::start(config, any_port, "--http-port")).await?;
    let outcome = tokio::select! {
        outcome = Box::pin(story(&node, &kafka, &options)) => Some(outcome),
        () = shutdown.requested() => None,
    };
    let outcome = match outcome {
        Some(Ok(workshop)) => {
            if options.keep_running {
                shutdown.requested().await;
            }
            workshop.close().await;
            Ok(ExitCode::SUCCESS)
        }
        Some(Err(error)) => Err(error),
        None => Ok(ExitCode::from(INTERRUPTED)),
    };
    let stopped = node.stop().await;
    let broker_stopped = broker::stop(broker, "--kafka-port").await;
    outcome.and_then(|code| stopped.and(broker_stopped).map(|()| code))
}

/// The worker of the demo.
struct Workshop {
    stop: oneshot::Sender<()>,
    worker: JoinHandle<Result<(), WorkerError>>,
}

impl Workshop {
    fn open(kafka: &str, http_url: &str) -> Result<Self, CliError> {
        let failed =
            |error: &dyn std::fmt::Display| CliError::coded("TW0709", format!("the worker did not start: {error}"));
        let config = ClientConfig::new(kafka).http_url(http_url).identity("demo-worker");
        let client = Client::new(config).map_err(|e| failed(&e))?;
        let audit = Arc::new(Audit::default().with_delay(STEP));
        let worker = order_fulfilment::worker(&client, orders::TASK_QUEUE, Services { audit, ..Services::in_memory() });
        let (stop, stopped) = oneshot::channel();
        Ok(Self { stop, worker: tokio::spawn(worker.run_until(stopped)) })
    }

    async fn close(self) {
        // An error means that the worker has ended already.
        let _ = self.stop.send(());
        match self.worker.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the worker ended badly: {error}"),
            Err(error) => tracing::error!("the worker ended badly: {error}"),
        }
    }
}

async fn story(node: &Node, kafka: &str, options: &DemoOptions) -> Result<Workshop, CliError> {
    node.until_ready(true).await?;
    let workshop = Workshop::open(kafka, node.http_url())?;
    let topic = Topics::new(Topics::DEFAULT_PREFIX, Topics::DEFAULT_NAMESPACE)
        .map_err(|e| CliError::plain(e.to_string()))?
        .commands();
    let orders = orders::all();
    print(&format!(
        "Tidewright: {} orders, each a durable workflow\n\n  Kafka     {kafka} (embedded, in memory)\n  engine    {}\n  \
         worker    OrderWorkflow and its activities, on task queue `{}`\n\n\
         A workflow is started by a plain Kafka record on topic {topic}:\n  key    {}\n  value  {}\n\n",
        orders.len(),
        node.http_url(),
        orders::TASK_QUEUE,
        orders[0].workflow_id(),
        to_json(&orders[0].start())?,
    ))?;
    let watching = watch::all(Watch::new(node.engine(), &orders));
    let publishing = publish(kafka, &topic, &orders);
    let both = async { tokio::try_join!(publishing, watching).map(|_| ()) };
    tokio::select! {
        done = tokio::time::timeout(PATIENCE, both) => {
            done.map_err(|_| CliError::coded("TW0709", format!("the orders did not end within {PATIENCE:?}")))??;
        }
        error = node.failed() => return Err(error),
    }
    report::outcomes(node.http_url(), &orders).await?;
    let input = to_json(&orders[0].input())?;
    print(&next_steps::text(&input, options.keep_running.then(|| (kafka, node.http_url()))))?;
    Ok(workshop)
}

fn to_json(value: &impl serde::Serialize) -> Result<String, CliError> {
    serde_json::to_string(value).map_err(|e| CliError::plain(e.to_string()))
}

/// What any Kafka client in any language can do: a key, a JSON value, nothing else.
async fn publish(kafka: &str, topic: &str, orders: &[DemoOrder]) -> Result<(), CliError> {
    let failed =
        |error: &dyn std::fmt::Display| CliError::coded("TW0709", format!("an order was not published: {error}"));
    let producer = Producer::new(&KafkaConfig::new(kafka).with_client_id("shop")).map_err(|e| failed(&e))?;
    for order in orders {
        let record = Record::to(topic).key(order.workflow_id()).value(to_json(&order.start())?);
        producer.send(record).await.await.map_err(|e| failed(&e))?;
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}
