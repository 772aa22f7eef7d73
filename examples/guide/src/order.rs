//! A saga: what was done is undone when a later step fails. Payments are another team's: a contract without code.

use serde::{Deserialize, Serialize};
use tidewright::prelude::*;

/// What both teams share: the contract of the payments' activities.
#[activities(task_queue = "payments")]
pub trait Payments {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, ctx: &ActivityContext, order: Order) -> ActivityResult<String>;

    #[activity(start_to_close = "30s")]
    async fn refund(&self, receipt: String) -> ActivityResult<()>;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub cents: u64,
    pub address: String,
}

/// The payments team's side.
pub struct Gateway;

#[activities]
impl Payments for Gateway {
    async fn charge(&self, ctx: &ActivityContext, order: Order) -> ActivityResult<String> {
        Ok(format!("{} cents, {}", order.cents, ctx.idempotency_key()))
    }

    async fn refund(&self, _receipt: String) -> ActivityResult<()> {
        Ok(())
    }
}

/// Our own activities.
pub struct Warehouse;

#[activities]
impl Warehouse {
    #[activity(start_to_close = "30s")]
    async fn reserve(&self, order: Order) -> ActivityResult<String> {
        Ok(format!("shelf of {}", order.id))
    }

    #[activity(start_to_close = "30s")]
    async fn release(&self, shelf: String) -> ActivityResult<()> {
        if shelf.contains("stuck") {
            return Err(ActivityError::non_retryable("ShelfIsStuck", "somebody has to look at it"));
        }
        Ok(())
    }

    #[activity(start_to_close = "2h")]
    async fn ship(&self, order: Order) -> ActivityResult<()> {
        match order.address.as_str() {
            "moon" => tokio::time::sleep(1.hours()).await,
            "nowhere" => return Err(ActivityError::non_retryable("UnknownAddress", "there is no such place")),
            _ => {}
        }
        Ok(())
    }
}

#[workflow]
pub async fn fulfil(ctx: &WorkflowContext, order: Order) -> WorkflowResult<String> {
    let mut saga = Saga::new(ctx);

    let shelf = ctx.activity(Warehouse::reserve, &order).await?;
    saga.on_failure(Warehouse::release, shelf);

    let receipt = saga.run(ctx.activity(Payments.charge, &order)).await?;
    saga.on_failure(Payments.refund, &receipt);

    saga.run(ctx.activity(Warehouse::ship, &order)).await?;
    Ok(receipt)
}
