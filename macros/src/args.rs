//! The arguments of a function, as far as they are recorded.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Attribute, Error, FnArg, Pat, Result, Signature, Type};

use crate::field::Field;
use crate::options::Skip;
use crate::record::By;

/// A variable that an argument binds.
pub(crate) struct Arg {
    pub(crate) variable: Ident,
    pub(crate) by: By,
    /// `#[cfg(..)]`: the argument may not be there.
    pub(crate) conditions: Vec<Attribute>,
}

impl Arg {
    /// The attribute's key.
    pub(crate) fn key(&self) -> String {
        self.variable.unraw().to_string()
    }
}

/// The variables to record: not the receiver, not what is skipped, and not what
/// a field of the same key records in its own way.
pub(crate) fn recorded(signature: &Signature, skip: &Skip, fields: &[Field]) -> Result<Vec<Arg>> {
    let mut args = all(signature);
    match skip {
        Skip::All => args.clear(),
        Skip::Only(skipped) => {
            for name in skipped {
                let is_receiver = name == "self" && signature.receiver().is_some();
                if !is_receiver && !args.iter().any(|arg| arg.variable == *name) {
                    let function = &signature.ident;
                    let message = format!("`{function}` has no argument `{name}`");
                    return Err(Error::new(name.span(), message));
                }
            }
            args.retain(|arg| !skipped.contains(&arg.variable));
        }
    }
    args.retain(|arg| !fields.iter().any(|field| field.key == arg.key()));
    Ok(args)
}

fn all(signature: &Signature) -> Vec<Arg> {
    let mut args = Vec::new();
    for input in &signature.inputs {
        // `self` is the object, not what it is asked: never recorded.
        let FnArg::Typed(input) = input else { continue };
        let first = args.len();
        bindings(&input.pat, Some(&input.ty), &mut args);
        let conditions = input.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        let conditions: Vec<_> = conditions.cloned().collect();
        for arg in &mut args[first..] {
            arg.conditions.clone_from(&conditions);
        }
    }
    // What async-trait calls an argument that it takes apart in the body.
    args.retain(|arg| !arg.key().starts_with("__arg"));
    args
}

/// The variables a pattern binds, with their types as far as they are written
/// next to them.
fn bindings(pattern: &Pat, ty: Option<&Type>, args: &mut Vec<Arg>) {
    match pattern {
        Pat::Ident(binding) => {
            args.push(Arg {
                variable: binding.ident.clone(),
                by: ty.map_or(By::Debug, By::of),
                conditions: Vec::new(),
            });
            if let Some((_, inner)) = &binding.subpat {
                bindings(inner, ty, args);
            }
        }
        Pat::Tuple(tuple) => {
            let types = match ty {
                Some(Type::Tuple(types)) if !has_rest(tuple) => Some(&types.elems),
                _ => None,
            };
            for (i, element) in tuple.elems.iter().enumerate() {
                bindings(element, types.and_then(|types| types.get(i)), args);
            }
        }
        Pat::Reference(reference) => {
            let ty = match ty {
                Some(Type::Reference(ty)) => Some(&*ty.elem),
                _ => None,
            };
            bindings(&reference.pat, ty, args);
        }
        Pat::Paren(paren) => bindings(&paren.pat, ty, args),
        Pat::TupleStruct(tuple) => {
            tuple.elems.iter().for_each(|element| bindings(element, None, args));
        }
        Pat::Struct(structure) => {
            structure.fields.iter().for_each(|field| bindings(&field.pat, None, args));
        }
        Pat::Slice(slice) => slice.elems.iter().for_each(|element| bindings(element, None, args)),
        // All its cases bind the same.
        Pat::Or(or) => or.cases.iter().take(1).for_each(|case| bindings(case, None, args)),
        _ => {}
    }
}

/// With `..`, elements and types no longer stand side by side.
fn has_rest(tuple: &syn::PatTuple) -> bool {
    tuple.elems.iter().any(|element| matches!(element, Pat::Rest(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn names(signature: &Signature) -> Vec<(String, By)> {
        all(signature).iter().map(|arg| (arg.key(), arg.by)).collect()
    }

    #[test]
    fn patterns_record_their_bindings() {
        let signature = parse_quote! {
            fn f(&self, (a, b): (u8, Vec<u8>), Point { x, y: z }: Point, &c: &char, r#type: u8)
        };
        let expected = [
            ("a", By::Value),
            ("b", By::Debug),
            ("x", By::Debug),
            ("z", By::Debug),
            ("c", By::Display),
            ("type", By::Value),
        ];
        let actual = names(&signature);
        assert_eq!(actual, expected.map(|(name, by)| (name.to_owned(), by)));
    }

    #[test]
    fn a_rest_in_a_tuple_leaves_its_types_unknown() {
        let signature = parse_quote!(fn f((a, ..): (u8, u8)));
        assert_eq!(names(&signature), [("a".to_owned(), By::Debug)]);
    }
}
