//! `#[signal]` and `#[query]`.

use tidewright_macros::workflow;

#[workflow]
impl SignalByShared {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[signal]
    fn approve(&self, by: String) {}
}

#[workflow]
impl SignalAsync {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[signal]
    async fn approve(&mut self, by: String) {}
}

#[workflow]
impl SignalWithResult {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[signal]
    fn approve(&mut self, by: String) -> bool {}
}

#[workflow]
impl SignalWithTwoInputs {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[signal]
    fn approve(&mut self, by: String, amount: u64) {}
}

#[workflow]
impl SignalWithoutName {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[signal(name = "")]
    fn approve(&mut self) {}
}

#[workflow]
impl QueryThatChanges {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[query]
    fn status(&mut self) -> String {}
}

#[workflow]
impl QueryAsync {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[query]
    async fn status(&self) -> String {}
}

#[workflow]
impl QueryWithoutAnswer {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[query]
    fn status(&self) {}
}

#[workflow]
impl QueryWithUnknownOption {
    #[run]
    async fn run(ctx: &WorkflowContext<Self>) -> WorkflowResult<()> {}

    #[query(nmae = "state")]
    fn status(&self) -> String {}
}

fn main() {}
