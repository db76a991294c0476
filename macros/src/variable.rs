//! Variables of the expansion.

use proc_macro2::{Ident, Span};

/// A variable that the user's code neither sees nor hides.
pub(crate) fn variable(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
