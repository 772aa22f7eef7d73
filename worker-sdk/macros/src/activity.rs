//! One activity: what stands in `#[activity(…)]`, and the form of its method.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, FnArg, LitStr, ReturnType, Signature, Type};

use crate::duration;
use crate::name::camel_case;

/// What stands in `#[activities(…)]`.
#[derive(Default)]
pub(crate) struct BlockOptions {
    task_queue: Option<String>,
}

impl BlockOptions {
    /// Reads one option of the block.
    pub(crate) fn read(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> syn::Result<()> {
        if !meta.path.is_ident("task_queue") {
            return Err(meta.error("unknown option; known is `task_queue`"));
        }
        self.task_queue = Some(meta.value()?.parse::<LitStr>()?.value());
        Ok(())
    }
}

/// What stands in `#[activity(…)]`.
#[derive(Default)]
pub(crate) struct Options {
    name: Option<String>,
    start_to_close_ms: Option<u64>,
    schedule_to_close_ms: Option<u64>,
    schedule_to_start_ms: Option<u64>,
    heartbeat_timeout_ms: Option<u64>,
}

impl Options {
    fn read(attribute: &Attribute) -> syn::Result<Self> {
        let mut options = Self::default();
        if matches!(attribute.meta, syn::Meta::Path(_)) {
            return Ok(options);
        }
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse::<LitStr>()?.value());
                return Ok(());
            }
            let durations = [
                ("start_to_close", &mut options.start_to_close_ms),
                ("schedule_to_close", &mut options.schedule_to_close_ms),
                ("schedule_to_start", &mut options.schedule_to_start_ms),
                ("heartbeat_timeout", &mut options.heartbeat_timeout_ms),
            ];
            let Some((_, slot)) = durations.into_iter().find(|(name, _)| meta.path.is_ident(name)) else {
                let known =
                    "`name`, `start_to_close`, `schedule_to_close`, `schedule_to_start` and `heartbeat_timeout`";
                return Err(meta.error(format!("unknown option; known are {known}")));
            };
            *slot = Some(duration::parse_ms(&meta.value()?.parse::<LitStr>()?)?);
            Ok(())
        })?;
        Ok(options)
    }

    /// Removes `#[activity]` from the attributes of a method that has it.
    pub(crate) fn take(attributes: &mut Vec<Attribute>) -> syn::Result<Option<Self>> {
        let Some(index) = attributes.iter().position(|a| a.path().is_ident("activity")) else { return Ok(None) };
        Self::read(&attributes.remove(index)).map(Some)
    }

    /// The marker of an activity that has, or has not, a default timeout.
    pub(crate) fn timeout(&self) -> TokenStream {
        if self.start_to_close_ms.is_some() || self.schedule_to_close_ms.is_some() {
            quote!(::tidewright::WithTimeout)
        } else {
            quote!(::tidewright::MissingTimeout)
        }
    }

    /// The calls that set the options of a definition.
    pub(crate) fn setters(&self, block: &BlockOptions) -> TokenStream {
        let durations = [
            ("start_to_close", self.start_to_close_ms),
            ("schedule_to_close", self.schedule_to_close_ms),
            ("schedule_to_start", self.schedule_to_start_ms),
            ("heartbeat_timeout", self.heartbeat_timeout_ms),
        ];
        let durations = durations.iter().filter_map(|(name, ms)| {
            let (name, ms) = (format_ident!("{name}"), (*ms)?);
            Some(quote!(.#name(::std::time::Duration::from_millis(#ms))))
        });
        let task_queue = block.task_queue.as_ref().map(|task_queue| quote!(.task_queue(#task_queue)));
        quote!(#task_queue #(#durations)*)
    }

    /// The activity's type on the wire.
    pub(crate) fn activity_type(&self, signature: &Signature) -> String {
        self.name.clone().unwrap_or_else(|| camel_case(&signature.ident.to_string()))
    }
}

/// What the method of an activity takes besides `&self`, and what it gives.
pub(crate) struct Form {
    context: bool,
    input: Option<Type>,
    pub(crate) output: Type,
}

impl Form {
    pub(crate) fn of(signature: &Signature) -> syn::Result<Self> {
        let (context, input) = arguments(signature)?;
        let ReturnType::Type(_, output) = &signature.output else {
            let problem = "an activity returns a result, for instance `ActivityResult<()>`";
            return Err(syn::Error::new_spanned(signature, problem));
        };
        Ok(Self { context, input, output: (**output).clone() })
    }

    /// The type of the input; `()` if it takes none.
    pub(crate) fn input_type(&self) -> Type {
        self.input.clone().unwrap_or_else(|| syn::parse_quote!(()))
    }

    /// What is passed on after `&self`, of `__ctx` and `__input`.
    pub(crate) fn passed(&self) -> TokenStream {
        let context = self.context.then(|| quote!(__ctx,));
        let input = self.input.is_some().then(|| quote!(__input));
        quote!(#context #input)
    }
}

fn arguments(signature: &Signature) -> syn::Result<(bool, Option<Type>)> {
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
        "an activity is an `async fn`: write `async fn name(&self, ctx: &ActivityContext, input: Input) -> \
         ActivityResult<Output>`"
    } else if !signature.generics.params.is_empty() {
        "an activity cannot be generic, since its input and output must be known to other services: name the types"
    } else if !by_reference {
        "an activity takes `&self`, which holds what it needs: attempts share it, so what changes in it is behind a lock"
    } else {
        match types.as_slice() {
            [] => return Ok((false, None)),
            [Type::Reference(_)] => return Ok((true, None)),
            [input] => return Ok((false, Some((*input).clone()))),
            [Type::Reference(_), input] => return Ok((true, Some((*input).clone()))),
            _ => "an activity takes `ctx: &ActivityContext` and at most one input; put several values into a struct",
        }
    };
    Err(syn::Error::new_spanned(signature, problem))
}
