//! What goes in and out of the workflow and of each activity. All of it is plain JSON on the wire.

use serde::{Deserialize, Serialize};

/// An order, as the shop sends it: the workflow's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The shop's id of it.
    pub order_id: String,
    /// Who buys.
    pub customer: String,
    /// What is bought.
    pub items: Vec<Item>,
    /// The sum, in cents.
    pub amount_cents: u64,
    /// The card's token; see [`crate::services::InMemoryGateway`] for those that mean something.
    pub card: String,
    /// Where to; see [`crate::services::InMemoryCarrier`] for those that mean something.
    pub address: String,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Which article.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// How an order ended: the workflow's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderResult {
    /// The shop's id of it.
    pub order_id: String,
    /// In one word.
    pub outcome: Outcome,
    /// The payment.
    pub transaction_id: String,
    /// The parcel, if it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// The refund, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<String>,
}

/// How an order ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Paid and sent.
    Completed,
    /// Paid, could not be sent, and paid back.
    ShipmentFailedRefunded,
}

/// What `ValidateOrder` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatedOrder {
    /// How many pieces there are in all.
    pub pieces: u32,
}

/// What `ProcessPayment` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The order.
    pub order_id: String,
    /// The card's token.
    pub card: String,
    /// How much, in cents.
    pub amount_cents: u64,
}

/// What `ProcessPayment` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The gateway's id of it.
    pub transaction_id: String,
}

/// What `CreateShipment` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentRequest {
    /// The order.
    pub order_id: String,
    /// Where to.
    pub address: String,
    /// How many pieces.
    pub pieces: u32,
}

/// What `CreateShipment` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// The carrier's id of it.
    pub tracking_number: String,
}

/// What `RefundPayment` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// What to pay back.
    pub transaction_id: String,
    /// How much, in cents.
    pub amount_cents: u64,
    /// Why, for people.
    pub reason: String,
}

/// What `RefundPayment` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The gateway's id of it.
    pub refund_id: String,
}

/// What `SendConfirmation` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Whom to tell.
    pub customer: String,
    /// The order.
    pub order_id: String,
    /// The parcel.
    pub tracking_number: String,
}

/// What `SendConfirmation` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSent {
    /// The mailer's id of it.
    pub message_id: String,
}
