//! `docs/metrics.md` is what an engine and a worker export, no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use end_to_end::{World, eventually};
use tidewright::prelude::*;
use tidewright_api::ApiServer;
use tidewright_schemas::api::WorkflowStatus;

struct Steps;

#[activities]
impl Steps {
    /// Fails the first time.
    #[activity(start_to_close = "10s")]
    async fn step(&self, ctx: &ActivityContext) -> ActivityResult<u32> {
        if ctx.attempt() == 1 {
            return Err(ActivityError::new("NotYet", "the first attempt fails"));
        }
        Ok(ctx.attempt())
    }
}

#[workflow]
async fn measured(ctx: &WorkflowContext) -> WorkflowResult<u32> {
    ctx.sleep(Duration::from_millis(1)).await?;
    let retry = RetryPolicy::default().initial_interval(Duration::from_millis(1));
    Ok(ctx.activity(Steps::step, ()).options(ActivityOptions::start_to_close(10.secs()).retry(retry)).await?)
}

/// The metrics that the page documents: their types, and whether they appear only when there is something to tell.
fn documented() -> anyhow::Result<BTreeMap<String, (String, bool)>> {
    let page = include_str!("../../../../docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        ensure!(cells.len() == 6, "six columns: {row}");
        let name = cells[0].trim_end_matches(" †").trim_matches('`').to_owned();
        Ok((name, (cells[1].to_owned(), cells[0].ends_with('†'))))
    })
    .collect()
}

/// What is exported: types by name, and the labels of each.
fn exported(page: &str) -> (BTreeMap<String, String>, BTreeMap<String, BTreeSet<String>>) {
    let typed = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<_, _> = typed.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let base = if types.contains_key(base) { base } else { name };
        let names = rest.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.trim().to_owned());
        labels.entry(base.to_owned()).or_default().extend(names.filter(|name| name != "le"));
    }
    (types, labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_metrics_says_what_is_exported() -> anyhow::Result<()> {
    // First of all: whatever is measured before the recorder is there is lost.
    tidewright_api::install_metrics();
    let server = ApiServer::bind(([127, 0, 0, 1], 0).into()).await?;
    let url = format!("http://{}", server.local_addr());
    let mut world = World::without_engine().await?;
    world.change_engine(|config| config.http_url = Some(url.clone()));
    world.start_engine().await?;
    let (stop_api, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = server.serve(world.engine()?.clone(), async move { drop(stopped.await) });
    let api = tokio::spawn(serving);

    let worker = Worker::new(&world.client()?, "measured").workflow(measured).activities(Steps);
    let _running = world.run(worker);
    world
        .publish(
            "m-1",
            r#"{"type":"StartWorkflow","workflow_type":"Measured","workflow_id":"m-1","task_queue":"measured"}"#,
        )
        .await?;
    world.publish("m-2", "no command").await?;
    assert_eq!(world.outcome("m-1").await?.status, WorkflowStatus::Completed);

    let documented = documented()?;
    let pages = format!("{url}/metrics");
    let page = eventually("everything that is documented is exported", || async {
        let page = reqwest::get(&pages).await.ok()?.text().await.ok()?;
        let (types, _) = exported(&page);
        let all = documented.iter().all(|(name, (_, conditional))| *conditional || types.contains_key(name));
        all.then_some(page)
    });
    let page = match page.await {
        Ok(page) => page,
        Err(error) => {
            let (types, _) = exported(&reqwest::get(&pages).await?.text().await?);
            let missing: Vec<_> = documented.keys().filter(|name| !types.contains_key(*name)).collect();
            return Err(error.context(format!("missing: {missing:?}")));
        }
    };
    let (types, labels) = exported(&page);
    for (name, kind) in &types {
        let (documented_kind, _) = documented.get(name).with_context(|| format!("{name} is not in docs/metrics.md"))?;
        ensure!(kind == documented_kind, "{name} is a {kind}, docs/metrics.md says {documented_kind}");
        let row =
            include_str!("../../../../docs/metrics.md").lines().find(|line| line.starts_with(&format!("| `{name}`")));
        let cell = row.and_then(|row| row.split(" | ").nth(2)).unwrap_or_default();
        let wanted: BTreeSet<String> = cell.split(", ").filter(|label| *label != "–").map(str::to_owned).collect();
        let found = labels.get(name).cloned().unwrap_or_default();
        ensure!(found == wanted, "{name} has the labels {found:?}, docs/metrics.md says {wanted:?}");
    }
    // What happened is what is counted.
    let of_run = r#"{namespace="default",workflow_type="Measured",task_queue="measured"}"#;
    ensure!(page.contains(&format!("tidewright_workflow_completed_total{of_run} 1")), "{page}");
    let of_step = r#"{namespace="default",task_queue="measured",activity_type="Step"}"#;
    ensure!(page.contains(&format!("tidewright_activity_execution_failed_total{of_step} 1")), "{page}");

    drop(stop_api);
    api.await??;
    world.stop_engine().await;
    Ok(())
}
