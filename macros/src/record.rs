//! How values become attributes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{GenericArgument, Path, PathArguments, Type, TypePath};

/// The form in which a value is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// As it is: a `ToValue`.
    Value,
    /// The same, given by the program's text.
    Literal,
    /// As text, by `Display`.
    Display,
    /// As text, by `Debug`.
    Debug,
}

impl By {
    /// Primitive types and text, also behind references, are recorded as what
    /// they are; all else by `Debug`. Tokens are all that is known: an alias of
    /// `u64` is "all else".
    pub(crate) fn of(ty: &Type) -> By {
        match ty {
            Type::Group(group) => By::of(&group.elem),
            Type::Paren(paren) => By::of(&paren.elem),
            Type::Reference(reference) => By::of(&reference.elem),
            Type::Path(TypePath { qself: None, path }) => match name(path).as_deref() {
                Some(
                    "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize"
                    | "f32" | "f64" | "bool" | "str" | "String",
                ) => By::Value,
                // OTLP has no such values; their digits and signs are text.
                Some("i128" | "u128" | "char") => By::Display,
                _ => By::Debug,
            },
            _ => By::Debug,
        }
    }

    /// The statement that records `value` on `span`, which is a `&mut Span`.
    /// Errors about the value point to `at`.
    pub(crate) fn statement(
        self,
        root: &Path,
        span: &Ident,
        key: &str,
        value: &impl ToTokens,
        at: Span,
    ) -> TokenStream {
        let at = Span::mixed_site().located_at(at);
        let record = match self {
            By::Value => Ident::new("record", at),
            By::Literal => Ident::new("record_literal", at),
            By::Display => Ident::new("record_display", at),
            By::Debug => Ident::new("record_debug", at),
        };
        let key = match self {
            By::Value | By::Literal => quote_spanned!(at=> const { &#root::Key::new(#key) }),
            By::Display | By::Debug => key.to_token_stream(),
        };
        quote_spanned!(at=> #root::__private::#record(#span, #key, &(#value));)
    }

    /// An expression for what a variable, which is a reference, looks like as
    /// an attribute's value.
    pub(crate) fn expression(self, root: &Path, variable: &Ident, at: Span) -> TokenStream {
        match self {
            By::Value | By::Literal => quote_spanned!(at=> #root::ToValue::to_value(#variable)),
            _ => {
                let text = self.text(variable, at);
                quote_spanned!(at=> #text.as_str())
            }
        }
    }

    /// An expression for the text of a variable, which is a reference.
    pub(crate) fn text(self, variable: &Ident, at: Span) -> TokenStream {
        // The cast is what the compiler complains about, at `at`, when there is
        // no such format; otherwise it would point to all of the attribute.
        match self {
            By::Debug => {
                quote_spanned!(at=> ::std::format!("{:?}", #variable as &dyn ::core::fmt::Debug))
            }
            _ => quote_spanned!(at=> ::std::format!("{}", #variable as &dyn ::core::fmt::Display)),
        }
    }
}

/// The name of a type of the language or the standard library.
fn name(path: &Path) -> Option<String> {
    let last = path.segments.last()?;
    let first = &path.segments.first()?.ident;
    let is_standard = path.segments.len() == 1
        || ["std", "core", "alloc"].iter().any(|standard| first == standard);
    (is_standard && last.arguments.is_none()).then(|| last.ident.to_string())
}

/// The generic types of a path's last segment: `T` and `E` of `Result<T, E>`.
pub(crate) fn type_arguments(path: &Path) -> impl Iterator<Item = &Type> {
    let arguments = path.segments.last().map(|segment| &segment.arguments);
    let arguments = match arguments {
        Some(PathArguments::AngleBracketed(arguments)) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn primitive_types_are_values_also_behind_references() {
        let types: [Type; 6] = [
            parse_quote!(u64),
            parse_quote!(&str),
            parse_quote!(&'static str),
            parse_quote!(&mut f32),
            parse_quote!(std::string::String),
            parse_quote!((bool)),
        ];
        assert!(types.iter().all(|ty| By::of(ty) == By::Value));
    }

    #[test]
    fn what_otlp_cannot_hold_is_displayed() {
        assert_eq!(By::of(&parse_quote!(u128)), By::Display);
        assert_eq!(By::of(&parse_quote!(&char)), By::Display);
    }

    #[test]
    fn all_else_is_debugged() {
        let types: [Type; 6] = [
            parse_quote!(Vec<u8>),
            parse_quote!(Option<u64>),
            parse_quote!(other::String),
            parse_quote!(impl Into<String>),
            parse_quote!(<T as Trait>::String),
            parse_quote!([u8; 4]),
        ];
        assert!(types.iter().all(|ty| By::of(ty) == By::Debug));
    }
}
