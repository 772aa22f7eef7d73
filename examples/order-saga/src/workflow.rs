//! The workflow.

use tidewright::ActivityCancellationType::WaitCancellationCompleted;
use tidewright::prelude::*;

use crate::activities::{Bank, Courier, Mail, Warehouse};
use crate::{Order, Receipt};

/// Fulfils an order, or undoes what was done for it.
///
/// To know what has to be undone, a step that is called off is waited for: perhaps it is done all the same.
#[workflow]
pub async fn order_saga(ctx: &WorkflowContext, order: Order) -> WorkflowResult<Receipt> {
    let mut saga = Saga::new(ctx);

    let reserve = ctx.activity(Warehouse::reserve, &order).cancellation_type(WaitCancellationCompleted);
    let reservation_id = saga.run(reserve).await?;
    saga.on_failure(Warehouse::release, reservation_id);

    let charge = ctx.activity(Bank::charge, &order).cancellation_type(WaitCancellationCompleted);
    let payment_id = saga.run(charge).await?;
    saga.on_failure(Bank::refund, payment_id.clone());

    let deliver = ctx.activity(Courier::deliver, &order).cancellation_type(WaitCancellationCompleted);
    let parcel_id = saga.run(deliver).await?;
    saga.on_failure(Courier::call_back, parcel_id.clone());

    // The last moment at which an order can be called off: in a workflow that was asked to end this step is not begun.
    let confirm = ctx.activity(Mail::confirm, parcel_id.clone()).cancellation_type(WaitCancellationCompleted);
    saga.run(confirm).await?;
    Ok(Receipt { payment_id, parcel_id })
}
