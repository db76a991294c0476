//! What the span of a function is around: a call, a future or a stream.

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    AssocType, Error, GenericArgument, Path, PathArguments, Result, ReturnType, Signature, Token,
    Type, TypeParamBound, parse_quote,
};

use crate::options::Returns;
use crate::record::type_arguments;

/// For how long the span lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// From the call to the return.
    Call,
    /// An `async fn`: from the first poll until it is ready.
    Async,
    /// From the call until the returned future is ready.
    Future { boxed: bool },
    /// From the call until the returned stream is exhausted.
    Stream { boxed: bool },
}

impl Shape {
    /// The signature decides where it shows what is returned, the option where
    /// it does not: behind an alias, which is taken for that of a pinned box.
    pub(crate) fn of(signature: &Signature, returns: Option<Returns>) -> Result<Shape> {
        if signature.asyncness.is_some() {
            return match returns {
                None => Ok(Shape::Async),
                Some(Returns::Future(span)) => {
                    Err(Error::new(span, "an `async fn` is traced as a future already"))
                }
                Some(Returns::Stream(span)) => {
                    let message = "the span of an `async fn` ends before its stream begins: \
                                   return the stream from an `fn`";
                    Err(Error::new(span, message))
                }
            };
        }
        let visible = match &signature.output {
            ReturnType::Type(_, ty) => visible(ty),
            ReturnType::Default => Shape::Call,
        };
        match (returns, visible) {
            (None, visible) => Ok(visible),
            (Some(Returns::Future(_)), Shape::Future { boxed }) => Ok(Shape::Future { boxed }),
            (Some(Returns::Stream(_)), Shape::Stream { boxed }) => Ok(Shape::Stream { boxed }),
            (Some(Returns::Future(_)), Shape::Call) if is_named(&signature.output) => {
                Ok(Shape::Future { boxed: true })
            }
            (Some(Returns::Stream(_)), Shape::Call) if is_named(&signature.output) => {
                Ok(Shape::Stream { boxed: true })
            }
            (Some(Returns::Future(span)), _) => {
                Err(Error::new(span, "`future` needs a function that returns a future"))
            }
            (Some(Returns::Stream(span)), _) => {
                Err(Error::new(span, "`stream` needs a function that returns a stream"))
            }
        }
    }

    /// The type of what the call or the future yields in the end. `None` if the
    /// signature does not show it, or if it is a stream.
    pub(crate) fn outcome(self, signature: &Signature) -> Option<Type> {
        let returned = || match &signature.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        match self {
            Shape::Call | Shape::Async => Some(returned()),
            Shape::Future { .. } => future_output(&returned()),
            Shape::Stream { .. } => None,
        }
    }
}

/// The type as it may be written in a body: without `impl Trait`.
pub(crate) fn nameable(mut ty: Type) -> Type {
    struct Erase;
    impl VisitMut for Erase {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if matches!(ty, Type::ImplTrait(_)) {
                *ty = parse_quote!(_);
            } else {
                visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    Erase.visit_type_mut(&mut ty);
    ty
}

/// `impl Future`, `Pin<Box<dyn Future>>`, `BoxFuture`, and those of streams.
fn visible(ty: &Type) -> Shape {
    let boxed = !matches!(ty, Type::ImplTrait(_));
    if let Some(alias) = last_name(ty) {
        match alias.as_str() {
            "BoxFuture" | "LocalBoxFuture" => return Shape::Future { boxed },
            "BoxStream" | "LocalBoxStream" => return Shape::Stream { boxed },
            _ => {}
        }
    }
    let Some(bounds) = bounds(ty) else { return Shape::Call };
    if bound(bounds, "Future").is_some() {
        Shape::Future { boxed }
    } else if bound(bounds, "Stream").is_some() {
        Shape::Stream { boxed }
    } else {
        Shape::Call
    }
}

/// Whether the return type is a path that may be an alias.
fn is_named(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, ty) if matches!(**ty, Type::Path(_)))
}

fn future_output(ty: &Type) -> Option<Type> {
    if let Type::Path(path) = ty
        && last_name(ty).is_some_and(|name| name.ends_with("BoxFuture"))
    {
        return type_arguments(&path.path).next().cloned();
    }
    let future = bound(bounds(ty)?, "Future")?;
    let PathArguments::AngleBracketed(arguments) = &future.segments.last()?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Output" => {
            Some(ty.clone())
        }
        _ => None,
    })
}

type Bounds = Punctuated<TypeParamBound, Token![+]>;

/// The bounds of `impl ..` and `Pin<Box<dyn ..>>`.
fn bounds(ty: &Type) -> Option<&Bounds> {
    match ty {
        Type::ImplTrait(opaque) => Some(&opaque.bounds),
        Type::Path(path) if last_name(ty)? == "Pin" => {
            let boxed = type_arguments(&path.path).next()?;
            let Type::Path(path) = boxed else { return None };
            match type_arguments(&path.path).next()? {
                Type::TraitObject(object) if last_name(boxed)? == "Box" => Some(&object.bounds),
                _ => None,
            }
        }
        Type::Group(group) => bounds(&group.elem),
        Type::Paren(paren) => bounds(&paren.elem),
        _ => None,
    }
}

fn bound<'a>(bounds: &'a Bounds, name: &str) -> Option<&'a Path> {
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) if bound.path.segments.last()?.ident == name => {
            Some(&bound.path)
        }
        _ => None,
    })
}

fn last_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(signature: Signature) -> Shape {
        Shape::of(&signature, None).unwrap()
    }

    #[test]
    fn the_signature_shows_what_is_returned() {
        assert_eq!(of(parse_quote!(fn f() -> u8)), Shape::Call);
        assert_eq!(of(parse_quote!(async fn f() -> u8)), Shape::Async);
        let plain = Shape::Future { boxed: false };
        assert_eq!(of(parse_quote!(fn f() -> impl Send + core::future::Future)), plain);
        let boxed = Shape::Future { boxed: true };
        assert_eq!(of(parse_quote!(fn f() -> Pin<Box<dyn Future<Output = u8> + Send>>)), boxed);
        assert_eq!(of(parse_quote!(fn f() -> BoxFuture<'a, u8>)), boxed);
        assert_eq!(of(parse_quote!(fn f() -> impl Stream)), Shape::Stream { boxed: false });
        assert_eq!(of(parse_quote!(fn f() -> impl Iterator)), Shape::Call);
    }

    #[test]
    fn the_output_of_a_future_is_found() {
        let output = |signature: Signature| {
            let output = of(signature.clone()).outcome(&signature);
            output.map(|ty| quote::quote!(#ty).to_string())
        };
        let expected = Some("Result < u8 , E >".to_owned());
        assert_eq!(output(parse_quote!(async fn f() -> Result<u8, E>)), expected);
        assert_eq!(output(parse_quote!(fn f() -> impl Future<Output = Result<u8, E>>)), expected);
        assert_eq!(output(parse_quote!(fn f() -> BoxFuture<'_, Result<u8, E>>)), expected);
        assert_eq!(output(parse_quote!(fn f() -> impl Stream<Item = u8>)), None);
    }
}
