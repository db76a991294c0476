//! Which traces a rule is about, by all of their spans that ended.

use core::fmt;
use core::time::Duration;

use super::ended::{CANCELLED, FAILED, PANICKED};
use crate::SpanView;
use crate::sampler::is_value_like;

/// Tells traces apart by what their spans were like.
///
/// What it wants to know about single spans it notes, in as many bits as it says;
/// the bits of all spans of a trace are joined. Asked again, it says the same.
pub trait Predicate {
    /// How many bits it notes. All rules together have [`Facts::MAX_NOTES`].
    fn width(&self) -> u32 {
        0
    }

    /// What it notes of a span that ended, in the lowest bits.
    fn note(&self, span: &SpanView<'_>) -> u64 {
        let _ = span;
        0
    }

    /// Whether a trace is one of those.
    fn matches(&self, trace: &Facts) -> bool;

    /// What it looks for.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// This and the other one.
    fn and<P: Predicate>(self, other: P) -> All<Self, P>
    where
        Self: Sized,
    {
        All(self, other)
    }

    /// This, the other one, or both.
    fn or<P: Predicate>(self, other: P) -> Any<Self, P>
    where
        Self: Sized,
    {
        Any(self, other)
    }

    /// Anything but this.
    fn not(self) -> Not<Self>
    where
        Self: Sized,
    {
        Not(self)
    }
}

/// What is known about a trace when it is decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    pub(super) seen: u8,
    pub(super) notes: u64,
    pub(super) duration: Duration,
}

impl Facts {
    /// The most bits that all rules of a book note together.
    pub const MAX_NOTES: u32 = u64::BITS;

    /// Whether a span has the status `Error`.
    pub const fn has_failed(&self) -> bool {
        self.seen & FAILED != 0
    }

    /// Whether a span ended by a panic.
    pub const fn has_panicked(&self) -> bool {
        self.seen & PANICKED != 0
    }

    /// Whether a span was cancelled.
    pub const fn was_cancelled(&self) -> bool {
        self.seen & CANCELLED != 0
    }

    /// From the earliest start to the latest end of its spans.
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// The bits that the predicate noted.
    pub const fn notes(&self) -> u64 {
        self.notes
    }

    /// The same for the predicate behind one of this width.
    pub(super) fn behind(&self, width: u32) -> Facts {
        Facts { notes: self.notes.checked_shr(width).unwrap_or(0), ..*self }
    }
}

/// Any trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyTrace;

/// Traces with a span whose status is `Error`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failed;

/// Traces with a span that ended by a panic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Panicked;

/// Traces with a span that was cancelled: its future was dropped while pending.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cancelled;

/// Traces whose spans lie further apart than this, from the earliest start to
/// the latest end.
#[derive(Clone, Copy, Debug)]
pub struct SlowerThan(pub Duration);

/// Traces with a span that has the attribute of the first text, with a value like
/// the second: `*` in it stands for any characters. Texts match, and whole
/// numbers and truth values by what they look like (`7`, `true`).
#[derive(Clone, Copy, Debug)]
pub struct HasAttribute<S>(pub S, pub S);

/// Traces with a span that a closure picks.
#[derive(Clone, Copy)]
pub struct HasSpan<F>(pub F);

/// Traces that two predicates match both; made by [`Predicate::and`].
#[derive(Clone, Copy, Debug)]
pub struct All<A, B>(A, B);

/// Traces that one of two predicates matches; made by [`Predicate::or`].
#[derive(Clone, Copy, Debug)]
pub struct Any<A, B>(A, B);

/// Traces that a predicate does not match; made by [`Predicate::not`].
#[derive(Clone, Copy, Debug)]
pub struct Not<A>(A);

impl Predicate for AnyTrace {
    fn matches(&self, _: &Facts) -> bool {
        true
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any")
    }
}

impl Predicate for Failed {
    fn matches(&self, trace: &Facts) -> bool {
        trace.has_failed()
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl Predicate for Panicked {
    fn matches(&self, trace: &Facts) -> bool {
        trace.has_panicked()
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("panicked")
    }
}

impl Predicate for Cancelled {
    fn matches(&self, trace: &Facts) -> bool {
        trace.was_cancelled()
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl Predicate for SlowerThan {
    fn matches(&self, trace: &Facts) -> bool {
        trace.duration() > self.0
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slower than {:?}", self.0)
    }
}

impl<S: AsRef<str>> Predicate for HasAttribute<S> {
    fn width(&self) -> u32 {
        1
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        let value = span.attribute(self.0.as_ref());
        u64::from(value.is_some_and(|value| is_value_like(value, self.1.as_ref())))
    }

    fn matches(&self, trace: &Facts) -> bool {
        trace.notes() & 1 != 0
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.0.as_ref(), self.1.as_ref())
    }
}

impl<F: Fn(&SpanView<'_>) -> bool> Predicate for HasSpan<F> {
    fn width(&self) -> u32 {
        1
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        u64::from((self.0)(span))
    }

    fn matches(&self, trace: &Facts) -> bool {
        trace.notes() & 1 != 0
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("picked")
    }
}

/// The notes of two predicates, side by side.
fn note_both(a: &impl Predicate, b: &impl Predicate, span: &SpanView<'_>) -> u64 {
    a.note(span) | b.note(span).checked_shl(a.width()).unwrap_or(0)
}

impl<A: Predicate, B: Predicate> Predicate for All<A, B> {
    fn width(&self) -> u32 {
        self.0.width() + self.1.width()
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        note_both(&self.0, &self.1, span)
    }

    fn matches(&self, trace: &Facts) -> bool {
        self.0.matches(trace) && self.1.matches(&trace.behind(self.0.width()))
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}&{})", Shown(&self.0), Shown(&self.1))
    }
}

impl<A: Predicate, B: Predicate> Predicate for Any<A, B> {
    fn width(&self) -> u32 {
        self.0.width() + self.1.width()
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        note_both(&self.0, &self.1, span)
    }

    fn matches(&self, trace: &Facts) -> bool {
        self.0.matches(trace) || self.1.matches(&trace.behind(self.0.width()))
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}|{})", Shown(&self.0), Shown(&self.1))
    }
}

impl<A: Predicate> Predicate for Not<A> {
    fn width(&self) -> u32 {
        self.0.width()
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        self.0.note(span)
    }

    fn matches(&self, trace: &Facts) -> bool {
        !self.0.matches(trace)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "!{}", Shown(&self.0))
    }
}

/// What points to a predicate is one.
impl<P> Predicate for P
where
    P: core::ops::Deref<Target: Predicate>,
{
    fn width(&self) -> u32 {
        (**self).width()
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        (**self).note(span)
    }

    fn matches(&self, trace: &Facts) -> bool {
        (**self).matches(trace)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).description(f)
    }
}

impl<F> fmt::Debug for HasSpan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HasSpan").finish_non_exhaustive()
    }
}

/// Shows a predicate by its description.
pub(super) struct Shown<'a, P: ?Sized>(pub(super) &'a P);

impl<P: Predicate + ?Sized> fmt::Display for Shown<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.description(f)
    }
}
