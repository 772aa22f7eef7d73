//! The activities. Each struct holds what its methods need; tests give it something else.

use std::sync::Arc;

use tidewright::prelude::*;

use crate::audit::Audit;
use crate::services::{Carrier, CarrierError, Mailer, PaymentError, PaymentGateway};
use crate::types::{
    Charge, Confirmation, MessageSent, Order, Payment, Refund, Refunded, Shipment, ShipmentRequest, ValidatedOrder,
};

/// What the shop checks by itself.
pub struct Orders {
    /// Notes what ran.
    pub audit: Arc<Audit>,
}

#[activities]
impl Orders {
    /// Checks that the order makes sense.
    #[activity(start_to_close = "10s")]
    pub async fn validate_order(&self, ctx: &ActivityContext, order: Order) -> ActivityResult<ValidatedOrder> {
        self.audit
            .attempt(ctx, async {
                let pieces: u32 = order.items.iter().map(|item| item.quantity).sum();
                if pieces == 0 || order.amount_cents == 0 {
                    let problem =
                        format!("order {} has {pieces} pieces for {} cents", order.order_id, order.amount_cents);
                    return Err(ActivityError::non_retryable("InvalidOrder", problem));
                }
                Ok(ValidatedOrder { pieces })
            })
            .await
    }
}

/// What goes through the payment gateway.
pub struct Payments {
    /// The gateway.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Notes what ran.
    pub audit: Arc<Audit>,
}

#[activities]
impl Payments {
    /// Charges the customer, once per idempotency key.
    #[activity(start_to_close = "10s")]
    pub async fn process_payment(&self, ctx: &ActivityContext, charge: Charge) -> ActivityResult<Payment> {
        let work = self.gateway.charge(ctx.idempotency_key(), &charge.card, charge.amount_cents);
        self.audit
            .attempt(ctx, async {
                match work.await {
                    Ok(transaction_id) => Ok(Payment { transaction_id }),
                    Err(PaymentError::Declined(reason)) => Err(ActivityError::non_retryable("CardDeclined", reason)),
                    Err(unavailable) => Err(unavailable.into()),
                }
            })
            .await
    }

    /// Pays the customer back, once per idempotency key.
    #[activity(start_to_close = "10s")]
    pub async fn refund_payment(&self, ctx: &ActivityContext, refund: Refund) -> ActivityResult<Refunded> {
        let work = self.gateway.refund(ctx.idempotency_key(), &refund.transaction_id, refund.amount_cents);
        self.audit.attempt(ctx, async { Ok(Refunded { refund_id: work.await? }) }).await
    }
}

/// What goes to the carrier.
pub struct Shipping {
    /// The carrier.
    pub carrier: Arc<dyn Carrier>,
    /// Notes what ran.
    pub audit: Arc<Audit>,
}

#[activities]
impl Shipping {
    /// Books the parcel, once per idempotency key.
    #[activity(start_to_close = "10s")]
    pub async fn create_shipment(&self, ctx: &ActivityContext, request: ShipmentRequest) -> ActivityResult<Shipment> {
        let work = self.carrier.book(ctx.idempotency_key(), &request.address, request.pieces);
        self.audit
            .attempt(ctx, async {
                match work.await {
                    Ok(tracking_number) => Ok(Shipment { tracking_number }),
                    Err(CarrierError::Unreachable(address)) => {
                        Err(ActivityError::non_retryable("AddressUnreachable", format!("nobody delivers to {address}")))
                    }
                }
            })
            .await
    }
}

/// What is told to the customer.
pub struct Mail {
    /// The mail server.
    pub mailer: Arc<dyn Mailer>,
    /// Notes what ran.
    pub audit: Arc<Audit>,
}

#[activities]
impl Mail {
    /// Tells the customer that the parcel is on its way.
    #[activity(start_to_close = "10s")]
    pub async fn send_confirmation(
        &self,
        ctx: &ActivityContext,
        confirmation: Confirmation,
    ) -> ActivityResult<MessageSent> {
        let text = format!("Your order {} is on its way: {}", confirmation.order_id, confirmation.tracking_number);
        let work = self.mailer.send(ctx.idempotency_key(), &confirmation.customer, &text);
        self.audit.attempt(ctx, async { Ok(MessageSent { message_id: work.await? }) }).await
    }
}
