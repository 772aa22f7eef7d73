//! The workflow.

use tidewright::prelude::*;

use crate::activities::{Bank, Courier, Mail, Warehouse};
use crate::{Order, Receipt};

/// Fulfils an order, or undoes what was done for it.
#[workflow]
pub async fn order_saga(ctx: &WorkflowContext, order: Order) -> WorkflowResult<Receipt> {
    let mut saga = Saga::new(ctx);

    let reservation_id = saga.run(ctx.activity(Warehouse::reserve, &order)).await?;
    saga.on_failure(Warehouse::release, reservation_id);

    let payment_id = saga.run(ctx.activity(Bank::charge, &order)).await?;
    saga.on_failure(Bank::refund, payment_id.clone());

    let parcel_id = saga.run(ctx.activity(Courier::deliver, &order)).await?;
    saga.on_failure(Courier::call_back, parcel_id.clone());

    saga.run(ctx.activity(Mail::confirm, parcel_id.clone())).await?;
    Ok(Receipt { payment_id, parcel_id })
}
