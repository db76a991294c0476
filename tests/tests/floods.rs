//! Children beyond a budget: timed, told by their parent, and in the ledger.

use core::time::Duration;

use throughline::{DropReason, SpanBudgets};
use throughline_core::{
    Action, Callsite, CallsiteBudget, Context, Floods, Ledger, Pipeline, SURPLUS_COUNT_ATTRIBUTE,
    SURPLUS_MAX_ATTRIBUTE, SURPLUS_MIN_ATTRIBUTE, SURPLUS_SUM_ATTRIBUTE, SURPLUS_UNTIMED_ATTRIBUTE,
    Scope, Span, SpanOptions, SpanView, SurplusSummary, ValueView,
};
use throughline_tests::simulation::{Setup, Virtual, VirtualFlusher};

#[test]
fn the_parent_tells_how_many_there_were_and_how_long_they_took() {
    tells(Flood::new(budgets(3)));
}

#[test]
fn a_sampler_that_decides_late_makes_no_difference() {
    tells(Flood::decided_late(budgets(3)));
}

fn tells(mut flood: Flood) {
    let mut parent = flood.start("parent");
    flood.below(&mut parent, || {
        for nanos in [100, 200, 300, 7, 40, 5, 20] {
            flood.child(nanos);
        }
    });
    assert_eq!(names(&flood.exported()), ["child", "child", "child"]);
    flood.balanced(1);
    parent.end();
    let spans = flood.exported();
    assert_eq!(names(&spans), ["parent"]);
    assert_eq!(spans[0].told, told(4, Some((72, 5, 40)), None));
    assert_eq!((flood.ledger().dropped(DropReason::Surplus), flood.ledger().started()), (4, 8));
    flood.balanced(0);
}

#[test]
fn a_parent_within_its_budget_tells_nothing() {
    let mut flood = Flood::new(budgets(3));
    let mut parent = flood.start("parent");
    flood.below(&mut parent, || (0..3).for_each(|_| flood.child(1)));
    parent.end();
    let spans = flood.exported();
    assert_eq!((spans.len(), &spans[3].told), (4, &vec![]));
    assert_eq!(flood.ledger().dropped_total(), 0);
}

#[test]
fn a_surplus_child_stands_for_its_parent_and_so_does_what_is_below_it() {
    let mut flood = Flood::new(budgets(1));
    let mut parent = flood.start("parent");
    let ids = parent.span_context();
    flood.below(&mut parent, || {
        flood.child(1);
        let mut filled = false;
        let surplus = Span::<Virtual>::start(&CHILD, |_| filled = true);
        assert!(!filled && !surplus.is_recording(), "nothing is kept of it");
        assert_eq!(surplus.span_context(), ids);
        assert_eq!(surplus.context().span_context(), ids);
        let captured = surplus.context();
        surplus.in_scope(|| {
            assert!(!throughline_core::CurrentSpan::<Virtual>::set_attribute("key", 1));
            let below = Span::<Virtual>::start(&CHILD, |_| ());
            assert_eq!((below.span_context(), below.is_recording()), (ids, false));
            below.end();
        });
        // On another thread, and after its end.
        Virtual::be_producer(1);
        captured.scope(|| flood.child(1));
        Virtual::be_producer(0);
    });
    parent.end();
    let spans = flood.exported();
    assert_eq!(names(&spans), ["child", "parent"]);
    assert_eq!(spans[1].told[0], ("throughline.surplus.count", 3));
    flood.balanced(0);
}

#[test]
fn children_that_begin_elsewhere_count_too() {
    let mut flood = Flood::new(budgets(4));
    let mut parent = flood.start("parent");
    let context = parent.context();
    // In turn: below the span itself, in its context on another thread, and with the
    // context as an argument.
    for _ in 0..3 {
        Virtual::be_producer(0);
        flood.below(&mut parent, || flood.child(1));
        Virtual::be_producer(1);
        context.scope(|| flood.child(1));
        Virtual::be_producer(2);
        Span::start_with(&CHILD, SpanOptions::new().parent(&context), |_| ()).end();
    }
    Virtual::be_producer(0);
    parent.end();
    let spans = flood.exported();
    assert_eq!(spans.len(), 4 + 1);
    let parent = spans.iter().find(|span| span.name == "parent").expect("it is exported");
    assert_eq!(parent.told[0], ("throughline.surplus.count", 9 - 4));
    flood.balanced(0);
}

#[test]
fn a_child_that_outlives_its_parent_is_told_as_untimed() {
    let mut flood = Flood::new(budgets(0));
    let mut parent = flood.start("parent");
    let late = flood.below(&mut parent, || {
        flood.child(5);
        Span::<Virtual>::start(&CHILD, |_| ())
    });
    parent.end();
    // Another span has the slot now, and surplus children of its own.
    let mut next = flood.start("next");
    flood.below(&mut next, || flood.child(9));
    Virtual::set_ticks(1_000_000);
    late.end();
    next.end();
    let spans = flood.exported();
    assert_eq!(names(&spans), ["parent", "next"]);
    assert_eq!(spans[0].told, told(2, Some((5, 5, 5)), Some(1)));
    assert_eq!(spans[1].told, told(1, Some((9, 9, 9)), None));
    assert_eq!(flood.ledger().dropped(DropReason::Surplus), 3);
    flood.balanced(0);
}

#[test]
fn children_of_a_span_that_has_ended_are_not_limited() {
    let mut flood = Flood::new(budgets(1));
    let parent = flood.start("parent");
    let context = parent.context();
    parent.end();
    context.scope(|| (0..5).for_each(|_| flood.child(1)));
    assert_eq!(flood.exported().len(), 6);
    // Nor are those of a span of another process, whose ids are as good as any.
    let remote = Context::<Virtual>::remote(
        throughline::SpanContext::remote(
            context.span_context().trace_id(),
            context.span_context().span_id(),
            context.span_context().trace_flags(),
        ),
        Default::default(),
    );
    remote.with_pipeline(flood.pipeline).scope(|| (0..5).for_each(|_| flood.child(1)));
    assert_eq!(flood.exported().len(), 5);
    assert_eq!(flood.ledger().dropped_total(), 0);
}

#[test]
fn what_is_not_exported_has_no_budget() {
    let mut flood = Flood::decided_late(budgets(0));
    // The simulation's sampler records it without exporting it.
    let mut aside = flood.start("kept aside");
    flood.below(&mut aside, || flood.child(1));
    aside.end();
    assert_eq!(names(&flood.exported()), ["child"]);
    assert_eq!(flood.ledger().dropped(DropReason::Surplus), 0);
}

#[test]
fn the_summary_counts_against_no_limit_of_attributes() {
    let mut setup = Setup { is_parent_based: true, ..Setup::small() };
    setup.limits.attribute_count = 1;
    let mut flood = Flood::with(&setup, budgets(0), 0);
    let mut parent = flood.start("parent");
    parent.set_attribute("key", 1);
    flood.below(&mut parent, || flood.child(3));
    parent.end();
    let spans = flood.exported();
    assert_eq!(spans[0].told, told(1, Some((3, 3, 3)), None));
}

#[test]
fn times_that_the_program_gives_are_told_where_both_are_given() {
    let mut flood = Flood::new(budgets(0));
    let mut parent = flood.start("parent");
    flood.below(&mut parent, || {
        let given = || SpanOptions::<Virtual>::new().start_unix_nanos(1_000);
        Span::start_with(&CHILD, given(), |_| ()).end_at(1_300);
        Span::start_with(&CHILD, given(), |_| ()).end();
        Span::<Virtual>::start(&CHILD, |_| ()).end_at(2_000);
    });
    parent.end();
    assert_eq!(flood.exported()[0].told, told(3, Some((300, 300, 300)), Some(2)));
}

#[test]
fn a_surplus_child_without_a_slot_is_counted_as_that() {
    let mut flood = Flood::new(budgets(0));
    let mut parent = flood.start("parent");
    let ids = parent.span_context();
    flood.below(&mut parent, || {
        let children: Vec<_> = (0..8).map(|_| Span::<Virtual>::start(&CHILD, |_| ())).collect();
        assert!(children.iter().all(|child| child.span_context() == ids));
    });
    parent.end();
    let ledger = flood.ledger();
    // Eight slots, one of them the parent's.
    assert_eq!(ledger.dropped(DropReason::Surplus), 7);
    assert_eq!(ledger.dropped(DropReason::LiveTableFull), 1);
    flood.exported();
    flood.balanced(0);
}

#[test]
fn a_live_surplus_child_says_what_it_is() {
    let flood = Flood::new(budgets(0));
    let mut parent = flood.start("parent");
    let child = flood.below(&mut parent, || Span::<Virtual>::start(&CHILD, |_| ()));
    let live: Vec<_> =
        flood.pipeline.live_spans().map(|live| (live.name, live.is_surplus)).collect();
    assert_eq!(live, [("parent", false), ("child", true)]);
    drop((child, parent));
}

#[test]
fn a_call_site_has_its_share_of_each_second_and_others_have_theirs() {
    let setup = Setup { is_parent_based: true, ..Setup::small() };
    let mut flood = Flood::with(&setup, SpanBudgets::new(), 2);
    let second = Duration::from_secs(1).as_nanos() as u64;
    Virtual::set_ticks(10 * second);
    let mut parent = flood.start("parent");
    flood.below(&mut parent, || {
        (0..5).for_each(|_| flood.child(0));
        Span::<Virtual>::start(&OTHER, |_| ()).end();
        Virtual::set_ticks(12 * second);
        (0..3).for_each(|_| flood.child(0));
    });
    parent.end();
    let spans = flood.exported();
    assert_eq!(names(&spans), ["child", "child", "other", "child", "child", "parent"]);
    assert_eq!(spans[5].told[0], ("throughline.surplus.count", 4));
    // Roots have nobody to tell of them.
    for _ in 0..5 {
        flood.start("root").end();
    }
    assert_eq!(flood.exported().len(), 5);
    flood.balanced(0);
}

#[test]
fn a_flood_from_many_threads_is_told_as_a_whole() {
    let mut setup = Setup { is_parent_based: true, ..Setup::small() };
    (setup.slots, setup.ring_units, setup.batch_entries) = (64, 4_096, 2_000);
    setup.batch_bytes = 400_000;
    let (count, threads) = (500, 4);
    let mut flood = Flood::with(&setup, budgets(100), 0);
    let parent = flood.start("parent");
    let context = parent.context();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let context = context.clone();
            scope.spawn(move || {
                context.scope(|| {
                    for _ in 0..count {
                        Virtual::set_ticks(50);
                        let child = Span::<Virtual>::start(&CHILD, |_| ());
                        Virtual::set_ticks(53);
                        child.end();
                    }
                });
            });
        }
    });
    parent.end();
    let spans = flood.exported();
    let surplus = threads * count - (spans.len() as u64 - 1);
    let parent = spans.iter().find(|span| span.name == "parent").expect("it is exported");
    // Those that find the summary in other hands are exported too.
    assert!((1..=threads * count - 100).contains(&surplus), "{surplus}");
    assert_eq!(parent.told, told(surplus, Some((3 * surplus, 3, 3)), None));
    assert_eq!(flood.ledger().dropped(DropReason::Surplus), surplus);
    flood.balanced(0);
}

#[test]
fn without_a_limit_nothing_is_surplus() {
    let mut flood = Flood::new(budgets(u32::MAX));
    let mut parent = flood.start("parent");
    flood.below(&mut parent, || (0..6).for_each(|_| flood.child(1)));
    parent.end();
    assert_eq!(flood.exported().len(), 7);
}

/// A pipeline with budgets on a virtual clock.
struct Flood {
    pipeline: &'static Pipeline,
    flusher: VirtualFlusher,
}

/// A span that was exported, and what it tells of others.
struct Exported {
    name: String,
    told: Vec<(&'static str, u64)>,
}

impl Flood {
    fn new(budgets: SpanBudgets) -> Self {
        let setup = Setup { is_parent_based: true, ..Setup::small() };
        Self::with(&setup, budgets, 0)
    }

    /// With a sampler that decides when a span has its first attributes.
    fn decided_late(budgets: SpanBudgets) -> Self {
        Self::with(&Setup::small(), budgets, 0)
    }

    fn with(setup: &Setup, budgets: SpanBudgets, per_second: u32) -> Self {
        Virtual::set_ticks(0);
        Virtual::be_producer(0);
        let summaries: Vec<_> = (0..setup.slots).map(|_| SurplusSummary::new()).collect();
        let callsites = if per_second == 0 { 0 } else { 64 };
        let callsites: Vec<_> = (0..callsites).map(|_| CallsiteBudget::new(per_second)).collect();
        let (pipeline, flusher) = setup.build_with(|pipeline| {
            pipeline.with_budgets(Box::leak(Box::new(Floods {
                budgets,
                summaries: summaries.leak(),
                callsites: callsites.leak(),
                nanos_of: |ticks, _| ticks,
            })))
        });
        Flood { pipeline, flusher }
    }

    /// Begins a root of this name.
    fn start(&self, name: &'static str) -> Span<Virtual> {
        let context = Context::empty().with_pipeline(self.pipeline);
        let callsite: &'static Callsite = Box::leak(Box::new(Callsite::new(name, &SCOPE)));
        Span::start_with(callsite, SpanOptions::new().parent(&context), |_| ())
    }

    /// Runs the work below the span.
    fn below<R>(&self, span: &mut Span<Virtual>, work: impl FnOnce() -> R) -> R {
        span.enter_for(work)
    }

    /// A child of what is current, which takes so long.
    fn child(&self, nanos: u64) {
        let child = Span::<Virtual>::start(&CHILD, |_| ());
        Virtual::set_ticks(<Virtual as throughline_core::Platform>::ticks() + nanos);
        child.end();
    }

    /// What was exported since the last call.
    fn exported(&mut self) -> Vec<Exported> {
        let mut spans = Vec::new();
        self.flusher.flush();
        loop {
            match self.flusher.poll(Duration::ZERO, Virtual::unix_nanos) {
                Action::Export => {
                    spans.extend(self.flusher.batch().spans().map(|(_, span)| exported(&span)));
                    self.flusher.on_export(Duration::ZERO, Ok(Default::default()));
                }
                Action::Yield => {}
                Action::Wait { .. } | Action::Finished => return spans,
            }
        }
    }

    fn ledger(&self) -> Ledger {
        self.pipeline.ledger()
    }

    /// So many spans are under way, and all others were exported or are counted.
    #[track_caller]
    fn balanced(&mut self, live: u64) {
        self.exported();
        let ledger = self.ledger();
        assert_eq!((ledger.in_flight(), self.pipeline.live_count() as u64), (live, live));
        assert_eq!(ledger.started(), ledger.exported() + ledger.dropped_total() + live);
    }
}

fn budgets(children: u32) -> SpanBudgets {
    let mut budgets = SpanBudgets::new();
    budgets.children_per_span = children;
    budgets
}

fn names(spans: &[Exported]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// What a span tells of so many children.
fn told(
    count: u64,
    sum_min_max: Option<(u64, u64, u64)>,
    untimed: Option<u64>,
) -> Vec<(&'static str, u64)> {
    let (sum, min, max) =
        sum_min_max.map_or((None, None, None), |(sum, min, max)| (Some(sum), Some(min), Some(max)));
    let values = [Some(count), sum, min, max, untimed];
    KEYS.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
}

fn exported(span: &SpanView<'_>) -> Exported {
    let value = |key| match span.attribute(key) {
        Some(ValueView::I64(number)) => Some((key, number as u64)),
        _ => None,
    };
    let told = KEYS.into_iter().filter_map(value).collect();
    Exported { name: span.name().to_owned(), told }
}

const KEYS: [&str; 5] = [
    SURPLUS_COUNT_ATTRIBUTE,
    SURPLUS_SUM_ATTRIBUTE,
    SURPLUS_MIN_ATTRIBUTE,
    SURPLUS_MAX_ATTRIBUTE,
    SURPLUS_UNTIMED_ATTRIBUTE,
];

static SCOPE: Scope = Scope::new("floods", "");
static CHILD: Callsite = Callsite::new("child", &SCOPE);
static OTHER: Callsite = Callsite::new("other", &SCOPE);
