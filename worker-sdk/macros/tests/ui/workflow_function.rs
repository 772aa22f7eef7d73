//! `#[workflow]` on a function.

use tidewright_macros::workflow;

#[workflow]
fn not_async(ctx: &WorkflowContext, order: Order) -> WorkflowResult<Receipt> {}

#[workflow]
async fn generic<T>(ctx: &WorkflowContext, input: T) -> WorkflowResult<T> {}

#[workflow]
async fn without_context(order: Order) -> WorkflowResult<Receipt> {}

#[workflow]
async fn several_inputs(ctx: &WorkflowContext, order: Order, customer: Customer) -> WorkflowResult<Receipt> {}

#[workflow]
async fn without_result(ctx: &WorkflowContext, order: Order) {}

#[workflow(nmae = "Order")]
async fn unknown_option(ctx: &WorkflowContext) -> WorkflowResult<()> {}

#[workflow]
struct NotAFunction;

fn main() {}
