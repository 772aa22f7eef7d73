//! `#[workflow]` on an `impl` block.

use tidewright_macros::workflow;

#[workflow]
impl WithoutRun {
    fn helper(&self) {}
}

#[workflow]
impl TwoRuns {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[run]
    async fn again(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}
}

#[workflow]
impl RunNotAsync {
    #[run]
    fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}
}

#[workflow]
impl RunWithSelf {
    #[run]
    async fn run(&mut self, ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}
}

#[workflow]
impl InitByValue {
    #[init]
    fn init(order: Order) -> Self {}

    #[run]
    async fn run(ctx: &WorkflowContext<Self>, order: Order) -> WorkflowResult<()> {}
}

#[workflow]
impl InitAsync {
    #[init]
    async fn init(order: &Order) -> Self {}

    #[run]
    async fn run(ctx: &WorkflowContext<Self>, order: Order) -> WorkflowResult<()> {}
}

#[workflow]
impl<T> Generic<T> {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}
}

#[workflow]
impl Trait for OfATrait {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}
}

fn main() {}
