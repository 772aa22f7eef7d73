//! Contracts: `#[activities]` on a trait that another team implements, and the traits that the macros implement, by hand.

#![allow(clippy::unwrap_used, reason = "tests")]

mod history;

use history::{History, run_of};
use tidewright::prelude::*;
use tidewright::{ActivityContract, ActivityInfo};
use tidewright_schemas::Decision;

/// What a shared crate holds: no code, and nothing of the team's own.
mod shared {
    use tidewright::prelude::*;

    /// What payments can do.
    #[activities(task_queue = "payments")]
    pub trait Payments {
        /// Charges a customer.
        #[activity(start_to_close = "30s", heartbeat_timeout = "5s")]
        async fn charge(&self, ctx: &ActivityContext, cents: u64) -> ActivityResult<String>;

        #[activity(name = "payments.refund")]
        async fn refund(&self, charge: String) -> ActivityResult<()>;

        /// No activity.
        fn currency(&self) -> &'static str {
            "EUR"
        }
    }
}

use shared::Payments;

struct Gateway {
    prefix: &'static str,
}

#[activities]
impl Payments for Gateway {
    async fn charge(&self, ctx: &ActivityContext, cents: u64) -> ActivityResult<String> {
        Ok(format!("{}{cents}{}/{}", self.prefix, self.currency(), ctx.attempt()))
    }

    async fn refund(&self, _charge: String) -> ActivityResult<()> {
        Ok(())
    }
}

#[workflow]
async fn order(ctx: &WorkflowContext, cents: u64) -> WorkflowResult<String> {
    let mut saga = Saga::new(ctx);
    let charge: String = ctx.activity(Payments.charge, cents).await?;
    let refund = ctx.activity(Payments.refund, &charge).start_to_close(10.secs()).task_queue("refunds");
    saga.on_failure_call(refund);
    saga.run(async { Err::<String, _>(WorkflowError::new("TooLate", charge)) }).await
}

#[test]
fn a_contract_is_called_on_its_own_queue_unless_the_call_says_otherwise() {
    let mut run = run_of(order);
    let decisions = History::begun("42").advance(&mut run);
    let [Decision::ScheduleActivity(charge)] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!((charge.activity_type.as_str(), charge.task_queue.as_deref()), ("Charge", Some("payments")));
    assert_eq!((charge.start_to_close_timeout_ms, charge.heartbeat_timeout_ms), (Some(30_000), Some(5_000)));
    let decisions = History::begun("42").completed(&decisions).done("1", "\"c\"").advance(&mut run);
    let [Decision::ScheduleActivity(refund)] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!((refund.activity_type.as_str(), refund.task_queue.as_deref()), ("payments.refund", Some("refunds")));
}

#[tokio::test]
async fn the_implementation_is_an_ordinary_one() {
    let gateway = Gateway { prefix: "x" };
    let ctx = ActivityContext::new(ActivityInfo::default());
    assert_eq!(gateway.charge(&ctx, 7).await.unwrap(), "x7EUR/0");
}

/// One struct with two contracts, and one with a contract and activities of its own: registered by hand.
struct Both;

impl Payments for Both {
    async fn charge(&self, _ctx: &ActivityContext, _cents: u64) -> ActivityResult<String> {
        Ok(String::new())
    }

    async fn refund(&self, _charge: String) -> ActivityResult<()> {
        Ok(())
    }
}

impl Both {
    const PING: ActivityDef<Self, (), u8> = ActivityDef::new("Ping", |_: &Self, _, ()| Box::pin(async { Ok(1) }))
        .schedule_to_close(std::time::Duration::MAX);
}

impl Activities for Both {
    fn register(set: &mut ActivitySet<Self>) {
        Payments.register(set);
        set.add(Self::PING);
    }
}

const BY_HAND: ActivityContract<u64, String> =
    ActivityContract::new("Charge").task_queue("elsewhere").start_to_close(std::time::Duration::from_secs(1));

#[workflow]
async fn by_hand(ctx: &WorkflowContext) -> WorkflowResult<String> {
    Ok(ctx.activity(BY_HAND, 1).await?)
}

#[tokio::test]
async fn what_the_macros_write_can_be_written_by_hand() {
    let decisions = History::begun("null").advance(&mut run_of(by_hand));
    let [Decision::ScheduleActivity(charge)] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!((charge.activity_type.as_str(), charge.task_queue.as_deref()), ("Charge", Some("elsewhere")));
    // Nothing is registered twice.
    let client = Client::new(ClientConfig::new("127.0.0.1:1")).unwrap();
    let worker = Worker::new(&client, "q").workflow(by_hand).activities(Both).activities(Gateway { prefix: "" });
    let twice = worker.run_until(std::future::ready(())).await.unwrap_err().to_string();
    assert!(twice.contains("`Charge`") && twice.contains("payments.refund") && !twice.contains("Ping"), "{twice}");
}
