//! One entry of `fields(..)`, in the grammar of `span!`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, LitStr, Result, Token, parse_quote};

use crate::record::By;

/// `key = value`, `key = %value`, `key = ?value`, or a variable that gives its
/// name: `x`, `%x`, `?x`.
pub(crate) struct Field {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) span: Span,
    pub(crate) by: By,
    pub(crate) value: Expr,
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let by = sigil(input)?;
        if by != By::Value {
            return input.parse().map(|variable| Field::shorthand(variable, by));
        }
        if input.peek(Ident) && (input.peek2(Token![,]) || is_last(input)) {
            return input.parse().map(|variable| Field::shorthand(variable, by));
        }
        let (key, span) = key(input)?;
        input.parse::<Token![=]>()?;
        let (by, value) = (sigil(input)?, input.parse()?);
        let by = match (by, &value) {
            (By::Value, Expr::Lit(_)) => By::Literal,
            _ => by,
        };
        Ok(Field { key, span, by, value })
    }
}

impl Field {
    fn shorthand(variable: Ident, by: By) -> Self {
        let key = variable.unraw().to_string();
        Field { key, span: variable.span(), by, value: parse_quote!(#variable) }
    }
}

/// Whether only one token is left.
fn is_last(input: ParseStream<'_>) -> bool {
    let rest = input.fork();
    rest.parse::<Ident>().is_ok() && rest.is_empty()
}

/// `%` or `?` or nothing.
fn sigil(input: ParseStream<'_>) -> Result<By> {
    if input.parse::<Option<Token![%]>>()?.is_some() {
        Ok(By::Display)
    } else if input.parse::<Option<Token![?]>>()?.is_some() {
        Ok(By::Debug)
    } else {
        Ok(By::Value)
    }
}

/// `"a literal"` or `dotted.identifiers`, keywords among them.
fn key(input: ParseStream<'_>) -> Result<(String, Span)> {
    if input.peek(LitStr) {
        let literal: LitStr = input.parse()?;
        return Ok((literal.value(), literal.span()));
    }
    let first = input.call(Ident::parse_any)?;
    let mut key = first.unraw().to_string();
    while input.parse::<Option<Token![.]>>()?.is_some() {
        key.push('.');
        key += &input.call(Ident::parse_any)?.unraw().to_string();
    }
    Ok((key, first.span()))
}
