//! How much of which traces is kept.

use core::fmt;
use core::time::Duration;

use super::predicate::Shown;
use super::{Facts, Predicate};
use crate::{ComposableRateLimiting, SpanView, Threshold};

/// How much of the traces that a predicate matches is kept.
#[derive(Debug)]
pub struct Rule<P> {
    predicate: P,
    amount: Amount,
}

/// How much is kept.
#[derive(Debug)]
#[non_exhaustive]
pub enum Amount {
    /// All of it.
    All,
    /// None of it.
    Nothing,
    /// The part that this threshold keeps, the same traces as every consistent
    /// sampler of the same or a higher ratio.
    Part(Threshold),
    /// So much per time. When more comes, the threshold rises, so that counts
    /// stay true; see [`ComposableRateLimiting`].
    Rate(ComposableRateLimiting),
}

impl Amount {
    /// This part. From 1 on it is all; below 2⁻⁵⁶, or not a number, nothing.
    pub const fn ratio(ratio: f64) -> Self {
        match Threshold::from_probability(ratio) {
            Some(threshold) => Amount::Part(threshold),
            None => Amount::Nothing,
        }
    }

    /// At most so many traces in this time on average.
    pub fn rate(traces: u32, per: Duration) -> Self {
        Amount::Rate(ComposableRateLimiting::new(traces, per))
    }

    /// The threshold of what is kept at this time, `None` for nothing.
    pub(super) fn threshold(&self, nanos: u64) -> Option<Threshold> {
        match self {
            Amount::All => Some(Threshold::ALWAYS),
            Amount::Nothing => None,
            Amount::Part(threshold) => Some(*threshold),
            Amount::Rate(rate) => rate.threshold_at(nanos),
        }
    }

    /// A trace is among those that are kept; whether it may be.
    pub(super) fn take(&self, nanos: u64) -> bool {
        match self {
            Amount::Rate(rate) => rate.take_at(nanos),
            _ => true,
        }
    }
}

impl<P: Predicate> Rule<P> {
    /// Keeps so much of these traces.
    pub const fn new(predicate: P, amount: Amount) -> Self {
        Rule { predicate, amount }
    }
}

/// A list of rules: the first one that matches a trace says how much of its like
/// is kept, and where none does, nothing is.
///
/// A slice of [`Rule`]s is one, whose predicates may be boxes, and whatever points
/// to one.
pub trait Rules {
    /// How many bits all of them note.
    fn width(&self) -> u32;

    /// What they note of a span, side by side.
    fn note(&self, span: &SpanView<'_>) -> u64;

    /// How much is kept of what is like this trace, and which rule says so,
    /// counted from 0.
    fn amount_for(&self, trace: &Facts) -> Option<(usize, &Amount)>;

    /// Shows predicates and amounts.
    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<P: Predicate> Rules for [Rule<P>] {
    fn width(&self) -> u32 {
        self.iter().map(|rule| rule.predicate.width()).sum()
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        let (mut notes, mut behind) = (0, 0);
        for Rule { predicate, .. } in self {
            notes |= predicate.note(span).checked_shl(behind).unwrap_or(0);
            behind += predicate.width();
        }
        notes
    }

    fn amount_for(&self, trace: &Facts) -> Option<(usize, &Amount)> {
        let mut facts = *trace;
        self.iter().enumerate().find_map(|(number, Rule { predicate, amount })| {
            let matches = predicate.matches(&facts);
            facts = facts.behind(predicate.width());
            matches.then_some((number, amount))
        })
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter()
            .try_for_each(|Rule { predicate, amount }| write!(f, "[{}:{amount}]", Shown(predicate)))
    }
}

impl<R> Rules for R
where
    R: core::ops::Deref<Target: Rules>,
{
    fn width(&self) -> u32 {
        (**self).width()
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        (**self).note(span)
    }

    fn amount_for(&self, trace: &Facts) -> Option<(usize, &Amount)> {
        (**self).amount_for(trace)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).description(f)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::ComposableSampler as _;
        match self {
            Amount::All => f.write_str("all"),
            Amount::Nothing => f.write_str("nothing"),
            Amount::Part(threshold) => write!(f, "{:.6}", threshold.probability()),
            Amount::Rate(rate) => rate.description(f),
        }
    }
}
