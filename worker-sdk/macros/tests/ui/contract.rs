//! `#[activities]` on a trait, and on an `impl` block of one.

use tidewright_macros::activities;

#[activities]
trait NoneMarked {
    async fn charge(&self, order: Order) -> ActivityResult<Receipt>;
}

#[activities]
trait Generic<T> {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, order: T) -> ActivityResult<Receipt>;
}

#[activities]
trait WithCode {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, order: Order) -> ActivityResult<Receipt> {
        Ok(Receipt)
    }
}

#[activities]
trait NotAsync {
    #[activity(start_to_close = "30s")]
    fn charge(&self, order: Order) -> ActivityResult<Receipt>;
}

#[activities]
impl Payments for MarkedAgain {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, order: Order) -> ActivityResult<Receipt> {}
}

fn main() {}
