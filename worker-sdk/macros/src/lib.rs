//! The attributes `#[workflow]`, `#[activities]` and `#[activity]`.
//!
//! They are thin: each turns a function or method into a constant of a public type of the SDK, which names it and
//! keeps its input and output types, and moves the body behind it unchanged. Everything they write can be written by
//! hand; the SDK's documentation shows how. Use them through the `tidewright` crate, which their output refers to.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod activities;
mod activity;
mod contract;
mod duration;
mod name;
mod stateful;
mod workflow;

/// Turns a function, or the methods of a struct, into a workflow definition.
///
/// `async fn name(ctx: &WorkflowContext, input: In) -> Result<Out, E>` becomes a constant `name: WorkflowDef<In, Out>`. The
/// workflow's type is the function's name in camel case (`order_workflow` becomes `OrderWorkflow`), or what
/// `#[workflow(name = "…")]` says.
///
/// An `impl` block is a workflow with state, named as the struct. Its methods may be marked:
///
/// - `#[run]`, exactly one: `async fn run(ctx: &WorkflowContext<Self>, input: In) -> Result<Out, E>`, which becomes an
///   associated constant `run: WorkflowDef<In, Out, Self>`;
/// - `#[init]`, at most one: `fn init(input: &In) -> Self` makes the state; without it the state is `Self::default()`;
/// - `#[signal]`: `fn name(&mut self, input: T)` becomes an associated constant `name: SignalDef<T, Self>`;
/// - `#[query]`: `fn name(&self, input: T) -> R` becomes an associated constant `name: QueryDef<T, R, Self>`; a query that
///   may refuse returns a type whose name ends in `Result`.
///
/// Inputs may be left out. `#[signal(name = "…")]` and `#[query(name = "…")]` give other names than the method's. Methods
/// that are marked as signals and queries can still be called as methods, within the module. Other items stay as they are.
#[proc_macro_attribute]
pub fn workflow(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attribute as workflow::Options);
    let expanded = match parse_macro_input!(item as syn::Item) {
        syn::Item::Fn(function) => workflow::expand(&options, function),
        syn::Item::Impl(block) => stateful::expand(&options, block),
        other => Err(syn::Error::new_spanned(
            other,
            "a workflow is an `async fn`, or an `impl` block with methods marked with #[run], #[signal] and #[query]",
        )),
    };
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Turns the `#[activity]` methods of an `impl` block, or of a trait, into activity definitions.
///
/// On a struct's own `impl` block each `async fn name(&self, ctx: &ActivityContext, input: In) -> Result<Out, E>` becomes
/// an associated constant `name: ActivityDef<Self, In, Out>`; the context and the input may be left out. The activity's
/// type is the method's name in camel case, or what `#[activity(name = "…")]` says. `#[activity(start_to_close = "30s")]`
/// and `schedule_to_close`, `schedule_to_start`, `heartbeat_timeout` set default timeouts. Methods without `#[activity]`
/// stay as they are.
///
/// A trait is a contract: what another team's workers do, without their code. It stays a trait, for them to implement, and
/// gets a constant of its name, whose fields are the activities: `ctx.activity(Payments.charge, input)`.
/// `#[activities(task_queue = "payments")]` says where its workers listen. On an `impl` block of such a trait the
/// attribute makes the struct one that a worker takes.
#[proc_macro_attribute]
pub fn activities(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut options = activity::BlockOptions::default();
    let parser = syn::meta::parser(|meta| options.read(&meta));
    parse_macro_input!(attribute with parser);
    let expanded = match parse_macro_input!(item as syn::Item) {
        syn::Item::Impl(block) if block.trait_.is_some() => contract::implement(&block),
        syn::Item::Impl(block) => activities::expand(&options, block),
        syn::Item::Trait(contract) => contract::expand(&options, contract),
        other => Err(syn::Error::new_spanned(
            other,
            "activities are methods of a struct's `impl` block, or of a trait that others implement",
        )),
    };
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
