//! What `#[trace(err)]` finds out about an error of any type.

use core::error::Error;
use core::ops::Deref;

use throughline_core::ErrorChain;

/// An error of which it is only known that it has a text.
///
/// What else it can do is found by method resolution, which takes the first trait
/// that fits: [`OfError`], [`OfDeref`], [`OfNothing`]. So a type need not be an
/// `Error`, and one that is tells its sources.
#[derive(Debug)]
pub struct Failure<'a, E: ?Sized>(pub &'a E);

/// For errors.
pub trait OfError<'a> {
    /// What the error was caused by.
    fn source_of(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: Error + ?Sized> OfError<'a> for &&Failure<'a, E> {
    fn source_of(&self) -> Option<&'a (dyn Error + 'static)> {
        self.0.source()
    }
}

/// For what points to an error, as `Box<dyn Error>` does.
pub trait OfDeref<'a> {
    /// What the error was caused by.
    fn source_of(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: Deref<Target: Error> + ?Sized> OfDeref<'a> for &Failure<'a, E> {
    fn source_of(&self) -> Option<&'a (dyn Error + 'static)> {
        self.0.deref().source()
    }
}

/// For everything else.
pub trait OfNothing<'a> {
    /// Nothing.
    fn source_of(&self) -> Option<&'a (dyn Error + 'static)>;
}

impl<'a, E: ?Sized> OfNothing<'a> for Failure<'a, E> {
    fn source_of(&self) -> Option<&'a (dyn Error + 'static)> {
        None
    }
}

/// The message with what caused it, empty if nothing did.
pub fn stacktrace(message: &str, source: Option<&(dyn Error + 'static)>) -> String {
    source.map(|source| ErrorChain { message, source }.to_string()).unwrap_or_default()
}
