//! `tidewright doctor`: whether everything is as a node or a worker needs it, and what to do where it is not.
//!
//! It changes nothing, unless a probe is asked for. Every finding says what is so, what follows, and how to put it right.

mod access;
mod brokers;
mod clock;
mod finding;
mod needs;
mod reach;
mod state;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidewright_log::cluster::ClusterView;
use tidewright_log::{Admin, ClusterInfo, KafkaConfig};
use tidewright_schemas::NamespaceRecord;
use tidewright_schemas::topics::Topics;

use access::Access;
use finding::{Finding, Report, Severity, Tools};
use needs::{Role, Shape};

use crate::config::kind::duration;
use crate::config::{Configuration, KafkaOptions};
use crate::error::CliError;
use crate::output::{Output, print};

/// How long the `cluster` topic may take to be read.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const EXAMPLES: &str = "Examples:
  tidewright doctor --brokers kafka-1:9092
  tidewright doctor --role worker --task-queue orders --principal User:shop
  tidewright doctor --write-probe --strict --output json

Exit codes: 0 nothing is wrong, 1 errors were found (with --strict: or warnings), 2 the command line is wrong.";

/// Options of `tidewright doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    kafka: KafkaOptions,
    #[arg(short, long)]
    namespace: String,
    #[arg(long)]
    topic_prefix: String,
    #[arg(long)]
    state_dir: PathBuf,
    #[arg(long)]
    partitions: u32,
    #[arg(long)]
    task_partitions: u32,
    #[arg(long, value_parser = duration)]
    session_timeout: Duration,
    /// For whom: which rights are needed
    #[arg(long, value_enum, default_value = "engine")]
    role: Role,
    /// Whom the rights are to be given, as Kafka writes it; `User:` and sasl.username by default
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// A task queue whose topics are looked at even if they do not exist yet; may be repeated
    #[arg(long, value_name = "NAME")]
    task_queue: Vec<String>,
    /// Write one record to the `replies` topic, which nobody takes for an answer, and compare the clocks by it
    #[arg(long)]
    write_probe: bool,
    /// Let warnings count as errors
    #[arg(long)]
    strict: bool,
    /// How long brokers have for answering
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    patience: Duration,
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub(crate) output: Output,
}

pub(crate) async fn run(options: DoctorOptions, configuration: &Configuration) -> Result<ExitCode, CliError> {
    let kafka = options.kafka.config(configuration)?;
    let topics = Topics::new(&options.topic_prefix, &options.namespace)
        .map_err(|e| CliError::coded("TW0501", e.to_string()).usage())?;
    let mut report = Report::default();
    if options.role == Role::Engine {
        state::check(&options.state_dir, &mut report);
    }
    if reach::check(&kafka, options.patience, &mut report).await {
        examine(&options, &kafka, &topics, &mut report).await?;
    }
    let text = match options.output {
        Output::Text => report.text(),
        Output::Json => format!("{}\n", serde_json::to_string(&report).map_err(|e| CliError::plain(e.to_string()))?),
    };
    print(&text)?;
    let is_ill = report.count(Severity::Error) > 0 || (options.strict && report.count(Severity::Warning) > 0);
    Ok(if is_ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(
    options: &DoctorOptions,
    kafka: &KafkaConfig,
    topics: &Topics,
    report: &mut Report,
) -> Result<(), CliError> {
    let admin = Admin::new(kafka).map_err(|e| CliError::coded("TW0502", e.to_string()))?;
    let tools = tools(kafka);
    let cluster = match admin.cluster().await {
        Ok(cluster) => cluster,
        Err(error) => {
            report.add(Finding::error("TW0805", error.to_string()));
            return Ok(());
        }
    };
    brokers::check(&admin, &cluster, options.session_timeout, report).await;
    let principal = principal(options, kafka);
    let access = Access { admin: &admin, tools: &tools, principal: &principal };
    examine_topics(options, kafka, topics, &cluster, &access, report).await;
    if options.write_probe {
        clock::check(kafka, &topics.replies(), report).await;
    }
    Ok(())
}

async fn examine_topics(
    options: &DoctorOptions,
    kafka: &KafkaConfig,
    topics: &Topics,
    cluster: &ClusterInfo,
    access: &Access<'_>,
    report: &mut Report,
) {
    let record = namespace_record(access.admin, kafka, topics, report).await;
    let shape = shape(options, topics, record.as_ref(), access.admin).await;
    for need in shape.topics_of(options.role) {
        let found = access.topic(&need, report).await;
        // How topics are set is for whoever makes them.
        if let (Some(info), Role::Engine) = (found, options.role) {
            topics::check(access.admin, access.tools, &need.spec, &info, cluster.brokers.len(), report).await;
        }
    }
    for need in shape.groups_of(options.role) {
        access.group(&need, report).await;
    }
}

/// What the namespace was made with, if it is there and may be read.
async fn namespace_record(
    admin: &Admin,
    kafka: &KafkaConfig,
    topics: &Topics,
    report: &mut Report,
) -> Option<NamespaceRecord> {
    let name = topics.cluster();
    // A topic that is not there, or not to be seen, is told where topics are looked at.
    let exists = matches!(admin.look_at_topic(&name).await, Ok(tidewright_log::TopicSeen::There { .. }));
    if !exists {
        return None;
    }
    let read = tokio::time::timeout(CLUSTER_PATIENCE, ClusterView::start(kafka, &name, None)).await;
    match read {
        Ok(Ok(view)) => {
            let record = view.namespace(topics.namespace());
            report.add(match &record {
                Some(record) => Finding::ok(format!(
                    "namespace {} was made with {} partitions; {} nodes are known",
                    record.namespace,
                    record.partitions,
                    view.nodes().len()
                )),
                None => Finding::ok(format!("namespace {} does not exist yet; a node makes it", topics.namespace())),
            });
            record
        }
        Ok(Err(error)) => {
            report.add(Finding::warning(
                "TW0819",
                format!("the record of namespace {} cannot be read: {error}", topics.namespace()),
            ));
            None
        }
        Err(_) => {
            let problem = format!("topic {name} cannot be read within {CLUSTER_PATIENCE:?}");
            report.add(Finding::warning("TW0819", problem));
            None
        }
    }
}

async fn shape<'a>(
    options: &DoctorOptions,
    topics: &'a Topics,
    record: Option<&NamespaceRecord>,
    admin: &Admin,
) -> Shape<'a> {
    let prefix = format!("{}{}.", topics.prefix(), topics.namespace());
    // What may not be listed is not known; the namespace's own topics are looked at by name.
    let existing = admin.topics_with_prefix(&prefix).await.unwrap_or_default();
    let of_kinds = |kinds: &[&str]| -> Vec<String> {
        let rest = |name: &String| name.strip_prefix(&prefix).unwrap_or_default().to_owned();
        let is_one = |name: &String| kinds.iter().any(|kind| rest(name).starts_with(kind));
        existing.keys().filter(|name| is_one(name)).cloned().collect()
    };
    let named =
        options.task_queue.iter().flat_map(|queue| [topics.workflow_tasks(queue), topics.activity_tasks(queue)]);
    let task_topics = of_kinds(&["workflow-tasks.", "activity-tasks."]).into_iter().chain(named).collect();
    let named = options.task_queue.iter().map(|queue| topics.control(queue));
    let control_topics = of_kinds(&["control."]).into_iter().chain(named).collect();
    // Without a record, the larger of both is what the namespace was made with: partitions are never taken away.
    let largest = [topics.commands(), topics.history()].iter().filter_map(|name| existing.get(name)).max().copied();
    let found = largest.and_then(|count| u32::try_from(count).ok());
    let partitions = record.map(|record| record.partitions).or(found).unwrap_or(options.partitions);
    Shape { topics, partitions, task_partitions: options.task_partitions, task_topics, control_topics }
}

fn tools(kafka: &KafkaConfig) -> Tools {
    let is_secured =
        kafka.properties.get("security.protocol").is_some_and(|protocol| !protocol.eq_ignore_ascii_case("plaintext"));
    Tools { brokers: kafka.brokers.clone(), is_secured }
}

fn principal(options: &DoctorOptions, kafka: &KafkaConfig) -> String {
    let of_user = || kafka.properties.get("sasl.username").map(|user| format!("User:{user}"));
    options.principal.clone().or_else(of_user).unwrap_or_else(|| "User:ANONYMOUS".to_owned())
}
