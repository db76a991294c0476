//! Different samplers for different spans.

use core::fmt;

use super::composable::{AddAttribute, Composable};
use super::predicate::Shown;
use super::{ComposableSampler, Predicate, SamplingIntent, SamplingParameters};
use crate::w3c::TraceStateBuf;

/// The first rule that matches a span says how much of its like is kept; nothing
/// where none does.
///
/// ```
/// use throughline_core::{
///     AnySpan, ComposableAlwaysOff, ComposableProbability, ComposableRuleBased, HasKind, HasName,
///     HasRoute, Predicate, SpanKind,
/// };
///
/// let rules = ComposableRuleBased::new()
///     .rule(HasRoute("/health*"), ComposableAlwaysOff)
///     .rule(HasKind(SpanKind::Server).and(HasRoute("/api/*")), ComposableProbability::new(0.1))
///     .rule(HasName("nightly").or(HasName("weekly")), ComposableProbability::new(1.0))
///     .rule(AnySpan, ComposableProbability::new(0.01));
/// # let _ = rules;
/// ```
///
/// A list whose length is known at run time only is a slice of [`Rule`]s, given to
/// [`ComposableRuleBased::of`].
/// ([ComposableRuleBased](https://opentelemetry.io/docs/specs/otel/trace/sdk/#composablerulebased))
#[derive(Clone, Copy, Debug)]
pub struct ComposableRuleBased<L> {
    rules: L,
}

/// Which spans, and how much of them.
#[derive(Clone, Copy, Debug)]
pub struct Rule<P, S> {
    /// Which spans.
    pub predicate: P,
    /// How much of them.
    pub sampler: S,
}

impl ComposableRuleBased<NoRules> {
    /// Keeps nothing, until it has rules.
    pub const fn new() -> Self {
        ComposableRuleBased { rules: NoRules }
    }
}

impl Default for ComposableRuleBased<NoRules> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Rules> ComposableRuleBased<L> {
    /// Goes by these rules: a slice of [`Rule`]s, whose types may be boxes.
    pub const fn of(rules: L) -> Self {
        ComposableRuleBased { rules }
    }

    /// Keeps so much of these spans, if no former rule matches.
    pub fn rule<P: Predicate, S: ComposableSampler>(
        self,
        predicate: P,
        sampler: S,
    ) -> ComposableRuleBased<Then<L, P, S>> {
        ComposableRuleBased { rules: Then(self.rules, Rule { predicate, sampler }) }
    }
}

impl<L: Rules> ComposableSampler for ComposableRuleBased<L> {
    fn sampling_intent(&self, span: &SamplingParameters<'_>) -> SamplingIntent {
        match self.rules.sampler_for(span) {
            Some(sampler) => sampler.sampling_intent(span),
            None => SamplingIntent::NOTHING,
        }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComposableRuleBased{")?;
        self.rules.describe(f)?;
        f.write_str("}")
    }

    fn accept(&self, span: &SamplingParameters<'_>, attributes: &mut AddAttribute<'_>) -> bool {
        self.rules.sampler_for(span).is_none_or(|sampler| sampler.accept(span, attributes))
    }

    fn trace_state(
        &self,
        span: &SamplingParameters<'_>,
        is_sampled: bool,
    ) -> Option<TraceStateBuf> {
        self.rules.sampler_for(span)?.trace_state(span, is_sampled)
    }

    fn decides_early(&self) -> bool {
        self.rules.decide_early()
    }
}

/// No rules; see [`ComposableRuleBased::new`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRules;

/// Rules and one behind them; made by [`ComposableRuleBased::rule`].
#[derive(Clone, Copy, Debug)]
pub struct Then<L, P, S>(L, Rule<P, S>);

/// A list of rules, in the order in which they are tried.
pub trait Rules: Sync {
    /// The sampler of the first rule that matches.
    fn sampler_for(&self, span: &SamplingParameters<'_>) -> Option<&dyn ComposableSampler>;

    /// Shows predicates and samplers.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Whether all of it does.
    fn decide_early(&self) -> bool;
}

impl Rules for NoRules {
    fn sampler_for(&self, _: &SamplingParameters<'_>) -> Option<&dyn ComposableSampler> {
        None
    }

    fn describe(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    fn decide_early(&self) -> bool {
        true
    }
}

impl<L: Rules, P: Predicate, S: ComposableSampler> Rules for Then<L, P, S> {
    fn sampler_for(&self, span: &SamplingParameters<'_>) -> Option<&dyn ComposableSampler> {
        self.0.sampler_for(span).or_else(|| self.1.sampler_of(span))
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)?;
        self.1.describe(f)
    }

    fn decide_early(&self) -> bool {
        self.0.decide_early() && self.1.decides_early()
    }
}

impl<P: Predicate, S: ComposableSampler> Rules for &[Rule<P, S>] {
    fn sampler_for(&self, span: &SamplingParameters<'_>) -> Option<&dyn ComposableSampler> {
        self.iter().find_map(|rule| rule.sampler_of(span))
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|rule| rule.describe(f))
    }

    fn decide_early(&self) -> bool {
        self.iter().all(Rule::decides_early)
    }
}

impl<P: Predicate, S: ComposableSampler> Rule<P, S> {
    fn sampler_of(&self, span: &SamplingParameters<'_>) -> Option<&dyn ComposableSampler> {
        self.predicate.matches(span).then_some(&self.sampler as &dyn ComposableSampler)
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{}]", Shown(&self.predicate), Composable(&self.sampler))
    }

    fn decides_early(&self) -> bool {
        self.predicate.decides_early() && self.sampler.decides_early()
    }
}
