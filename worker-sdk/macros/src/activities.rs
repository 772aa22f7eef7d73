//! `#[activities]` and, inside it, `#[activity]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, ReturnType, Type};

use crate::duration;
use crate::name::camel_case;

/// What stands in `#[activity(…)]`.
#[derive(Default)]
struct Options {
    name: Option<String>,
    start_to_close_ms: Option<u64>,
    schedule_to_close_ms: Option<u64>,
    schedule_to_start_ms: Option<u64>,
}

impl Options {
    fn read(attribute: &Attribute) -> syn::Result<Self> {
        let mut options = Self::default();
        if matches!(attribute.meta, syn::Meta::Path(_)) {
            return Ok(options);
        }
        attribute.parse_nested_meta(|meta| {
            let text = |meta: &syn::meta::ParseNestedMeta<'_>| meta.value()?.parse::<LitStr>();
            if meta.path.is_ident("name") {
                options.name = Some(text(&meta)?.value());
            } else if meta.path.is_ident("start_to_close") {
                options.start_to_close_ms = Some(duration::parse_ms(&text(&meta)?)?);
            } else if meta.path.is_ident("schedule_to_close") {
                options.schedule_to_close_ms = Some(duration::parse_ms(&text(&meta)?)?);
            } else if meta.path.is_ident("schedule_to_start") {
                options.schedule_to_start_ms = Some(duration::parse_ms(&text(&meta)?)?);
            } else {
                let known = "`name`, `start_to_close`, `schedule_to_close` and `schedule_to_start`";
                return Err(meta.error(format!("unknown option; known are {known}")));
            }
            Ok(())
        })?;
        Ok(options)
    }

    fn has_timeout(&self) -> bool {
        self.start_to_close_ms.is_some() || self.schedule_to_close_ms.is_some()
    }
}

pub(crate) fn expand(mut block: ItemImpl) -> syn::Result<TokenStream> {
    if let Some((_, of_trait, _)) = &block.trait_ {
        return Err(syn::Error::new_spanned(of_trait, "activities are methods of a struct, not of a trait"));
    }
    let mut items = Vec::new();
    let mut names = Vec::new();
    for item in std::mem::take(&mut block.items) {
        match item {
            ImplItem::Fn(mut method) => match take_attribute(&mut method)? {
                Some(options) => {
                    names.push(method.sig.ident.clone());
                    items.extend(define(&options, method)?);
                }
                None => items.push(ImplItem::Fn(method)),
            },
            other => items.push(other),
        }
    }
    if names.is_empty() {
        return Err(syn::Error::new_spanned(&block.self_ty, "no method here is marked with #[activity]"));
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

/// Removes `#[activity]` from a method that has it.
fn take_attribute(method: &mut ImplItemFn) -> syn::Result<Option<Options>> {
    let Some(index) = method.attrs.iter().position(|a| a.path().is_ident("activity")) else { return Ok(None) };
    Options::read(&method.attrs.remove(index)).map(Some)
}

/// What a method takes besides `&self`.
struct Arguments {
    context: bool,
    input: Option<Type>,
}

fn arguments(method: &ImplItemFn) -> syn::Result<Arguments> {
    let signature = &method.sig;
    let mut inputs = signature.inputs.iter();
    let by_reference = matches!(
        inputs.next(),
        Some(FnArg::Receiver(r)) if r.reference.is_some() && r.mutability.is_none() && r.colon_token.is_none()
    );
    let types: Vec<&Type> = inputs
        .filter_map(|argument| match argument {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let problem = if signature.asyncness.is_none() {
        "an activity is an `async fn`"
    } else if !signature.generics.params.is_empty() {
        "an activity cannot be generic: its input and output must be known to other services"
    } else if !by_reference {
        "an activity takes `&self`, which holds what it needs"
    } else {
        match types.as_slice() {
            [] => return Ok(Arguments { context: false, input: None }),
            [Type::Reference(_)] => return Ok(Arguments { context: true, input: None }),
            [input] => return Ok(Arguments { context: false, input: Some((*input).clone()) }),
            [Type::Reference(_), input] => return Ok(Arguments { context: true, input: Some((*input).clone()) }),
            _ => "an activity takes `ctx: &ActivityContext` and at most one input; put several values into a struct",
        }
    };
    Err(syn::Error::new_spanned(signature, problem))
}

/// The constant that stands for the method, and the method under another name.
fn define(options: &Options, mut method: ImplItemFn) -> syn::Result<[ImplItem; 2]> {
    let arguments = arguments(&method)?;
    let ReturnType::Type(_, output) = method.sig.output.clone() else {
        let problem = "an activity returns a result, for instance `ActivityResult<()>`";
        return Err(syn::Error::new_spanned(&method.sig, problem));
    };
    let ident = method.sig.ident.clone();
    let body = format_ident!("__activity_{}", ident.to_string().trim_start_matches("r#"), span = ident.span());
    let activity_type = options.name.clone().unwrap_or_else(|| camel_case(&ident.to_string()));
    let visibility = std::mem::replace(&mut method.vis, syn::Visibility::Inherited);
    let (attributes, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut method.attrs).into_iter().partition(|a| a.path().is_ident("doc"));
    method.attrs = rest;
    method.sig.ident = body.clone();
    let input_type = arguments.input.clone().unwrap_or_else(|| syn::parse_quote!(()));
    let context = arguments.context.then(|| quote!(__ctx,));
    let input = arguments.input.is_some().then(|| quote!(__input));
    let timeout = if options.has_timeout() { quote!(WithTimeout) } else { quote!(MissingTimeout) };
    let timeouts = [
        ("start_to_close", options.start_to_close_ms),
        ("schedule_to_close", options.schedule_to_close_ms),
        ("schedule_to_start", options.schedule_to_start_ms),
    ];
    let timeouts = timeouts.iter().filter_map(|(name, ms)| {
        let (name, ms) = (format_ident!("{name}"), (*ms)?);
        Some(quote!(.#name(::std::time::Duration::from_millis(#ms))))
    });
    let definition = syn::parse_quote! {
        #(#attributes)*
        #[allow(non_upper_case_globals)]
        #visibility const #ident: ::tidewright::ActivityDef<
            Self,
            #input_type,
            <#output as ::tidewright::ActivityReturn>::Output,
            ::tidewright::#timeout,
        > = ::tidewright::ActivityDef::new(#activity_type, |__activities: &Self, __ctx, __input: #input_type| {
            ::std::boxed::Box::pin(async move {
                ::tidewright::ActivityReturn::into_result(__activities.#body(#context #input).await)
            })
        })
        #(#timeouts)*;
    };
    Ok([definition, ImplItem::Fn(method)])
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn problem(block: ItemImpl) -> String {
        expand(block).unwrap_err().to_string()
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
