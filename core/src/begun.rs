//! How many spans began, by where their parents are and what the sampler decided.

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
    counts: Table<u64>,
}

impl Begun {
    /// Spans with such a parent about which the sampler decided so.
    pub fn count(&self, origin: ParentOrigin, decision: Decision) -> u64 {
        if IS_SMALL && origin != ParentOrigin::Local {
            return 0;
        }
        *Begins::below(origin, decision).of(&self.counts)
    }

    /// Adds what the counters hold.
    pub(crate) fn add(&mut self, counters: &BegunCounters) {
        let counts = self.counts.as_flattened_mut().iter_mut();
        for (count, counter) in counts.zip(counters.0.as_flattened()) {
            // Ordering: Relaxed, no value is read through it.
            *count += counter.load(Ordering::Relaxed) as u64;
        }
    }
}

/// As what a span that begins is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begins {
    origin: usize,
    decision: usize,
}

impl Begins {
    /// Below a sampled span of this process, sampled.
    pub(crate) const LOCAL_SAMPLED: Self =
        Begins::below(ParentOrigin::Local, Decision::RecordAndSample);
    /// Below a span of this process that is dropped, and dropped.
    pub(crate) const LOCAL_DROPPED: Self = Begins::below(ParentOrigin::Local, Decision::Drop);

    #[inline(always)]
    pub(crate) fn new(parent: &SpanContext, decision: Decision) -> Self {
        let origin = if IS_SMALL { ParentOrigin::Local } else { ParentOrigin::of(parent) };
        Begins::below(origin, decision)
    }

    #[inline(always)]
    const fn below(origin: ParentOrigin, decision: Decision) -> Self {
        let decision = match decision {
            Decision::Drop => 0,
            Decision::RecordOnly if !IS_SMALL => 1,
            Decision::RecordOnly | Decision::RecordAndSample => DECISIONS - 1,
        };
        let origin = if IS_SMALL { 0 } else { origin as usize };
        Begins { origin, decision }
    }

    /// Its place.
    #[inline(always)]
    fn of<T>(self, table: &Table<T>) -> &T {
        &table[self.origin][self.decision]
    }
}

/// The counters behind a [`Begun`].
#[derive(Debug)]
pub(crate) struct BegunCounters(Table<AtomicUsize>);

impl BegunCounters {
    const_fn! {
        pub(crate) fn new() -> Self {
            #[cfg(target_os = "none")]
            return BegunCounters([[AtomicUsize::new(0), AtomicUsize::new(0)]]);
            #[cfg(not(target_os = "none"))]
            BegunCounters([
                [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)],
                [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)],
                [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)],
            ])
        }
    }

    /// Counts a span, maybe while other threads do.
    #[inline(always)]
    pub(crate) fn count(&self, begins: Begins) {
        // Ordering: Relaxed; `submit` or `count_dropped` releases it.
        begins.of(&self.0).fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a span where no other thread does meanwhile.
    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    pub(crate) fn count_alone(&self, begins: Begins) {
        let counter = begins.of(&self.0);
        // Ordering: Relaxed, as in `count`. What is loaded is the thread's own, or acquired
        // from the former one to count here.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// How many were dropped, or how many were not.
    pub(crate) fn sum(&self, is_dropped: bool) -> u64 {
        // Ordering: Relaxed; `Counters::read` acquired what came after the counts.
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
        let of_origin = |[dropped, recorded @ ..]: &[AtomicUsize; DECISIONS]| {
            if is_dropped { load(dropped) } else { recorded.iter().map(load).sum() }
        };
        self.0.iter().map(of_origin).sum()
    }
}

/// By the origin of the parent, and then by decision: `Drop` is the first.
type Table<T> = [[T; DECISIONS]; ORIGINS];

/// Bare targets, where memory and code are dear, count two sums.
const IS_SMALL: bool = cfg!(target_os = "none");
const ORIGINS: usize = if IS_SMALL { 1 } else { ParentOrigin::ALL.len() };
const DECISIONS: usize = if IS_SMALL { 2 } else { 3 };
