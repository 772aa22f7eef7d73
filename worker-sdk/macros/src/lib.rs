//! The attributes `#[workflow]`, `#[activities]` and `#[activity]`.
//!
//! They are thin: each turns a function or method into a constant of a public type of the SDK, which names it and
//! keeps its input and output types, and moves the body behind it unchanged. Everything they write can be written by
//! hand; the SDK's documentation shows how. Use them through the `tidewright` crate, which their output refers to.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod activities;
mod duration;
mod name;
mod workflow;

/// Turns `async fn name(ctx: &WorkflowContext, input: In) -> Result<Out, E>` into a workflow definition.
///
/// The function becomes a constant `name: WorkflowDef<In, Out>`. The workflow's type is the function's name in camel
/// case (`order_workflow` becomes `OrderWorkflow`), or what `#[workflow(name = "…")]` says.
#[proc_macro_attribute]
pub fn workflow(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(attribute as workflow::Options);
    let function = parse_macro_input!(item as syn::ItemFn);
    workflow::expand(&options, function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Turns the `#[activity]` methods of an `impl` block into activity definitions.
///
/// Each `async fn name(&self, ctx: &ActivityContext, input: In) -> Result<Out, E>` becomes an associated constant
/// `name: ActivityDef<Self, In, Out>`; the context and the input may be left out. The activity's type is the method's
/// name in camel case, or what `#[activity(name = "…")]` says. `#[activity(start_to_close = "30s")]` and
/// `schedule_to_close`, `schedule_to_start` set default timeouts. Methods without `#[activity]` stay as they are.
#[proc_macro_attribute]
pub fn activities(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let _nothing = parse_macro_input!(attribute as syn::parse::Nothing);
    let block = parse_macro_input!(item as syn::ItemImpl);
    activities::expand(block).unwrap_or_else(syn::Error::into_compile_error).into()
}
