//! `#[activities]` on a struct's `impl` block.

use tidewright_macros::activities;

#[activities]
impl NoneMarked {
    async fn charge(&self) -> ActivityResult<()> {}
}

#[activities]
impl NotAsync {
    #[activity(start_to_close = "30s")]
    fn charge(&self, order: Order) -> ActivityResult<Receipt> {}
}

#[activities]
impl WithoutSelf {
    #[activity(start_to_close = "30s")]
    async fn charge(order: Order) -> ActivityResult<Receipt> {}
}

#[activities]
impl ByMutableSelf {
    #[activity(start_to_close = "30s")]
    async fn charge(&mut self, order: Order) -> ActivityResult<Receipt> {}
}

#[activities]
impl Generic {
    #[activity(start_to_close = "30s")]
    async fn charge<T>(&self, order: T) -> ActivityResult<Receipt> {}
}

#[activities]
impl SeveralInputs {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, order: Order, customer: Customer) -> ActivityResult<Receipt> {}
}

#[activities]
impl WithoutResult {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, order: Order) {}
}

#[activities]
impl NoDuration {
    #[activity(start_to_close = "30")]
    async fn charge(&self, order: Order) -> ActivityResult<Receipt> {}
}

#[activities]
impl UnknownOption {
    #[activity(timeout = "30s")]
    async fn charge(&self, order: Order) -> ActivityResult<Receipt> {}
}

#[activities(queue = "payments")]
impl UnknownBlockOption {
    #[activity(start_to_close = "30s")]
    async fn charge(&self, order: Order) -> ActivityResult<Receipt> {}
}

#[activities]
enum NotABlock {}

fn main() {}
