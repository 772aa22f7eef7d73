//! `#[workflow]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{FnArg, ItemFn, LitStr, ReturnType, Signature, Token, Type};

use crate::name::camel_case;

/// What stands in `#[workflow(…)]`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<String>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let key: syn::Ident = input.parse()?;
            if key != "name" {
                return Err(syn::Error::new(
                    key.span(),
                    format!("unknown option `{key}`; known is `name`, as in #[workflow(name = \"Order\")]"),
                ));
            }
            input.parse::<Token![=]>()?;
            options.name = Some(input.parse::<LitStr>()?.value());
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// What is wrong with a workflow that has type parameters.
pub(crate) const GENERIC: &str = "a workflow cannot be generic, since its type and input must be known to other services: \
                                  name the types that it takes";

pub(crate) fn expand(options: &Options, mut function: ItemFn) -> syn::Result<TokenStream> {
    let input = check(&function.sig)?;
    let workflow_type = options.name.clone().unwrap_or_else(|| camel_case(&function.sig.ident.to_string()));
    let output = output_of(&function.sig)?;
    let ident = function.sig.ident.clone();
    let visibility = std::mem::replace(&mut function.vis, syn::Visibility::Inherited);
    let (attributes, rest) = std::mem::take(&mut function.attrs)
        .into_iter()
        .partition(|a| ["doc", "cfg", "deprecated"].iter().any(|name| a.path().is_ident(name)));
    let attributes: Vec<syn::Attribute> = attributes;
    function.attrs = rest;
    let (input_type, call) = match input {
        Some(input_type) => (input_type, quote!(#ident(&__ctx, __input))),
        None => (syn::parse_quote!(()), quote!(#ident(&__ctx))),
    };
    Ok(quote! {
        #(#attributes)*
        #[allow(non_upper_case_globals)]
        #visibility const #ident: ::tidewright::WorkflowDef<
            #input_type,
            <#output as ::tidewright::WorkflowReturn>::Output,
        > = {
            #function
            ::tidewright::WorkflowDef::new(#workflow_type, |__ctx, __input: #input_type| {
                ::std::boxed::Box::pin(async move {
                    ::tidewright::WorkflowReturn::into_result(#call.await)
                })
            })
        };
    })
}

/// What the workflow's code returns.
pub(crate) fn output_of(signature: &Signature) -> syn::Result<Type> {
    match &signature.output {
        ReturnType::Type(_, output) => Ok((**output).clone()),
        ReturnType::Default => {
            let problem = "a workflow returns a result, for instance `WorkflowResult<()>`";
            Err(syn::Error::new_spanned(signature, problem))
        }
    }
}

/// Checks the form of a workflow's code; returns the type of its input, if it takes one.
pub(crate) fn check(signature: &Signature) -> syn::Result<Option<Type>> {
    let problem = if matches!(signature.inputs.first(), Some(FnArg::Receiver(_))) {
        "a workflow's code has no `self`: write `async fn run(ctx: &WorkflowContext<Self>, input: Input) -> \
         WorkflowResult<Output>` in an `impl` block with #[workflow], and reach the state by `ctx.state(…)` and \
         `ctx.state_mut(…)`"
    } else if signature.asyncness.is_none() {
        "a workflow is an `async fn`: write `async fn name(ctx: &WorkflowContext, input: Input) -> WorkflowResult<Output>`"
    } else if !signature.generics.params.is_empty() {
        GENERIC
    } else {
        let typed = |argument: &FnArg| match argument {
            FnArg::Typed(typed) => Some((*typed.ty).clone()),
            FnArg::Receiver(_) => None,
        };
        match signature.inputs.iter().map(typed).collect::<Option<Vec<_>>>().as_deref() {
            Some([Type::Reference(_)]) => return Ok(None),
            Some([Type::Reference(_), input]) => return Ok(Some(input.clone())),
            _ => "a workflow takes `ctx: &WorkflowContext` and at most one input; put several values into a struct",
        }
    };
    Err(syn::Error::new_spanned(signature, problem))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn problem(function: ItemFn) -> String {
        expand(&Options::default(), function).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_workflow_says_what_one_is() {
        assert!(
            problem(parse_quote!(
                fn w(ctx: &WorkflowContext) -> R {}
            ))
            .contains("`async fn`")
        );
        assert!(
            problem(parse_quote!(
                async fn w<T>(ctx: &WorkflowContext, t: T) -> R {}
            ))
            .contains("generic")
        );
        assert!(
            problem(parse_quote!(
                async fn w(order: Order) -> R {}
            ))
            .contains("ctx: &WorkflowContext")
        );
        assert!(
            problem(parse_quote!(
                async fn w(ctx: &C, a: A, b: B) -> R {}
            ))
            .contains("into a struct")
        );
        assert!(
            problem(parse_quote!(
                async fn w(ctx: &WorkflowContext) {}
            ))
            .contains("WorkflowResult")
        );
    }
}
