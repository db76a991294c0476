//! A function whose body is not looked into.

use proc_macro2::{Group, Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{
    AttrStyle, Attribute, Error, Result, Signature, Token, Visibility, braced, token::Brace,
};

/// A function or method with a body. The body stays tokens: it costs nothing to
/// parse, and what is wrong in it is the compiler's to say.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: TokenStream,
    /// The braces around the body.
    pub(crate) braces: Brace,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        require_function(input)?;
        let signature: Signature = input.parse()?;
        if input.peek(Token![;]) {
            let message = "`#[trace]` needs a body: put it on the implementations of this method";
            return Err(Error::new(signature.ident.span(), message));
        }
        if let Some(constant) = &signature.constness {
            let message = "a `const fn` may run in the compiler, where there are no spans";
            return Err(Error::new(constant.span, message));
        }
        let content;
        let braces = braced!(content in input);
        // The body becomes that of a closure, where such attributes cannot be.
        attributes.extend(
            content
                .call(Attribute::parse_inner)?
                .into_iter()
                .map(|inner| Attribute { style: AttrStyle::Outer, ..inner }),
        );
        Ok(Function { attributes, visibility, signature, body: content.parse()?, braces })
    }
}

impl Function {
    /// The function with another body.
    pub(crate) fn with_body(&self, body: TokenStream) -> TokenStream {
        let Function { attributes, visibility, signature, braces, .. } = self;
        let mut body = Group::new(proc_macro2::Delimiter::Brace, body);
        body.set_span(braces.span.join());
        let mut function = TokenStream::new();
        attributes.iter().for_each(|attribute| attribute.to_tokens(&mut function));
        visibility.to_tokens(&mut function);
        signature.to_tokens(&mut function);
        body.to_tokens(&mut function);
        function
    }

    /// The body as a block, where the user wrote it.
    pub(crate) fn block(&self, first: TokenStream) -> Group {
        let mut body = first;
        body.extend(self.body.clone());
        let mut block = Group::new(proc_macro2::Delimiter::Brace, body);
        block.set_span(self.braces.span.join());
        block
    }
}

/// Says what the attribute is for when it stands elsewhere.
fn require_function(input: ParseStream<'_>) -> Result<()> {
    let ahead = input.fork();
    let _ = ahead.parse::<Option<Token![const]>>();
    let _ = ahead.parse::<Option<Token![async]>>();
    let _ = ahead.parse::<Option<Token![unsafe]>>();
    let _ = ahead.parse::<Option<syn::Abi>>();
    if ahead.peek(Token![fn]) {
        return Ok(());
    }
    let found = input.call(Ident::parse_any);
    let message = "`#[trace]` is for functions and methods";
    Err(found.map_or_else(|error| error, |found| Error::new(found.span(), message)))
}
