//! The code that a traced function becomes.
//!
//! Names of variables are hygienic (`mixed_site`): none of them is seen by the
//! user's code, or hides what it sees. Names of items cannot be, and are odd.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{LitStr, Result, ReturnType, Type};

use crate::args;
use crate::function::Function;
use crate::options::{Options, Parent};
use crate::outcome::{self, Recording, Target};
use crate::shape::{Shape, nameable};
use crate::variable::variable;

/// The function with its span.
pub(crate) fn expand(options: &Options, function: &Function) -> Result<TokenStream> {
    let shape = Shape::of(&function.signature, options.returns)?;
    let begin = begin(options, function)?;
    let recording = outcome::recording(options, shape, &function.signature)?;
    let body = match shape {
        Shape::Call => call(options, function, recording),
        Shape::Async => future(options, function, recording),
        Shape::Future { boxed } => returned(options, function, recording, boxed),
        Shape::Stream { boxed } => returned(options, function, None, boxed),
    };
    Ok(function.with_body(quote!(#begin #body)))
}

/// `let mut span = ..;`, with the arguments and fields. They are read in a
/// closure that is only called for a span that is recorded.
fn begin(options: &Options, function: &Function) -> Result<TokenStream> {
    let root = &options.root_path;
    let span = variable("span");
    let name = options.name.clone().unwrap_or_else(|| {
        let name = &function.signature.ident;
        LitStr::new(&name.unraw().to_string(), name.span())
    });
    let kind = options.kind.as_ref().map(|kind| quote!(.with_kind(#root::SpanKind::#kind)));
    let mut records = TokenStream::new();
    for arg in args::recorded(&function.signature, &options.skip, &options.fields)? {
        let conditions = &arg.conditions;
        let at = arg.variable.span();
        let record = arg.by.statement(root, &span, &arg.key(), &arg.variable, at);
        // A block, as attributes may stand before one.
        records.extend(quote!(#(#conditions)* { #record }));
    }
    for field in &options.fields {
        records.extend(field.by.statement(root, &span, &field.key, &field.value, field.span));
    }
    let fill = quote!(|#span| { let _ = &#span; #records });
    let start = match &options.parent {
        Parent::Current => quote!(#root::Span::start(&__THROUGHLINE_CALLSITE, #fill)),
        other => {
            let choice = match other {
                Parent::Of(parent) => quote!(parent(#parent)),
                _ => quote!(root()),
            };
            let options = quote!(#root::SpanOptions::new().#choice);
            quote!(#root::Span::start_with(&__THROUGHLINE_CALLSITE, #options, #fill))
        }
    };
    Ok(quote! {
        #[allow(unused_mut)]
        let mut #span = {
            static __THROUGHLINE_SCOPE: #root::Scope = #root::Scope::new(
                ::core::env!("CARGO_PKG_NAME"),
                ::core::env!("CARGO_PKG_VERSION"),
            );
            static __THROUGHLINE_CALLSITE: #root::Callsite =
                #root::Callsite::new(#name, &__THROUGHLINE_SCOPE)#kind;
            #start
        };
    })
}

/// The body as a closure that is called inside the span. It is moved right into
/// the call, which lets it hand out what it borrows from the arguments.
fn closure(function: &Function) -> TokenStream {
    let returned = match &function.signature.output {
        ReturnType::Default => Some(quote!(-> ())),
        ReturnType::Type(arrow, ty) => match nameable((**ty).clone()) {
            Type::Infer(_) => None,
            ty => Some(quote!(#arrow #ty)),
        },
    };
    let block = function.block(TokenStream::new());
    quote!(move || #returned #block)
}

/// The body in the span.
fn call(options: &Options, function: &Function, recording: Option<Recording<'_>>) -> TokenStream {
    let (root, span, outcome) = (&options.root_path, variable("span"), variable("outcome"));
    let closure = closure(function);
    let Some(recording) = recording else {
        return quote!(#root::Span::in_scope(#span, #closure));
    };
    let record = recording.statements(&Target::Owned);
    quote! {
        let #outcome = #root::Span::enter_for(&mut #span, #closure);
        #record
        #root::Span::end(#span);
        #outcome
    }
}

/// The body as a future in the span.
fn future(options: &Options, function: &Function, recording: Option<Recording<'_>>) -> TokenStream {
    let (root, span, outcome) = (&options.root_path, variable("span"), variable("outcome"));
    let body = function.block(return_type(function));
    let body = match recording {
        None => quote!(async move #body),
        Some(recording) => {
            let record = recording.statements(&Target::Current);
            quote! {
                async move {
                    let #outcome = async move #body.await;
                    #record
                    #outcome
                }
            }
        }
    };
    quote!(#root::InSpanExt::in_span(#body, #span).await)
}

/// What the body returns, a future or stream, in the span, and the body before.
fn returned(
    options: &Options,
    function: &Function,
    recording: Option<Recording<'_>>,
    boxed: bool,
) -> TokenStream {
    let (root, span) = (&options.root_path, variable("span"));
    let (returned, outcome) = (variable("returned"), variable("outcome"));
    let closure = closure(function);
    let inner = match &recording {
        None => quote!(#returned),
        Some(recording) => {
            let annotation = recording.annotation();
            let record = recording.statements(&Target::Current);
            quote! {
                async move {
                    let #outcome #annotation = #returned.await;
                    #record
                    #outcome
                }
            }
        }
    };
    let in_span = match options.err {
        Some(_) if recording.is_none() => quote!(try_in_span),
        _ => quote!(in_span),
    };
    let in_span = quote!(#root::InSpanExt::#in_span(#inner, #span));
    let in_span = if boxed { quote!(::std::boxed::Box::pin(#in_span)) } else { in_span };
    quote! {
        let #returned = #root::Span::enter_for(&mut #span, #closure);
        #in_span
    }
}

/// Tells an async block what it returns, which cannot be written down: a return
/// that never happens.
fn return_type(function: &Function) -> TokenStream {
    let never = variable("never");
    let ty = match &function.signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => match nameable((**ty).clone()) {
            // There is nothing to tell, or no value to tell it with.
            Type::Infer(_) | Type::Never(_) => return TokenStream::new(),
            ty => quote!(#ty),
        },
    };
    quote! {
        #[allow(unreachable_code, clippy::all, clippy::pedantic, clippy::nursery)]
        if false {
            let #never: #ty = loop {};
            return #never;
        }
    }
}
