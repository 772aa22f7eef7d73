//! The activities, and how to undo each.

use std::sync::Arc;

use tidewright::prelude::*;

use crate::{Journal, Order};

/// Keeps the stock.
pub struct Warehouse {
    /// Notes what is done.
    pub journal: Arc<Journal>,
}

#[activities]
impl Warehouse {
    /// Puts an article aside.
    #[activity(start_to_close = "10s")]
    pub async fn reserve(&self, ctx: &ActivityContext, order: Order) -> ActivityResult<String> {
        self.journal.note(ctx, "reserved");
        Ok(format!("{}-{}", order.sku, ctx.idempotency_key()))
    }

    /// Puts it back.
    #[activity(start_to_close = "10s")]
    pub async fn release(&self, ctx: &ActivityContext, _reservation_id: String) -> ActivityResult<()> {
        self.journal.note(ctx, "released");
        Ok(())
    }
}

/// Moves money. What the card `closed` has paid cannot be paid back.
pub struct Bank {
    /// Notes what is done.
    pub journal: Arc<Journal>,
}

#[activities]
impl Bank {
    /// Charges the customer.
    #[activity(start_to_close = "10s")]
    pub async fn charge(&self, ctx: &ActivityContext, order: Order) -> ActivityResult<String> {
        self.journal.note(ctx, "charged");
        Ok(format!("{}-{}", order.card, ctx.idempotency_key()))
    }

    /// Pays the customer back. What no retry can help is said to be so, or it would be tried for ever.
    #[activity(start_to_close = "10s")]
    pub async fn refund(&self, ctx: &ActivityContext, payment_id: String) -> ActivityResult<()> {
        if payment_id.starts_with("closed") {
            return Err(ActivityError::non_retryable("AccountClosed", format!("{payment_id} has no account any more")));
        }
        self.journal.note(ctx, "refunded");
        Ok(())
    }
}

/// Brings parcels. To `nowhere` nobody goes. The way to `far away` is long, and the courier turns round when asked to; the
/// way to `next door` is over before a call reaches the courier.
pub struct Courier {
    /// Notes what is done.
    pub journal: Arc<Journal>,
}

#[activities]
impl Courier {
    /// Delivers a parcel. It may take hours, and hears when it is called off.
    #[activity(start_to_close = "12h")]
    pub async fn deliver(&self, ctx: &ActivityContext, order: Order) -> ActivityResult<String> {
        let parcel_id = format!("{}-{}", order.sku, ctx.idempotency_key());
        match order.address.as_str() {
            "nowhere" => return Err(ActivityError::non_retryable("AddressUnreachable", "nobody goes there")),
            "far away" => {
                self.journal.note(ctx, "on the way");
                let reason = ctx.cancelled().await;
                if reason == CancelReason::Requested {
                    self.journal.note(ctx, "turned round");
                }
                return Err(reason.into());
            }
            "next door" => {
                self.journal.note(ctx, "on the way");
                ctx.cancelled().await;
            }
            _ => {}
        }
        self.journal.note(ctx, "delivered");
        Ok(parcel_id)
    }

    /// Fetches a parcel back.
    #[activity(start_to_close = "12h")]
    pub async fn call_back(&self, ctx: &ActivityContext, _parcel_id: String) -> ActivityResult<()> {
        self.journal.note(ctx, "called back");
        Ok(())
    }
}

/// Writes to customers.
pub struct Mail {
    /// Notes what is done.
    pub journal: Arc<Journal>,
}

#[activities]
impl Mail {
    /// Tells the customer that the parcel is there.
    #[activity(start_to_close = "10s")]
    pub async fn confirm(&self, ctx: &ActivityContext, _parcel_id: String) -> ActivityResult<()> {
        self.journal.note(ctx, "confirmed");
        Ok(())
    }
}
