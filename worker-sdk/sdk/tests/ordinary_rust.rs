//! What other libraries offer for composing futures works in workflows, as long as it stays within one workflow.

#![allow(clippy::unwrap_used, reason = "tests")]

mod history;

use std::sync::Arc;

use futures::channel::{mpsc, oneshot};
use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt as _};
use futures::{SinkExt as _, pin_mut};
use history::{History, run_of};
use tidewright::prelude::*;
use tidewright_schemas::Decision;
use tokio::sync::{Mutex, Notify};

/// Its parts wait for each other; the outermost wait is a timer.
#[workflow]
async fn composed(ctx: &WorkflowContext) -> WorkflowResult<String> {
    let (done, finished) = oneshot::channel();
    let (mut numbers, received) = mpsc::channel::<u64>(1);
    let (gate, count) = (Arc::new(Notify::new()), Arc::new(Mutex::new(0)));
    let produce = async {
        ctx.sleep(1.secs()).await?;
        for number in 0..3 {
            tokio::task::yield_now().await;
            numbers.send(number).await.unwrap();
        }
        drop(numbers);
        gate.notify_one();
        Ok::<_, WorkflowError>(())
    };
    let consume = async {
        let all: Vec<u64> = received.collect().await;
        *count.lock().await += all.len();
        done.send(all).unwrap();
        Ok(())
    };
    let wait = async {
        gate.notified().await;
        Ok(finished.await.unwrap())
    };
    let (_, _, all) = try_join!(produce, consume, wait)?;
    let mut sleeps: FuturesUnordered<_> =
        (1..=3).map(|n| async move { ctx.sleep((4 - n).secs()).await.map(|()| n) }).collect();
    let mut order = Vec::new();
    while let Some(number) = sleeps.next().await {
        order.push(number?);
    }
    let ordered: FuturesOrdered<_> = [1_u64, 2].into_iter().map(|n| async move { n }).collect();
    let stream = ordered.collect::<Vec<_>>();
    pin_mut!(stream);
    Ok(format!("{all:?} {order:?} {:?} {}", stream.await, count.lock().await))
}

#[test]
fn channels_locks_streams_and_yields_within_a_workflow_are_fine() {
    let mut live = run_of(composed);
    let history = History::begun("null");
    let decisions = history.same(&mut live, &mut run_of(composed));
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    let history = history.completed(&decisions).fired("1").task();
    let decisions = history.same(&mut live, &mut run_of(composed));
    assert_eq!(decisions.len(), 3, "{decisions:?}");
    let history = history.completed(&decisions).fired("4").fired("2").task();
    let decisions = history.same(&mut live, &mut run_of(composed));
    assert!(decisions.is_empty());
    let history = history.completed(&decisions).fired("3").task();
    let decisions = history.same(&mut live, &mut run_of(composed));
    let [Decision::CompleteWorkflow(done)] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(done.result.as_ref().unwrap().read::<String>().unwrap(), "[0, 1, 2] [3, 1, 2] [1, 2] 3");
}

#[workflow]
async fn sleeps_in_the_runtime(ctx: &WorkflowContext) -> WorkflowResult<()> {
    ctx.sleep(1.secs()).await?;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    Ok(())
}

#[workflow]
async fn joins_a_task(ctx: &WorkflowContext) -> WorkflowResult<()> {
    ctx.sleep(1.secs()).await?;
    Ok(tokio::spawn(std::future::pending()).await?)
}

#[tokio::test]
async fn what_only_the_process_knows_is_told_with_the_last_await() {
    for workflow in [sleeps_in_the_runtime, joins_a_task] {
        let mut run = run_of(workflow);
        let history = History::begun("null");
        let decisions = history.clone().advance(&mut run);
        let error = history.completed(&decisions).fired("1").try_advance(&mut run).unwrap_err();
        assert_eq!(error.code(), Some("TW0902"), "{error}");
        assert!(error.to_string().contains("ordinary_rust.rs:"), "{error}");
    }
}
