//! `#[workflow]` on an `impl` block: a workflow that has state.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, ReturnType, Signature, Type, Visibility};

use crate::workflow::{GENERIC, Options, check, output_of};

/// What a method is marked as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Run,
    Init,
    Signal,
    Query,
}

impl Mark {
    fn of(attribute: &Attribute) -> Option<Self> {
        let marks = [("run", Self::Run), ("init", Self::Init), ("signal", Self::Signal), ("query", Self::Query)];
        marks.into_iter().find(|(name, _)| attribute.path().is_ident(name)).map(|(_, mark)| mark)
    }
}

/// A signal or a query: a constant, a method, and how one is registered for the other.
struct Handler {
    definition: ImplItem,
    method: ImplItemFn,
    registration: TokenStream,
}

/// The parts of the block.
struct Parts {
    run: Option<ImplItemFn>,
    init: Option<ImplItemFn>,
    handlers: Vec<Handler>,
    others: Vec<ImplItem>,
}

pub(crate) fn expand(options: &Options, mut block: ItemImpl) -> syn::Result<TokenStream> {
    if let Some((_, of_trait, _)) = &block.trait_ {
        return Err(syn::Error::new_spanned(
            of_trait,
            "a workflow with state is a struct's own `impl` block: write `impl Name { … }`, not that of a trait",
        ));
    }
    if !block.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(&block.generics, GENERIC));
    }
    let owner = (*block.self_ty).clone();
    let ident = owner_ident(&owner)?;
    let parts = take_apart(std::mem::take(&mut block.items))?;
    let Some(run) = parts.run else {
        return Err(syn::Error::new_spanned(
            &block.self_ty,
            "no method here is marked with #[run], the workflow's code: write `#[run] async fn run(ctx: \
             &WorkflowContext<Self>, input: Input) -> WorkflowResult<Output>`",
        ));
    };
    let input = check(&run.sig)?.unwrap_or_else(|| syn::parse_quote!(()));
    let workflow_type = options.name.clone().unwrap_or_else(|| ident.to_string());
    let init = match &parts.init {
        Some(init) => init_call(init)?,
        None => quote!(<Self as ::std::default::Default>::default()),
    };
    block.items = parts.others;
    block.items.extend(parts.init.map(ImplItem::Fn));
    block.items.extend(run_items(run, &workflow_type)?);
    let registrations: Vec<_> = parts.handlers.iter().map(|handler| handler.registration.clone()).collect();
    let (definitions, methods): (Vec<_>, Vec<_>) =
        parts.handlers.into_iter().map(|handler| (handler.definition, handler.method)).unzip();
    block.items.extend(definitions);
    let methods = methods_trait(&ident, &owner, &methods);
    Ok(quote! {
        #block
        #methods

        impl ::tidewright::WorkflowState for #owner {
            type Input = #input;

            fn init(__input: &Self::Input) -> Self {
                #init
            }

            fn handlers(__handlers: &mut ::tidewright::HandlerSet<Self>) {
                #(#registrations)*
                __handlers.view(|__state| {
                    #[allow(unused_imports)]
                    use ::tidewright::__macros::{Hidden as _, ShownByDebug as _, ShownBySerialize as _};
                    (&&&::tidewright::__macros::Shown(__state)).show()
                });
            }
        }
    })
}

/// The name of the struct, for the workflow's type.
fn owner_ident(owner: &Type) -> syn::Result<Ident> {
    let last = match owner {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    last.map(|segment| segment.ident.clone())
        .ok_or_else(|| syn::Error::new_spanned(owner, "a workflow with state is an `impl` block of a struct"))
}

fn take_apart(items: Vec<ImplItem>) -> syn::Result<Parts> {
    let mut parts = Parts { run: None, init: None, handlers: Vec::new(), others: Vec::new() };
    for item in items {
        let ImplItem::Fn(mut method) = item else {
            parts.others.push(item);
            continue;
        };
        let Some(index) = method.attrs.iter().position(|attribute| Mark::of(attribute).is_some()) else {
            parts.others.push(ImplItem::Fn(method));
            continue;
        };
        let attribute = method.attrs.remove(index);
        let once = |slot: &Option<ImplItemFn>, name: &str| match slot {
            Some(_) => {
                let problem = format!("only one method may be marked with #[{name}]: remove the mark from this one");
                Err(syn::Error::new_spanned(&attribute, problem))
            }
            None => Ok(()),
        };
        match Mark::of(&attribute) {
            Some(Mark::Run) => {
                once(&parts.run, "run")?;
                parts.run = Some(method);
            }
            Some(Mark::Init) => {
                once(&parts.init, "init")?;
                parts.init = Some(method);
            }
            Some(Mark::Signal) => parts.handlers.push(signal(&attribute, method)?),
            Some(Mark::Query) => parts.handlers.push(query(&attribute, method)?),
            None => parts.others.push(ImplItem::Fn(method)),
        }
    }
    Ok(parts)
}

/// The constant that stands for the workflow, and its code under another name.
fn run_items(mut run: ImplItemFn, workflow_type: &str) -> syn::Result<[ImplItem; 2]> {
    let output = output_of(&run.sig)?;
    let (input_type, input) = match check(&run.sig)? {
        Some(input_type) => (input_type, Some(quote!(__input))),
        None => (syn::parse_quote!(()), None),
    };
    let ident = run.sig.ident.clone();
    let body = hidden(&ident);
    let visibility = std::mem::replace(&mut run.vis, Visibility::Inherited);
    let docs = take_docs(&mut run);
    run.sig.ident = body.clone();
    let definition = syn::parse_quote! {
        #(#docs)*
        #[allow(non_upper_case_globals)]
        #visibility const #ident: ::tidewright::WorkflowDef<
            #input_type,
            <#output as ::tidewright::WorkflowReturn>::Output,
            Self,
        > = ::tidewright::WorkflowDef::with_state(#workflow_type, |__ctx, __input: #input_type| {
            ::std::boxed::Box::pin(async move {
                ::tidewright::WorkflowReturn::into_result(Self::#body(&__ctx, #input).await)
            })
        });
    };
    Ok([definition, ImplItem::Fn(run)])
}

fn init_call(init: &ImplItemFn) -> syn::Result<TokenStream> {
    let (signature, ident) = (&init.sig, &init.sig.ident);
    let is_plain = signature.asyncness.is_none() && signature.generics.params.is_empty();
    let arguments: Vec<_> = signature.inputs.iter().collect();
    match arguments.as_slice() {
        [FnArg::Typed(input)] if is_plain && matches!(*input.ty, Type::Reference(_)) => {
            Ok(quote!(Self::#ident(__input)))
        }
        [] if is_plain => Ok(quote!(Self::#ident())),
        _ => Err(syn::Error::new_spanned(
            signature,
            "an #[init] is `fn init(input: &Input) -> Self`: it makes the state of the input alone, and does not wait",
        )),
    }
}

fn signal(attribute: &Attribute, mut method: ImplItemFn) -> syn::Result<Handler> {
    let name = name_of(attribute, &method.sig.ident)?;
    let takes_self = is_receiver(&method.sig, true);
    let input = match (plain(&method.sig) && takes_self, &method.sig.output, input_of(&method.sig)) {
        (true, ReturnType::Default, Some(input)) => input,
        _ => {
            let problem = "a signal is `fn name(&mut self, input: T)`, returns nothing and does not wait; what takes time is \
                           done by the method marked with #[run]";
            return Err(syn::Error::new_spanned(&method.sig, problem));
        }
    };
    let (ident, docs) = (method.sig.ident.clone(), take_docs(&mut method));
    let visibility = std::mem::replace(&mut method.vis, Visibility::Inherited);
    let (input_type, argument) = input;
    let definition = syn::parse_quote! {
        #(#docs)*
        #[allow(non_upper_case_globals)]
        #visibility const #ident: ::tidewright::SignalDef<#input_type, Self> = ::tidewright::SignalDef::new(#name);
    };
    let registration = quote! {
        __handlers.signal(Self::#ident, |__state, __input: #input_type| __state.#ident(#argument));
    };
    Ok(Handler { definition, method, registration })
}

fn query(attribute: &Attribute, mut method: ImplItemFn) -> syn::Result<Handler> {
    let name = name_of(attribute, &method.sig.ident)?;
    let takes_self = is_receiver(&method.sig, false);
    let (output, input) = match (plain(&method.sig) && takes_self, &method.sig.output, input_of(&method.sig)) {
        (true, ReturnType::Type(_, output), Some(input)) => ((**output).clone(), input),
        _ => {
            let problem = "a query is `fn name(&self, input: T) -> R`; it reads, returns something and does not wait";
            return Err(syn::Error::new_spanned(&method.sig, problem));
        }
    };
    let (ident, docs) = (method.sig.ident.clone(), take_docs(&mut method));
    let visibility = std::mem::replace(&mut method.vis, Visibility::Inherited);
    let (input_type, argument) = input;
    let (answer, registration) = if is_result(&output) {
        (
            quote!(<#output as ::tidewright::WorkflowReturn>::Output),
            quote! {
                __handlers.try_query(Self::#ident, |__state, __input: #input_type| {
                    ::tidewright::WorkflowReturn::into_result(__state.#ident(#argument))
                });
            },
        )
    } else {
        (
            quote!(#output),
            quote!(__handlers.query(Self::#ident, |__state, __input: #input_type| __state.#ident(#argument));),
        )
    };
    let definition = syn::parse_quote! {
        #(#docs)*
        #[allow(non_upper_case_globals)]
        #visibility const #ident: ::tidewright::QueryDef<#input_type, #answer, Self> = ::tidewright::QueryDef::new(#name);
    };
    Ok(Handler { definition, method, registration })
}

/// The handlers as methods of a trait: the constants have taken their names among the struct's own items.
fn methods_trait(ident: &Ident, owner: &Type, methods: &[ImplItemFn]) -> Option<TokenStream> {
    let name = format_ident!("__{ident}Handlers");
    let signatures = methods.iter().map(|method| {
        let mut signature = method.sig.clone();
        // A pattern such as `mut input` is the body's matter.
        for (number, argument) in signature.inputs.iter_mut().enumerate() {
            if let FnArg::Typed(typed) = argument {
                let argument = format_ident!("__input{number}");
                *typed.pat = syn::parse_quote!(#argument);
            }
        }
        signature
    });
    (!methods.is_empty()).then(|| {
        quote! {
            #[allow(dead_code, non_camel_case_types, reason = "only handles call them; the name is that of the workflow")]
            trait #name {
                #(#signatures;)*
            }

            impl #name for #owner {
                #(#methods)*
            }
        }
    })
}

fn hidden(ident: &Ident) -> Ident {
    format_ident!("__workflow_{}", ident.to_string().trim_start_matches("r#"), span = ident.span())
}

fn take_docs(method: &mut ImplItemFn) -> Vec<Attribute> {
    let (docs, rest) = std::mem::take(&mut method.attrs).into_iter().partition(|a| a.path().is_ident("doc"));
    method.attrs = rest;
    docs
}

fn plain(signature: &Signature) -> bool {
    signature.asyncness.is_none() && signature.generics.params.is_empty()
}

/// Whether it takes `&self`, or `&mut self`.
fn is_receiver(signature: &Signature, mutable: bool) -> bool {
    matches!(
        signature.inputs.first(),
        Some(FnArg::Receiver(r)) if r.reference.is_some() && r.mutability.is_some() == mutable && r.colon_token.is_none()
    )
}

/// The input's type and how it is passed on; none if there are several.
fn input_of(signature: &Signature) -> Option<(Type, Option<TokenStream>)> {
    let mut inputs = signature.inputs.iter().skip(1);
    match (inputs.next(), inputs.next()) {
        (None, _) => Some((syn::parse_quote!(()), None)),
        (Some(FnArg::Typed(input)), None) => Some(((*input.ty).clone(), Some(quote!(__input)))),
        _ => None,
    }
}

/// Whether a type says by its name that it is a result.
fn is_result(output: &Type) -> bool {
    match output {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result")),
        _ => false,
    }
}

/// The name on the wire: the method's, or what the attribute says.
fn name_of(attribute: &Attribute, ident: &Ident) -> syn::Result<String> {
    let mut name = ident.to_string().trim_start_matches("r#").to_owned();
    if !matches!(attribute.meta, syn::Meta::Path(_)) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("unknown option; known is `name`, as in #[signal(name = \"approve\")]"));
            }
            name = meta.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    if name.is_empty() || name.starts_with("__") {
        return Err(syn::Error::new_spanned(
            attribute,
            "a name is not empty and does not begin with `__`, which is kept for the engine: choose another",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn what_is_no_workflow_with_state_says_what_one_is() {
        let run = quote!(
            #[run]
            async fn run(ctx: &WorkflowContext<Self>) -> R {}
        );
        let cases: [(ItemImpl, &str); 10] = [
            (parse_quote!(impl A { fn a(&self) {} }), "#[run]"),
            (parse_quote!(impl T for A { #run }), "not that of a trait"),
            (parse_quote!(impl<X> A<X> { #run }), "generic"),
            (parse_quote!(impl A { #run #run }), "only one method"),
            (parse_quote!(impl A { #[run] fn run(ctx: &C) -> R {} }), "`async fn`"),
            (parse_quote!(impl A { #run #[init] fn init(input: I) -> Self {} }), "fn init(input: &Input)"),
            (parse_quote!(impl A { #run #[signal] fn s(&self, a: T) {} }), "&mut self"),
            (parse_quote!(impl A { #run #[signal] async fn s(&mut self, a: T) {} }), "does not wait"),
            (parse_quote!(impl A { #run #[query] fn q(&mut self) -> R {} }), "&self"),
            (parse_quote!(impl A { #run #[query(nmae = "x")] fn q(&self) -> R {} }), "unknown option"),
        ];
        for (block, expected) in cases {
            let problem = expand(&Options::default(), block).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
