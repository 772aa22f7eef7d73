//! `#[activities]` on a trait, the contract of activities that somebody else implements, and on an `impl` block of one.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Ident, ItemImpl, ItemTrait, TraitItem, TraitItemFn, Type};

use crate::activity::{BlockOptions, Form, Options};

/// A method of the contract.
struct Promise {
    ident: Ident,
    docs: Vec<Attribute>,
    input_type: Type,
    output: Type,
    passed: TokenStream,
    timeout: TokenStream,
    contract: TokenStream,
}

/// The trait, with futures that can be sent; a constant of the trait's name with a field for each activity.
pub(crate) fn expand(block: &BlockOptions, mut contract: ItemTrait) -> syn::Result<TokenStream> {
    if !contract.generics.params.is_empty() {
        let problem = "a contract cannot be generic, since its inputs and outputs must be known to other services: name the types";
        return Err(syn::Error::new_spanned(&contract.generics, problem));
    }
    let mut promises = Vec::new();
    for item in &mut contract.items {
        if let TraitItem::Fn(method) = item
            && let Some(options) = Options::take(&mut method.attrs)?
        {
            promises.push(promise(&options, block, method)?);
        }
    }
    if promises.is_empty() {
        return Err(syn::Error::new_spanned(
            &contract.ident,
            "no method here is marked with #[activity]: write `#[activity(start_to_close = \"30s\")]` above each that is one",
        ));
    }
    contract.supertraits.push(syn::parse_quote!(::std::marker::Send));
    contract.supertraits.push(syn::parse_quote!(::std::marker::Sync));
    contract.supertraits.push(syn::parse_quote!('static));
    let constant = constant(&contract, &promises);
    Ok(quote!(#contract #constant))
}

fn promise(options: &Options, block: &BlockOptions, method: &mut TraitItemFn) -> syn::Result<Promise> {
    if let Some(code) = &method.default {
        return Err(syn::Error::new_spanned(
            code,
            "a contract has no code: end the method with `;`, and write the code where a struct implements it",
        ));
    }
    let form = Form::of(&method.sig)?;
    let activity_type = options.activity_type(&method.sig);
    let (timeout, setters) = (options.timeout(), options.setters(block));
    let output = &form.output;
    method.sig.asyncness = None;
    method.sig.output = syn::parse_quote! {
        -> impl ::std::future::Future<Output = #output> + ::std::marker::Send
    };
    Ok(Promise {
        ident: method.sig.ident.clone(),
        docs: method.attrs.iter().filter(|a| a.path().is_ident("doc")).cloned().collect(),
        input_type: form.input_type(),
        passed: form.passed(),
        output: form.output,
        timeout,
        contract: quote!(::tidewright::ActivityContract::new(#activity_type) #setters),
    })
}

/// Values and types have names of their own, so `Payments` is both the trait and this constant.
fn constant(contract: &ItemTrait, promises: &[Promise]) -> TokenStream {
    let (ident, visibility) = (&contract.ident, &contract.vis);
    let fields = format_ident!("__{ident}Activities");
    let about = format!("The activities of the contract [`trait@{ident}`], for those who call them.");
    let declared = promises.iter().map(|Promise { ident, docs, input_type, output, timeout, .. }| {
        let output = quote!(<#output as ::tidewright::ActivityReturn>::Output);
        quote!(#(#docs)* pub #ident: ::tidewright::ActivityContract<#input_type, #output, #timeout>)
    });
    let values = promises.iter().map(|Promise { ident, contract, .. }| quote!(#ident: #contract));
    let registered = promises.iter().map(|promise| {
        let Promise { ident: method, input_type, passed, .. } = promise;
        quote! {
            set.add(::tidewright::ActivityDef::of(self.#method, |__activities: &A, __ctx, __input: #input_type| {
                ::std::boxed::Box::pin(async move {
                    ::tidewright::ActivityReturn::into_result(
                        <A as #ident>::#method(__activities, #passed).await
                    )
                })
            }));
        }
    });
    quote! {
        #[doc(hidden)]
        #[derive(Clone, Copy, Debug)]
        #[allow(non_camel_case_types)]
        #visibility struct #fields {
            #(#declared,)*
        }

        #[doc = #about]
        #[allow(non_upper_case_globals)]
        #visibility const #ident: #fields = #fields { #(#values,)* };

        impl #fields {
            /// Registers a struct that implements the contract.
            pub fn register<A: #ident + ::tidewright::Activities>(self, set: &mut ::tidewright::ActivitySet<A>) {
                #(#registered)*
            }
        }
    }
}

/// A struct that implements a contract: its activities are those of the contract.
pub(crate) fn implement(block: &ItemImpl) -> syn::Result<TokenStream> {
    let Some((_, contract, _)) = &block.trait_ else {
        return Err(syn::Error::new_spanned(block, "this implements no contract"));
    };
    if let Some(marked) = block.items.iter().find_map(marked) {
        let problem = "the contract's trait marks the activities and sets their options: remove this";
        return Err(syn::Error::new_spanned(marked, problem));
    }
    let (generics, _, conditions) = block.generics.split_for_impl();
    let owner = &block.self_ty;
    Ok(quote! {
        #block

        impl #generics ::tidewright::Activities for #owner #conditions {
            fn register(set: &mut ::tidewright::ActivitySet<Self>) {
                #contract.register(set);
            }
        }
    })
}

/// The attribute `#[activity]` of an item that has it.
fn marked(item: &syn::ImplItem) -> Option<&Attribute> {
    match item {
        syn::ImplItem::Fn(method) => method.attrs.iter().find(|a| a.path().is_ident("activity")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn what_is_no_contract_says_what_one_is() {
        let cases: [(ItemTrait, &str); 5] = [
            (
                parse_quote!(
                    trait A {
                        fn a(&self);
                    }
                ),
                "no method here is marked",
            ),
            (
                parse_quote!(
                    trait A<T> {
                        #[activity]
                        async fn a(&self) -> R;
                    }
                ),
                "generic",
            ),
            (
                parse_quote!(
                    trait A {
                        #[activity]
                        async fn a(&self) -> R {
                            todo()
                        }
                    }
                ),
                "no code",
            ),
            (
                parse_quote!(
                    trait A {
                        #[activity]
                        fn a(&self) -> R;
                    }
                ),
                "`async fn`",
            ),
            (
                parse_quote!(
                    trait A {
                        #[activity]
                        async fn a(&self);
                    }
                ),
                "ActivityResult",
            ),
        ];
        for (contract, expected) in cases {
            let problem = expand(&BlockOptions::default(), contract).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        let marked = implement(&parse_quote!(impl T for A { #[activity] async fn a(&self) -> R {} })).unwrap_err();
        assert!(marked.to_string().contains("trait marks"), "{marked}");
    }
}
