//! The orders of the demo, and how each must end.

use serde::Serialize;

/// Where the worker listens.
pub(super) const TASK_QUEUE: &str = "orders";

/// How an order must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Paid and sent.
    Completed,
    /// Paid, could not be sent, paid back.
    Refunded,
    /// The card was declined.
    Declined,
}

/// One order.
#[derive(Debug, Clone)]
pub(super) struct DemoOrder {
    number: u32,
    customer: &'static str,
    sku: &'static str,
    quantity: u32,
    amount_cents: u64,
    card: &'static str,
    address: &'static str,
    pub(super) expected: Expected,
    /// What is special about it.
    pub(super) about: &'static str,
}

impl DemoOrder {
    /// `order-1001`.
    pub(super) fn workflow_id(&self) -> String {
        format!("order-{}", self.number)
    }

    /// The workflow's input.
    pub(super) fn input(&self) -> Input {
        Input {
            order_id: self.number.to_string(),
            customer: self.customer,
            items: [Item { sku: self.sku, quantity: self.quantity }],
            amount_cents: self.amount_cents,
            card: self.card,
            address: self.address,
        }
    }

    /// The record's value: a `StartWorkflow`.
    pub(super) fn start(&self) -> Start {
        Start {
            kind: "StartWorkflow",
            workflow_type: "OrderWorkflow",
            workflow_id: self.workflow_id(),
            task_queue: TASK_QUEUE,
            input: self.input(),
        }
    }
}

/// What a shop publishes. Written out here, since it takes nothing of ours to do it.
#[derive(Debug, Serialize)]
pub(super) struct Start {
    #[serde(rename = "type")]
    kind: &'static str,
    workflow_type: &'static str,
    workflow_id: String,
    task_queue: &'static str,
    input: Input,
}

/// An order as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Input {
    order_id: String,
    customer: &'static str,
    items: [Item; 1],
    amount_cents: u64,
    card: &'static str,
    address: &'static str,
}

#[derive(Debug, Serialize)]
struct Item {
    sku: &'static str,
    quantity: u32,
}

/// A handful of them: most are fulfilled, one is declined, one is compensated.
pub(super) fn all() -> Vec<DemoOrder> {
    let usual = DemoOrder {
        number: 0,
        customer: "",
        sku: "tea-500g",
        quantity: 2,
        amount_cents: 2_590,
        card: "visa-4242",
        address: "1 Harbour Street",
        expected: Expected::Completed,
        about: "",
    };
    vec![
        DemoOrder { number: 1001, customer: "ada@example.com", ..usual.clone() },
        DemoOrder {
            number: 1002,
            customer: "ben@example.com",
            card: "flaky",
            about: "the payment gateway fails once",
            ..usual.clone()
        },
        DemoOrder {
            number: 1003,
            customer: "cleo@example.com",
            card: "declined",
            amount_cents: 99_900,
            expected: Expected::Declined,
            about: "the card is declined",
            ..usual.clone()
        },
        DemoOrder {
            number: 1004,
            customer: "dan@example.com",
            sku: "cup",
            quantity: 6,
            amount_cents: 4_200,
            ..usual.clone()
        },
        DemoOrder {
            number: 1005,
            customer: "eve@example.com",
            address: "unreachable",
            expected: Expected::Refunded,
            about: "nobody delivers there",
            ..usual.clone()
        },
        DemoOrder { number: 1006, customer: "fay@example.com", sku: "pot", quantity: 1, amount_cents: 3_100, ..usual },
    ]
}
