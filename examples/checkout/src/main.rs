//! A worker on one page: a payment, a wait, and a request that nobody waits for.

use tidewright::prelude::*;
use tidewright::{Client, Worker};

struct Shop;

#[activities]
impl Shop {
    /// Runs at least once; the idempotency key is the same each time, so that a gateway charges once.
    #[activity(start_to_close = "10s")]
    async fn charge(&self, ctx: &ActivityContext, cents: u64) -> ActivityResult<String> {
        if cents == 0 {
            return Err(ActivityError::non_retryable("NothingToPay", "the amount is 0"));
        }
        Ok(format!("receipt-{}", ctx.idempotency_key()))
    }

    #[activity(start_to_close = "10s")]
    async fn ask_for_review(&self, receipt: String) -> ActivityResult<()> {
        println!("How was it? ({receipt})");
        Ok(())
    }
}

#[workflow]
async fn checkout(ctx: &WorkflowContext, cents: u64) -> WorkflowResult<String> {
    let receipt = ctx.activity(Shop::charge, cents).await?;
    ctx.sleep(2.secs()).await?; // thirty days are no different: nothing waits but a row and a timer
    ctx.activity(Shop::ask_for_review, &receipt).detach();
    Ok(receipt)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    Worker::new(&client, "shop").workflow(checkout).activities(Shop).run().await?;
    Ok(())
}
