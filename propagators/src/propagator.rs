//! What a propagator is, and what it sees of a carrier.

use core::fmt::Debug;
use std::sync::Arc;

use throughline_core::w3c::{Getter, Setter};
use throughline_runtime::Context;

/// Writes a context into the headers of a message, and reads it back.
///
/// One of another format than those here is written by implementing this; a
/// context is built with [`Context::remote`].
/// ([Operations](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#operations))
pub trait Propagator: Debug + Send + Sync + 'static {
    /// The given context with what the carrier says.
    ///
    /// It never fails: what is missing or malformed leaves what the given context
    /// has. Pipeline and suppression stay.
    /// ([Extract](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#extract))
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context;

    /// Writes the context, whether or not it is sampled or suppressed. Where there
    /// is nothing to write the carrier stays as it is.
    /// ([Inject](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#inject))
    fn inject(&self, context: &Context, carrier: &mut dyn Setter);

    /// The names that [`inject`](Self::inject) may write, so that a carrier that
    /// is used again can be cleaned first.
    /// ([Fields](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#fields))
    fn fields(&self) -> &[&'static str];
}

/// One that several share.
impl<P: Propagator + ?Sized> Propagator for Arc<P> {
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context {
        (**self).extract(context, carrier)
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Setter) {
        (**self).inject(context, carrier);
    }

    fn fields(&self) -> &[&'static str] {
        (**self).fields()
    }
}

/// A [`Getter`] of any type, as propagators see it: every `Getter` is one, and a
/// slice is one behind a reference (`&&headers[..]`).
pub trait AnyGetter {
    /// The first value of this name.
    /// ([Get](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#get))
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]>;

    /// Hands over all values of this name, in the carrier's order.
    /// ([GetAll](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#getall))
    fn for_each<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8]));

    /// Hands over all names.
    /// ([Keys](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#keys))
    fn for_each_key<'a>(&'a self, each: &mut dyn FnMut(&'a str));
}

impl<G: Getter> AnyGetter for G {
    #[inline]
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    #[inline]
    fn for_each<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        self.get_all(name).for_each(each);
    }

    fn for_each_key<'a>(&'a self, each: &mut dyn FnMut(&'a str)) {
        self.keys().for_each(each);
    }
}

impl dyn AnyGetter + '_ {
    /// All values of this name, in the carrier's order; none where it is missing,
    /// and then nothing is allocated.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        let mut all = Vec::new();
        self.for_each(name, &mut |value| all.push(value));
        all
    }
}
