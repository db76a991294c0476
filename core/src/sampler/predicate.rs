//! Which spans a rule is about.

use core::fmt::{self, Write};

use heapless::String;

use super::SamplingParameters;
use super::pattern::is_like;
use crate::{SpanKind, ValueView};

/// Tells spans apart, by what they begin with and nothing else: asked again, it
/// says the same.
/// ([Predicate](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composablerulebased))
pub trait Predicate: Sync {
    /// Whether the span is one of those.
    fn matches(&self, span: &SamplingParameters<'_>) -> bool;

    /// What it looks for.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Whether it goes by parent, trace state, name and kind alone, so that the
    /// span needs no attributes yet.
    fn decides_early(&self) -> bool {
        false
    }

    /// This and the other one.
    fn and<P: Predicate>(self, other: P) -> Both<Self, P>
    where
        Self: Sized,
    {
        Both(self, other)
    }

    /// This, the other one, or both.
    fn or<P: Predicate>(self, other: P) -> Either<Self, P>
    where
        Self: Sized,
    {
        Either(self, other)
    }

    /// Anything but this.
    fn not(self) -> Except<Self>
    where
        Self: Sized,
    {
        Except(self)
    }
}

/// Any span.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnySpan;

/// Spans without a parent.
#[derive(Clone, Copy, Debug, Default)]
pub struct IsRoot;

/// Spans of this name; `*` in it stands for any characters.
#[derive(Clone, Copy, Debug)]
pub struct HasName<'a>(pub &'a str);

/// Spans of this kind.
#[derive(Clone, Copy, Debug)]
pub struct HasKind(pub SpanKind);

/// Spans that begin with the attribute of this key, with a value like the second
/// text: `*` in it stands for any characters. Texts match, and whole numbers and
/// truth values by what they look like (`7`, `true`).
#[derive(Clone, Copy, Debug)]
pub struct HasAttribute<'a>(pub &'a str, pub &'a str);

/// Spans of this route, the attribute `http.route`; `*` in it stands for any
/// characters.
/// ([http.route](https://opentelemetry.io/docs/specs/semconv/registry/attributes/http/))
#[derive(Clone, Copy, Debug)]
pub struct HasRoute<'a>(pub &'a str);

/// Spans that a closure picks.
#[derive(Clone, Copy)]
pub struct Picked<F>(pub F);

/// Spans that two predicates match both; made by [`Predicate::and`].
#[derive(Clone, Copy, Debug)]
pub struct Both<A, B>(A, B);

/// Spans that one of two predicates matches; made by [`Predicate::or`].
#[derive(Clone, Copy, Debug)]
pub struct Either<A, B>(A, B);

/// Spans that a predicate does not match; made by [`Predicate::not`].
#[derive(Clone, Copy, Debug)]
pub struct Except<A>(A);

impl Predicate for AnySpan {
    fn matches(&self, _: &SamplingParameters<'_>) -> bool {
        true
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any")
    }

    fn decides_early(&self) -> bool {
        true
    }
}

impl Predicate for IsRoot {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        !span.parent.is_valid()
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("root")
    }

    fn decides_early(&self) -> bool {
        true
    }
}

impl Predicate for HasName<'_> {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        is_like(span.name, self.0)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name={}", self.0)
    }

    fn decides_early(&self) -> bool {
        true
    }
}

impl Predicate for HasKind {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        span.kind == self.0
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kind={:?}", self.0)
    }

    fn decides_early(&self) -> bool {
        true
    }
}

impl Predicate for HasAttribute<'_> {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        let HasAttribute(key, pattern) = *self;
        span.attribute(key).is_some_and(|value| is_value_like(value, pattern))
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.0, self.1)
    }
}

impl Predicate for HasRoute<'_> {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        HasAttribute("http.route", self.0).matches(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http.route={}", self.0)
    }
}

impl<F: Fn(&SamplingParameters<'_>) -> bool + Sync> Predicate for Picked<F> {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        (self.0)(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("picked")
    }
}

impl<A: Predicate, B: Predicate> Predicate for Both<A, B> {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        self.0.matches(span) && self.1.matches(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}&{})", Shown(&self.0), Shown(&self.1))
    }

    fn decides_early(&self) -> bool {
        self.0.decides_early() && self.1.decides_early()
    }
}

impl<A: Predicate, B: Predicate> Predicate for Either<A, B> {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        self.0.matches(span) || self.1.matches(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}|{})", Shown(&self.0), Shown(&self.1))
    }

    fn decides_early(&self) -> bool {
        self.0.decides_early() && self.1.decides_early()
    }
}

impl<A: Predicate> Predicate for Except<A> {
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        !self.0.matches(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "!{}", Shown(&self.0))
    }

    fn decides_early(&self) -> bool {
        self.0.decides_early()
    }
}

/// Whether a value looks like a pattern: a text, a whole number, a truth value.
pub(crate) fn is_value_like(value: ValueView<'_>, pattern: &str) -> bool {
    match value {
        ValueView::Str(text) => is_like(text, pattern),
        ValueView::Bool(value) => is_like(if value { "true" } else { "false" }, pattern),
        ValueView::I64(number) => {
            // The longest number has a sign and 19 digits.
            let mut text = String::<20>::new();
            write!(text, "{number}").is_ok() && is_like(&text, pattern)
        }
        _ => false,
    }
}

/// What points to a predicate is one.
impl<P> Predicate for P
where
    P: core::ops::Deref<Target: Predicate> + Sync,
{
    fn matches(&self, span: &SamplingParameters<'_>) -> bool {
        (**self).matches(span)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).description(f)
    }

    fn decides_early(&self) -> bool {
        (**self).decides_early()
    }
}

impl<F> fmt::Debug for Picked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Picked").finish_non_exhaustive()
    }
}

/// Shows a predicate by its description.
pub(super) struct Shown<'a, P: ?Sized>(pub(super) &'a P);

impl<P: Predicate + ?Sized> fmt::Display for Shown<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.description(f)
    }
}
