//! `#[activities]` on the `impl` block of a struct: its methods are activities.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{ImplItem, ImplItemFn, ItemImpl};

use crate::activity::{BlockOptions, Form, Options};

pub(crate) fn expand(block_options: &BlockOptions, mut block: ItemImpl) -> syn::Result<TokenStream> {
    let mut items = Vec::new();
    let mut names = Vec::new();
    for item in std::mem::take(&mut block.items) {
        match item {
            ImplItem::Fn(mut method) => match Options::take(&mut method.attrs)? {
                Some(options) => {
                    names.push(method.sig.ident.clone());
                    items.extend(define(&options, block_options, method)?);
                }
                None => items.push(ImplItem::Fn(method)),
            },
            other => items.push(other),
        }
    }
    if names.is_empty() {
        return Err(syn::Error::new_spanned(
            &block.self_ty,
            "no method here is marked with #[activity]: write `#[activity(start_to_close = \"30s\")]` above each that is one",
        ));
    }
    block.items = items;
    let (generics, _, conditions) = block.generics.split_for_impl();
    let owner = &block.self_ty;
    Ok(quote! {
        #block

        impl #generics ::tidewright::Activities for #owner #conditions {
            fn register(set: &mut ::tidewright::ActivitySet<Self>) {
                #(set.add(Self::#names);)*
            }
        }
    })
}

/// The constant that stands for the method, and the method under another name.
fn define(options: &Options, block: &BlockOptions, mut method: ImplItemFn) -> syn::Result<[ImplItem; 2]> {
    let form = Form::of(&method.sig)?;
    let ident = method.sig.ident.clone();
    let body = format_ident!("__activity_{}", ident.to_string().trim_start_matches("r#"), span = ident.span());
    let activity_type = options.activity_type(&method.sig);
    let visibility = std::mem::replace(&mut method.vis, syn::Visibility::Inherited);
    let (attributes, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut method.attrs).into_iter().partition(|a| a.path().is_ident("doc"));
    method.attrs = rest;
    method.sig.ident = body.clone();
    let (input_type, output, passed) = (form.input_type(), &form.output, form.passed());
    let (timeout, setters) = (options.timeout(), options.setters(block));
    let definition = syn::parse_quote! {
        #(#attributes)*
        #[allow(non_upper_case_globals)]
        #visibility const #ident: ::tidewright::ActivityDef<
            Self,
            #input_type,
            <#output as ::tidewright::ActivityReturn>::Output,
            #timeout,
        > = ::tidewright::ActivityDef::new(#activity_type, |__activities: &Self, __ctx, __input: #input_type| {
            ::std::boxed::Box::pin(async move {
                ::tidewright::ActivityReturn::into_result(__activities.#body(#passed).await)
            })
        })
        #setters;
    };
    Ok([definition, ImplItem::Fn(method)])
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn problem(block: ItemImpl) -> String {
        expand(&BlockOptions::default(), block).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_activity_says_what_one_is() {
        let cases: [(ItemImpl, &str); 7] = [
            (parse_quote!(impl A { fn a(&self) {} }), "no method here is marked"),
            (parse_quote!(impl A { #[activity] fn a(&self) -> R {} }), "`async fn`"),
            (parse_quote!(impl A { #[activity] async fn a(input: I) -> R {} }), "`&self`"),
            (parse_quote!(impl A { #[activity] async fn a(&mut self) -> R {} }), "`&self`"),
            (parse_quote!(impl A { #[activity] async fn a(&self) {} }), "ActivityResult"),
            (parse_quote!(impl A { #[activity(start_to_close = "30")] async fn a(&self) -> R {} }), "no duration"),
            (parse_quote!(impl A { #[activity(timeout = "30s")] async fn a(&self) -> R {} }), "unknown option"),
        ];
        for (block, expected) in cases {
            let problem = problem(block);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
