//! Which handler answers what, and what they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{Method, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tidewright_schemas::api::{
    AcceptedRequest, HistoryPage, PartitionList, QueriedWorkflow, QueryWorkflow, SkipCommands, StartedWorkflow,
    WorkerList, WorkflowDescription, WorkflowList, WorkflowOutcome,
};
use tidewright_schemas::{
    RequestCancelWorkflow, SignalWithStartWorkflow, SignalWorkflow, StartWorkflow, TerminateWorkflow,
};
use tidewright_telemetry::prometheus::Recorder;
use tokio::sync::watch;

use crate::backend::Backend;
use crate::openapi::{Operation, Routes};
use crate::pages::error_page;
use crate::problem::Failed;
use crate::proxy::Proxy;
use crate::{
    control, describe, list, list_partition, metrics_page, observe, partition_verbs, partitions, probes, query, start,
    workers,
};

/// Of whatever names a namespace and has parameters.
const NAMED: &[&str] = &["TW0602", "TW0608"];
/// Of whatever has a body.
const BODY: &[&str] = &["TW0605", "TW0606", "TW0607", "TW0612"];
/// Of whatever a partition's owner decides.
const COMMAND: &[&str] = &["TW0201", "TW0204", "TW0507", "TW0508", "TW0614"];
/// Of whatever is read from a partition's state.
const READ: &[&str] = &["TW0609", "TW0610", "TW0611", "TW0613"];

/// A path below that of a workflow.
macro_rules! of_workflow {
    ($rest:literal) => {
        concat!("/api/v1/namespaces/{namespace}/workflows/{workflow_id}", $rest)
    };
}

/// A path below that of a partition.
macro_rules! of_partition {
    ($rest:literal) => {
        concat!("/api/v1/namespaces/{namespace}/partitions/{partition}", $rest)
    };
}

/// What handlers share.
pub(crate) struct Api {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) proxy: Proxy,
    pub(crate) metrics: Recorder,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Api {
    /// Resolves when the server stops: whoever waits for something long gives up then.
    pub(crate) async fn stopping(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the server is gone already.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    pub(crate) fn check_namespace(&self, asked: &str) -> Result<(), Failed> {
        let served = self.backend.namespace();
        if asked == served { Ok(()) } else { Err(Failed::namespace_not_found(asked, served)) }
    }
}

/// Runs what blocks on the store where it does not hold up other requests.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failed::state_unreadable(&error.to_string()))
}

const WORKFLOWS: &str = "/api/v1/namespaces/{namespace}/workflows";
const WORKFLOW: &str = of_workflow!("");

/// All routes.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let routes = of_nodes(of_partitions(of_a_workflow(of_workflows(Routes::default()))));
    routes
        .described()
        .fallback(async |uri: Uri| Failed::route_not_found(uri.path()))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            Failed::method_not_allowed(method.as_str(), uri.path())
        })
        .layer(middleware::from_fn(observe::observe))
        .with_state(api)
}

fn of_workflows(routes: Routes) -> Routes {
    let started = |operation: Operation| {
        let operation = operation.answers::<StartedWorkflow>(201, "It runs");
        operation.answers::<StartedWorkflow>(200, "It ran before: nothing was started").fails(NAMED).fails(BODY)
    };
    let start = Operation::post(WORKFLOWS).named("startWorkflow", "Starts a workflow").body::<StartWorkflow>();
    let both = Operation::post("/api/v1/namespaces/{namespace}/workflows/signal-with-start")
        .named("signalWithStartWorkflow", "Signals a workflow, and starts it if no run is open")
        .body::<SignalWithStartWorkflow>();
    let list = Operation::get(WORKFLOWS)
        .named("listWorkflows", "Runs, newest first")
        .query::<list::ListParams>()
        .answers::<WorkflowList>(200, "A page of runs");
    routes
        .serve(started(start).fails(COMMAND).fails(&["TW0202", "TW0203"]), start::start)
        .serve(started(both).fails(COMMAND).fails(&["TW0202", "TW0203"]), start::signal_with_start)
        .serve(list.fails(NAMED).fails(READ), list::list)
}

fn of_a_workflow(routes: Routes) -> Routes {
    let accepted = |operation: Operation| {
        let operation = operation.answers::<AcceptedRequest>(200, "The run has it");
        operation.fails(NAMED).fails(COMMAND).fails(&["TW0206"])
    };
    let asks = |path, id, summary| accepted(Operation::post(path).named(id, summary)).fails(BODY).fails(&["TW0207"]);
    let reads = |path, id, summary| Operation::get(path).named(id, summary).fails(NAMED).fails(READ).fails(&["TW0601"]);
    let signal = asks(of_workflow!("/signal"), "signalWorkflow", "Tells a workflow something");
    let cancel = asks(of_workflow!("/cancel"), "cancelWorkflow", "Asks a workflow to end, in its own way");
    let terminate = asks(of_workflow!("/terminate"), "terminateWorkflow", "Ends a workflow at once");
    let delete = accepted(Operation::delete(WORKFLOW)).named("deleteWorkflow", "Deletes a run, for good");
    let query = Operation::post(of_workflow!("/query"))
        .named("queryWorkflow", "Asks a workflow something, which a worker answers")
        .body::<QueryWorkflow>()
        .answers::<QueriedWorkflow>(200, "The answer")
        .fails(NAMED)
        .fails(BODY)
        .fails(READ)
        .fails(&["TW0601", "TW0508", "TW0630", "TW0631", "TW0632", "TW0633", "TW0634", "TW0635", "TW0636"]);
    let described = reads(WORKFLOW, "describeWorkflow", "Where a run stands").query::<describe::DescribeParams>();
    let history = reads(of_workflow!("/history"), "getWorkflowHistory", "The events of a run, in pages");
    let result = reads(of_workflow!("/result"), "getWorkflowResult", "How a run ended, if it has");
    routes
        .serve(signal.body::<SignalWorkflow>(), control::signal)
        .serve(cancel.body::<RequestCancelWorkflow>(), control::cancel)
        .serve(terminate.body::<TerminateWorkflow>(), control::terminate)
        .serve(delete.query::<control::DeleteParams>(), control::delete)
        .serve(query, query::query)
        .serve(described.answers::<WorkflowDescription>(200, "The run"), describe::describe)
        .serve(
            history.query::<describe::HistoryParams>().answers::<HistoryPage>(200, "A page of events"),
            describe::history,
        )
        .serve(
            result.query::<describe::ResultParams>().answers::<WorkflowOutcome>(200, "The end, or `Running`"),
            describe::result,
        )
}

fn of_partitions(routes: Routes) -> Routes {
    let list = Operation::get("/api/v1/namespaces/{namespace}/partitions")
        .named("listPartitions", "The namespace's partitions, wherever they are")
        .answers::<PartitionList>(200, "All of them")
        .fails(NAMED);
    let verb = |path, id, summary| {
        let operation = Operation::post(path).named(id, summary).answers_nothing(202, "The partition is tried again");
        operation.fails(NAMED).fails(BODY).fails(&["TW0615"])
    };
    let retry = verb(of_partition!("/retry"), "retryPartition", "Tries a stopped partition again");
    let skip = verb(of_partition!("/skip"), "skipCommands", "Accepts that commands of a stopped partition are lost");
    routes
        .serve(list, partitions::list)
        .serve(retry.body::<BTreeMap<String, serde_json::Value>>(), partition_verbs::retry)
        .serve(skip.body::<SkipCommands>().fails(&["TW0616"]), partition_verbs::skip)
        .internal("/internal/v1/namespaces/{namespace}/partitions", get(partitions::own))
        .internal("/internal/v1/namespaces/{namespace}/partitions/{partition}/workflows", get(list_partition::serve))
        .internal("/internal/v1/namespaces/{namespace}/partitions/{partition}/skip", post(partition_verbs::skip_own))
        .internal("/internal/v1/namespaces/{namespace}/partitions/{partition}/retry", post(partition_verbs::retry_own))
}

fn of_nodes(routes: Routes) -> Routes {
    let workers = Operation::get("/api/v1/namespaces/{namespace}/workers")
        .named("listWorkers", "Who works for the namespace")
        .query::<workers::WorkersParams>()
        .answers::<WorkerList>(200, "The workers")
        .fails(NAMED);
    let health = Operation::get("/healthz")
        .named("getHealth", "Whether the process answers")
        .answers::<probes::Health>(200, "It does");
    let readiness = Operation::get("/readyz")
        .named("getReadiness", "Whether this node knows what becomes of each of its partitions")
        .answers::<probes::Readiness>(200, "It does")
        .answers::<probes::Readiness>(503, "It does not, or is stopping");
    let metrics = Operation::get("/metrics")
        .named("getMetrics", "Metrics, as Prometheus reads them")
        .answers_text("text/plain", "All metrics");
    let page = Operation::get("/errors/{code}")
        .named("explainError", "What a problem's code means, and what to do")
        .answers_text("text/markdown", "The page")
        .fails(&["TW0603"]);
    routes
        .serve(workers, workers::list)
        .serve(health, probes::healthz)
        .serve(readiness, probes::readyz)
        .serve(metrics, metrics_page::metrics)
        .serve(page, explain)
}

/// `GET /errors/{code}`: where a problem's `type` points.
async fn explain(Path(code): Path<String>, uri: Uri) -> Result<Response, Failed> {
    let page = error_page(&code).ok_or_else(|| Failed::route_not_found(uri.path()))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response())
}
