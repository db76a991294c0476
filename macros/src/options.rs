//! What stands in the parentheses of `#[trace(..)]`.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, LitStr, Path, Result, Token, parenthesized, parse_quote};

use crate::field::Field;
use crate::record::By;

/// The options of one function, each given at most once.
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) kind: Option<Ident>,
    pub(crate) parent: Parent,
    pub(crate) skip: Skip,
    pub(crate) fields: Vec<Field>,
    pub(crate) err: Option<Outcome>,
    pub(crate) ret: Option<Outcome>,
    pub(crate) returns: Option<Returns>,
    /// Where the expansion finds `throughline`.
    pub(crate) root_path: Path,
}

/// Below what the span begins.
pub(crate) enum Parent {
    Current,
    Root,
    Of(Box<Expr>),
}

/// Which arguments are not recorded.
pub(crate) enum Skip {
    Only(Vec<Ident>),
    All,
}

/// `err` or `ret`: the option, and the format if one was asked for.
pub(crate) struct Outcome {
    pub(crate) span: Span,
    pub(crate) by: Option<By>,
}

/// What the option says that the function returns.
#[derive(Clone, Copy)]
pub(crate) enum Returns {
    Future(Span),
    Stream(Span),
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options {
            name: None,
            kind: None,
            parent: Parent::Current,
            skip: Skip::Only(Vec::new()),
            fields: Vec::new(),
            err: None,
            ret: None,
            returns: None,
            root_path: parse_quote!(::throughline),
        };
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            if input.peek(LitStr) {
                return Err(input.error("write the name as `name = \"..\"`"));
            }
            let option = input.call(Ident::parse_any)?;
            if seen.contains(&option) {
                return Err(Error::new(option.span(), format!("`{option}` is given twice")));
            }
            refuse_both(&seen, &option)?;
            options.parse_one(&option, input)?;
            seen.push(option);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn parse_one(&mut self, option: &Ident, input: ParseStream<'_>) -> Result<()> {
        let span = option.span();
        match option.to_string().as_str() {
            "name" => self.name = Some(value(input)?),
            "kind" => self.kind = Some(kind(value(input)?)?),
            "root" => self.parent = Parent::Root,
            "parent" => self.parent = Parent::Of(Box::new(value(input)?)),
            "skip" => self.skip = Skip::Only(list(input, Ident::parse_any)?),
            "skip_all" => self.skip = Skip::All,
            "fields" => self.fields = distinct(list(input, Field::parse)?)?,
            "err" => self.err = Some(Outcome { span, by: format(input)? }),
            "ret" => self.ret = Some(Outcome { span, by: format(input)? }),
            "future" => self.returns = Some(Returns::Future(span)),
            "stream" => self.returns = Some(Returns::Stream(span)),
            "crate" => {
                input.parse::<Token![=]>()?;
                self.root_path = Path::parse_mod_style(input)?;
            }
            _ => {
                let message = format!("unknown option `{option}`; there are {KNOWN}");
                return Err(Error::new(span, message));
            }
        }
        Ok(())
    }
}

/// Options that contradict each other.
fn refuse_both(seen: &[Ident], option: &Ident) -> Result<()> {
    for (one, other) in [("root", "parent"), ("skip", "skip_all"), ("future", "stream")] {
        let is_after = |a, b| option == a && seen.iter().any(|seen| seen == b);
        if is_after(one, other) || is_after(other, one) {
            let message = format!("`{one}` and `{other}` exclude each other");
            return Err(Error::new(option.span(), message));
        }
    }
    Ok(())
}

/// `= value`.
fn value<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// `(one, two)`.
fn list<T>(input: ParseStream<'_>, parse: fn(ParseStream<'_>) -> Result<T>) -> Result<Vec<T>> {
    let content;
    parenthesized!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated_with(&content, parse)?.into_iter().collect())
}

/// `(Debug)`, `(Display)` or nothing.
fn format(input: ParseStream<'_>) -> Result<Option<By>> {
    if !input.peek(syn::token::Paren) {
        return Ok(None);
    }
    let content;
    parenthesized!(content in input);
    let format: Ident = content.parse()?;
    let by = match format.to_string().as_str() {
        "Debug" => By::Debug,
        "Display" => By::Display,
        _ => return Err(Error::new(format.span(), "expected `Debug` or `Display`")),
    };
    if !content.is_empty() {
        return Err(content.error("expected `)`"));
    }
    Ok(Some(by))
}

fn kind(kind: Ident) -> Result<Ident> {
    if KINDS.iter().any(|known| kind == known) {
        return Ok(kind);
    }
    let message = format!("unknown kind `{kind}`; there are {}", KINDS.join(", "));
    Err(Error::new(kind.span(), message))
}

fn distinct(fields: Vec<Field>) -> Result<Vec<Field>> {
    for (i, field) in fields.iter().enumerate() {
        if fields[..i].iter().any(|earlier| earlier.key == field.key) {
            let message = format!("two fields have the key `{}`", field.key);
            return Err(Error::new(field.span, message));
        }
    }
    Ok(fields)
}

const KINDS: [&str; 5] = ["Internal", "Server", "Client", "Producer", "Consumer"];

const KNOWN: &str = "name, kind, root, parent, skip, skip_all, fields, err, ret, future, stream \
                     and crate";
