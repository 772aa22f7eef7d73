//! An HTTP service that takes orders: it starts a workflow for each and answers with its id.
//!
//! ```sh
//! cargo run -p http-service
//! curl -i localhost:8080/orders -H 'idempotency-key: 4711' -H 'content-type: application/json' -d '{
//!   "order_id": "1", "customer": "ada@example.org", "items": [{"sku": "tea-500g", "quantity": 2}],
//!   "amount_cents": 2590, "card": "visa-4242", "address": "1 Harbour Street"}'
//! curl -i localhost:8080/orders/4711
//! curl -i localhost:8080/orders/4711/result
//! ```
//!
//! What it shows:
//! - `202 Accepted` means that the start is in the workflow's history: the order will be fulfilled, whatever crashes.
//! - The client's `Idempotency-Key` is the workflow's id and the request's id, so an order that is sent again, to this
//!   process or to another one, starts nothing twice: while it runs, and after it has ended.
//! - The service keeps nothing itself. Any number of it may run; each answers for every order.
//!
//! [`router`] is the whole pattern; the workflow is that of the example `order-fulfilment`, whose workers may run in
//! other processes.

mod orders;
mod problem;

use axum::Router;
use axum::routing::{get, post};
use tidewright::Client;

/// Where the workers of this example listen.
pub const TASK_QUEUE: &str = "orders";

/// The service's routes.
pub fn router(client: Client) -> Router {
    Router::new()
        .route("/orders", post(orders::create))
        .route("/orders/{key}", get(orders::status))
        .route("/orders/{key}/result", get(orders::result))
        .with_state(client)
}
