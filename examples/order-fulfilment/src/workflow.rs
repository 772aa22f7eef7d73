//! The workflow.

use tidewright::prelude::*;

use crate::activities::{Mail, Orders, Payments, Shipping};
use crate::types::{Charge, Confirmation, Order, OrderResult, Outcome, Refund, ShipmentRequest};

/// Fulfils an order.
///
/// - An order that makes no sense fails the workflow with `InvalidOrder`, a declined card with `PaymentDeclined`:
///   nothing has happened that would have to be undone.
/// - A parcel that cannot be sent is compensated by a refund; the workflow then completes and says so.
/// - The confirmation is sent without waiting for it: an order is fulfilled even if the mail server is down.
#[workflow]
pub async fn order_workflow(ctx: &WorkflowContext, order: Order) -> WorkflowResult<OrderResult> {
    let valid = ctx.activity(Orders::validate_order, &order).await.map_err(|e| failed("InvalidOrder", &e))?;

    let charge =
        Charge { order_id: order.order_id.clone(), card: order.card.clone(), amount_cents: order.amount_cents };
    let payment = ctx
        .activity(Payments::process_payment, charge)
        .retry(RetryPolicy::default().initial_interval(200.millis()).maximum_interval(5.secs()))
        .await
        .map_err(|e| failed("PaymentDeclined", &e))?;

    let request =
        ShipmentRequest { order_id: order.order_id.clone(), address: order.address.clone(), pieces: valid.pieces };
    let mut result = OrderResult {
        order_id: order.order_id.clone(),
        outcome: Outcome::Completed,
        transaction_id: payment.transaction_id.clone(),
        tracking_number: None,
        refund_id: None,
    };
    match ctx.activity(Shipping::create_shipment, request).await {
        Ok(shipment) => {
            let confirmation = Confirmation {
                customer: order.customer,
                order_id: order.order_id,
                tracking_number: shipment.tracking_number.clone(),
            };
            ctx.activity(Mail::send_confirmation, confirmation).detach();
            result.tracking_number = Some(shipment.tracking_number);
        }
        Err(error) => {
            let refund = Refund {
                transaction_id: payment.transaction_id,
                amount_cents: order.amount_cents,
                reason: error.message().to_owned(),
            };
            // Money is owed: it is tried again until it is paid back.
            let refunded = ctx.activity(Payments::refund_payment, refund).await?;
            result.outcome = Outcome::ShipmentFailedRefunded;
            result.refund_id = Some(refunded.refund_id);
        }
    }
    Ok(result)
}

fn failed(error_type: &str, error: &ActivityFailed) -> WorkflowError {
    WorkflowError::new(error_type, error.message()).caused_by(error)
}
