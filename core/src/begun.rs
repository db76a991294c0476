//! How many spans began, by where their parents are and what the sampler decided.
//!
//! Nearly all spans begin below a local parent and are sampled, or below one that is not and
//! are dropped: these are counted where they begin fastest, by the shard. What is
//! counted here is the rest, in place of there.

use crate::sync::{AtomicUsize, Ordering, const_fn};
use crate::{Decision, SpanContext};

/// Where the parent of a span is.
/// ([otel.span.parent.origin](https://opentelemetry.io/docs/specs/semconv/registry/attributes/otel/))
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParentOrigin {
    /// It has none: it is the root of a trace.
    None,
    /// In this process.
    Local,
    /// In another process.
    Remote,
}

impl ParentOrigin {
    /// All of them.
    pub const ALL: [ParentOrigin; 3] =
        [ParentOrigin::None, ParentOrigin::Local, ParentOrigin::Remote];

    /// Where the span is that this is the context of.
    pub const fn of(parent: &SpanContext) -> Self {
        match (parent.is_valid(), parent.is_remote()) {
            (false, _) => ParentOrigin::None,
            (true, false) => ParentOrigin::Local,
            (true, true) => ParentOrigin::Remote,
        }
    }

    /// The name in metrics: `none`, `local`, `remote`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ParentOrigin::None => "none",
            ParentOrigin::Local => "local",
            ParentOrigin::Remote => "remote",
        }
    }
}

/// A reading of how many spans began. Bare targets count two sums alone, as local ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    counts: [u64; PLACES],
}

impl Begun {
    /// Spans with such a parent about which the sampler decided so.
    pub const fn count(&self, origin: ParentOrigin, decision: Decision) -> u64 {
        self.counts[place(origin, decision)]
    }

    pub(crate) fn add(&mut self, origin: ParentOrigin, decision: Decision, spans: usize) {
        self.counts[place(origin, decision)] += spans as u64;
    }

    /// Adds what the counters hold.
    pub(crate) fn add_all(&mut self, counters: &BegunCounters) {
        for (count, counter) in self.counts.iter_mut().zip(&counters.0) {
            // Ordering: Relaxed, as for the shard's own counters.
            *count += counter.load(Ordering::Relaxed) as u64;
        }
    }
}

/// The counters behind a [`Begun`], apart from the shard's own two, whose places stay 0.
#[derive(Debug)]
pub(crate) struct BegunCounters([AtomicUsize; COUNTERS]);

impl BegunCounters {
    const_fn! {
        pub(crate) fn new() -> Self {
            BegunCounters([
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))] AtomicUsize::new(0),
            ])
        }
    }

    /// Where this is counted, if not by the shard.
    #[inline(always)]
    pub(crate) fn of(&self, parent: &SpanContext, decision: Decision) -> Option<&AtomicUsize> {
        if COUNTERS == 0 {
            return None;
        }
        let origin = ParentOrigin::of(parent);
        let is_usual = origin == ParentOrigin::Local && decision != Decision::RecordOnly;
        if is_usual { None } else { self.0.get(place(origin, decision)) }
    }

    /// What was recorded, and what was not.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn sums(&self) -> (u64, u64) {
        if COUNTERS == 0 {
            return (0, 0);
        }
        // Ordering: Relaxed, as for the shard's own counters.
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
        let (mut recorded, mut dropped) = (0, 0);
        // In each origin's three, that of `Drop` is the first.
        for of_origin in self.0.chunks(3) {
            if let [drop, record_only, record_and_sample] = of_origin {
                recorded += load(record_only) + load(record_and_sample);
                dropped += load(drop);
            }
        }
        (recorded, dropped)
    }
}

const fn place(origin: ParentOrigin, decision: Decision) -> usize {
    let decision = match decision {
        Decision::Drop => 0,
        Decision::RecordOnly => 1,
        Decision::RecordAndSample => 2,
    };
    origin as usize * 3 + decision
}

const PLACES: usize = 9;

/// Bare targets, where memory and code are dear, do without.
const COUNTERS: usize = if cfg!(target_os = "none") { 0 } else { PLACES };
