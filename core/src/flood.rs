//! Floods: more children of one span, or spans from one place, than anybody reads.
//!
//! ```text
//!   parent ──▶ child 1 … child 10,000      exported
//!          └─▶ child 10,001 …              timed, and told by the parent:
//!                                          how many, sum, shortest, longest
//! ```
//!
//! A surplus child stands for its parent: it has its ids, so what begins below it,
//! here or in another process, is below the parent, and surplus too. It takes a
//! slot while it lives, it is in the ledger, and its end adds to the parent's
//! [summary](crate::SurplusSummary).

use crate::live::{Live, Opening, Slot};
use crate::sampler::TokenBucket;
use crate::start::UNIX;
use crate::surplus::{Surplus, SurplusSummary};
use crate::sync::{AtomicPtr, Ordering};
use crate::writer::Writer;
use crate::{Callsite, Key, Pipeline, SpanContext, SpanKind};

/// How many spans are exported one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanBudgets {
    /// Children of one span that are exported; `u32::MAX` is without limit. 10,000 by
    /// default: a backend shows no trace with so many, and a loop makes them in
    /// milliseconds.
    ///
    /// Children are those that begin in this process below a span that is under way
    /// and exported itself. Those of a span that has ended, or is of another
    /// process, have nobody to tell of them and are not limited; nor are roots, of
    /// which a sampler may limit the rate.
    pub children_per_span: u32,
    /// Spans that each call site begins per second, with bursts of as many; `None`,
    /// the default, is without limit. It counts children as above. It is off by default,
    /// since to ask costs each span a reading of the system's clock and an exchange that
    /// threads share: some tens of nanoseconds. On servers the budgets are a table of
    /// 1,024, where a call site takes the first free one of 16 places; one that finds
    /// none has no limit.
    pub spans_per_callsite_per_second: Option<u32>,
}

impl SpanBudgets {
    /// The defaults.
    pub const fn new() -> Self {
        SpanBudgets { children_per_span: 10_000, spans_per_callsite_per_second: None }
    }
}

impl Default for SpanBudgets {
    fn default() -> Self {
        Self::new()
    }
}

/// Attribute of a span: children that were not exported, since there were too many.
pub const SURPLUS_COUNT_ATTRIBUTE: &str = COUNT.as_str();
/// Attribute: how many nanoseconds they took together.
pub const SURPLUS_SUM_ATTRIBUTE: &str = SUM.as_str();
/// Attribute: nanoseconds of the shortest.
pub const SURPLUS_MIN_ATTRIBUTE: &str = MIN.as_str();
/// Attribute: nanoseconds of the longest.
pub const SURPLUS_MAX_ATTRIBUTE: &str = MAX.as_str();
/// Attribute: how many of them are not in the durations, since they were under way
/// when the span ended, or began and ended on different clocks. Not there if none.
pub const SURPLUS_UNTIMED_ATTRIBUTE: &str = UNTIMED.as_str();

static COUNT: Key = Key::new("throughline.surplus.count");
static SUM: Key = Key::new("throughline.surplus.sum_ns");
static MIN: Key = Key::new("throughline.surplus.min_ns");
static MAX: Key = Key::new("throughline.surplus.max_ns");
static UNTIMED: Key = Key::new("throughline.surplus.untimed");

/// The budget of one call site in one pipeline.
#[derive(Debug)]
pub struct CallsiteBudget {
    /// Null as long as no call site has it.
    callsite: AtomicPtr<Callsite>,
    bucket: TokenBucket,
}

impl CallsiteBudget {
    /// One that no call site has yet, of so many spans per second.
    pub fn new(spans_per_second: u32) -> Self {
        let second = core::time::Duration::from_secs(1);
        let bucket = TokenBucket::new(spans_per_second.max(1), spans_per_second, second);
        CallsiteBudget { callsite: AtomicPtr::new(core::ptr::null_mut()), bucket }
    }

    /// Whether it is the call site's, from now on at least.
    pub(crate) fn is_of(&self, callsite: &'static Callsite) -> bool {
        let callsite = core::ptr::from_ref(callsite).cast_mut();
        let null = core::ptr::null_mut();
        // Ordering: Relaxed; nothing is read through it, and once it is set it stays.
        let owner = self.callsite.load(Ordering::Relaxed);
        if owner != null {
            return owner == callsite;
        }
        match self.callsite.compare_exchange(null, callsite, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(owner) => owner == callsite,
        }
    }

    /// Whether one more span fits.
    pub(crate) fn take(&self, nanos: u64) -> bool {
        self.bucket.take(nanos)
    }
}

/// The budgets of a pipeline, and the memory that they take.
#[derive(Debug)]
pub struct Floods {
    /// How many spans are exported one by one.
    pub budgets: SpanBudgets,
    /// One for each slot.
    pub summaries: &'static [SurplusSummary],
    /// Budgets of call sites, or none if those have no limit.
    pub callsites: &'static [CallsiteBudget],
    /// As [`Platform::nanos_of`](crate::Platform::nanos_of).
    pub nanos_of: fn(u64, u64) -> u64,
}

impl Floods {
    /// Whether the call site has its share of this second.
    fn allows(&self, callsite: &'static Callsite, nanos: impl FnOnce() -> u64) -> bool {
        let Some(last) = self.callsites.len().checked_sub(1) else { return true };
        // Statics lie beside each other.
        let first = core::ptr::from_ref(callsite).addr() / align_of::<Callsite>();
        let places = (first..first + LOOKS).map(|place| place.wrapping_mul(ODD) % (last + 1));
        let mut budgets = places.filter_map(|place| self.callsites.get(place));
        budgets.find(|budget| budget.is_of(callsite)).is_none_or(|budget| budget.take(nanos()))
    }
}

/// The slot of the parent, if a child of it is one too many.
pub(crate) fn over_budget(
    pipeline: &'static Pipeline,
    above: Option<&'static Slot>,
    parent: &SpanContext,
    callsite: &'static Callsite,
    nanos: impl FnOnce() -> u64,
) -> Option<&'static Slot> {
    if !SUPPORTED || !parent.is_sampled() || parent.is_remote() {
        return None;
    }
    let above = above.filter(|above| core::ptr::eq(above.pipeline(), pipeline))?;
    let generation = above.generation_of(parent.span_id())?;
    let floods = pipeline.floods()?;
    let is_limited = floods.budgets.children_per_span < u32::MAX;
    let is_within = (!is_limited || above.take_child()) && floods.allows(callsite, nanos);
    if is_within {
        return None;
    }
    let index = pipeline.live_table().index_of(above);
    // Without room for a summary it is a child like any other.
    floods.summaries.get(index)?.begin(generation).then(|| {
        above.set_flooded();
        above
    })
}

/// How a surplus child begins: with the ids of its parent.
pub(crate) fn surplus_opening(
    parent: &SpanContext,
    kind: SpanKind,
    start: u64,
    callsite: &'static Callsite,
) -> Opening {
    Opening {
        trace: parent.trace_id(),
        span: parent.span_id(),
        flags: parent.trace_flags(),
        parent: parent.span_id(),
        remote_parent: false,
        kind,
        start,
        callsite,
    }
}

/// A surplus child ends: its parent shall tell of it.
pub(crate) fn settle(live: &Live, end: u64) {
    let Some(floods) = live.pipeline().floods() else { return };
    let (index, above) = live.above();
    let nanos = match (live.start(), end) {
        (start, end) if (start | end) & UNIX == 0 => {
            (floods.nanos_of)(end.saturating_sub(start), end)
        }
        (start, end) if start & end & UNIX != 0 => end.saturating_sub(start),
        // On different clocks.
        _ => return,
    };
    let summary = floods.summaries.get(index);
    if let (Some(summary), Some(generation)) = (summary, above.generation_of(live.span_id())) {
        summary.end(generation, nanos);
    }
}

/// A span that had surplus children ends: it tells of them.
pub(crate) fn tell(live: &mut Live) {
    let index = live.pipeline().live_table().index_of(live.slot());
    let Some(generation) = live.generation_of(live.span_id()) else { return };
    let summary = live.pipeline().floods().and_then(|floods| floods.summaries.get(index));
    let Some(summary) = summary else { return };
    let Surplus { begun, timed, sum_nanos, min_nanos, max_nanos } = summary.read(generation);
    if begun == 0 {
        return;
    }
    let mut span = Writer::new(live);
    let mut add = |key: &Key, number: u64| span.add_always(key, number as i64);
    add(&COUNT, begun);
    if timed > 0 {
        add(&SUM, sum_nanos);
        add(&MIN, min_nanos);
        add(&MAX, max_nanos);
    }
    if begun > timed {
        add(&UNTIMED, begun - timed);
    }
}

/// Where code is dearer than all of this, or numbers are too small, there are no
/// budgets.
pub(crate) const SUPPORTED: bool =
    cfg!(any(throughline_loom, all(target_has_atomic = "64", not(target_os = "none"))));

/// So many places are looked at before a call site does without a budget.
const LOOKS: usize = 16;
/// Spreads neighbours; the fraction of the golden section, in so many bits.
const ODD: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;

#[cfg(all(test, not(throughline_loom)))]
mod tests {
    use std::boxed::Box;
    use std::vec;

    use super::*;
    use crate::live::Place;
    use crate::scaffold::{WORK, opening, parts};

    /// Whether one more child is too many, of a span that has none left.
    fn is_over(children_per_span: u32) -> bool {
        let floods = Box::leak(Box::new(Floods {
            budgets: SpanBudgets { children_per_span, ..SpanBudgets::new() },
            summaries: vec![SurplusSummary::new()].leak(),
            callsites: &[],
            nanos_of: |ticks, _| ticks,
        }));
        let pipeline = Box::leak(Box::new(Pipeline::new(parts(1, 0)).with_budgets(floods)));
        let live = pipeline.open(0, &Place::new(0), opening, None).expect("room");
        live.set_children_left(0);
        over_budget(pipeline, Some(live.slot()), &live.context(), &WORK, || 0).is_some()
    }

    #[test]
    fn a_budget_without_limit_is_never_used_up() {
        assert!(is_over(u32::MAX - 1));
        assert!(!is_over(u32::MAX));
    }
}
