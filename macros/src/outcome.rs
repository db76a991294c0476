//! What a function returned or failed with, on its span.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Path, Result, Signature, Type};

use crate::options::{Options, Outcome};
use crate::record::{By, type_arguments};
use crate::shape::{Shape, nameable};
use crate::variable::variable;

/// What is to be recorded about the outcome, known to be possible.
pub(crate) struct Recording<'a> {
    root: &'a Path,
    err: Option<&'a Outcome>,
    ret: Option<&'a Outcome>,
    /// The type of the outcome, if the signature shows it.
    ty: Option<Type>,
}

/// What `err` and `ret` ask for, if they are there.
pub(crate) fn recording<'a>(
    options: &'a Options,
    shape: Shape,
    signature: &Signature,
) -> Result<Option<Recording<'a>>> {
    let (err, ret) = (options.err.as_ref(), options.ret.as_ref());
    let Some(first) = err.or(ret) else { return Ok(None) };
    if let Shape::Stream { .. } = shape {
        let refused = match (err, ret) {
            (_, Some(ret)) => Some((ret, "`ret` records one value, and a stream has many")),
            (Some(Outcome { by: None, .. }), None) => None,
            _ => Some((
                first,
                "`err` of a stream has no format: an error of its items is an `Error`",
            )),
        };
        return match refused {
            Some((outcome, message)) => Err(Error::new(outcome.span, message)),
            // What the stream is wrapped in does it.
            None => Ok(None),
        };
    }
    let ty = shape.outcome(signature);
    if let Some(Type::Tuple(tuple)) = &ty
        && tuple.elems.is_empty()
    {
        let function = &signature.ident;
        let message = match err {
            Some(_) => format!("`err` needs a `Result`, and `{function}` returns nothing"),
            None => format!("`ret` needs a value, and `{function}` returns nothing"),
        };
        return Err(Error::new(first.span, message));
    }
    Ok(Some(Recording { root: &options.root_path, err, ret, ty }))
}

/// Where it is recorded.
pub(crate) enum Target {
    /// The variable `span`, which is still owned.
    Owned,
    /// The span that a wrapper made current.
    Current,
}

impl Recording<'_> {
    /// The outcome's type after a colon, which helps the inference of errors
    /// behind `?`.
    pub(crate) fn annotation(&self) -> Option<TokenStream> {
        let ty = nameable(self.ty.clone()?);
        Some(quote!(: #ty))
    }

    /// Statements that record the variable `outcome`, if the span is recorded.
    pub(crate) fn statements(&self, target: &Target) -> TokenStream {
        let (root, outcome, value) = (self.root, variable("outcome"), variable("value"));
        let span = variable("span");
        let on = match target {
            Target::Owned => quote!(#span.),
            Target::Current => quote!(#root::CurrentSpan::),
        };
        let record = match self.err {
            None => {
                let ret = self.ret.map(|ret| self.ret(ret, self.ty.as_ref(), &on));
                quote!(let #value = &#outcome; #ret)
            }
            Some(err) => {
                let ty = self.ty.as_ref().and_then(ok_type);
                let ret = self.ret.map(|ret| self.ret(ret, ty, &on));
                let ok = if ret.is_some() { value } else { Ident::new("_value", value.span()) };
                let at = Span::mixed_site().located_at(err.span);
                let error = Ident::new("error", at);
                let failed = self.err(err, &error, &on);
                quote_spanned! {at=>
                    match &#outcome {
                        ::core::result::Result::Ok(#ok) => { #ret }
                        ::core::result::Result::Err(#error) => { #failed }
                    }
                }
            }
        };
        quote!(if #on is_recording() { #record })
    }

    /// Records the variable `value`.
    fn ret(&self, ret: &Outcome, ty: Option<&Type>, on: &TokenStream) -> TokenStream {
        let at = Span::mixed_site().located_at(ret.span);
        let by = ret.by.unwrap_or_else(|| ty.map_or(By::Debug, By::of));
        let value = by.expression(self.root, &Ident::new("value", at), at);
        quote!(#on set_attribute("return", #value);)
    }

    /// Records the error, as the [specification] says of exceptions.
    ///
    /// [specification]: https://opentelemetry.io/docs/specs/otel/trace/exceptions/
    fn err(&self, err: &Outcome, error: &Ident, on: &TokenStream) -> TokenStream {
        let (root, at) = (self.root, error.span());
        let message = err.by.unwrap_or(By::Display).text(error, at);
        quote_spanned! {at=>
            let message = #message;
            let source = {
                #[allow(unused_imports)]
                use #root::__private::{OfDeref as _, OfError as _, OfNothing as _};
                (&&&#root::__private::Failure(#error)).source_of()
            };
            #on record_exception(&#root::Exception {
                kind: ::core::any::type_name_of_val(#error),
                message: message.as_str(),
                stacktrace: #root::__private::stacktrace(message.as_str(), source).as_str(),
            });
        }
    }
}

/// `T` of `Result<T, E>`, or of an alias that leaves `E` out.
fn ok_type(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Path(path) => type_arguments(&path.path).next(),
        _ => None,
    }
}
