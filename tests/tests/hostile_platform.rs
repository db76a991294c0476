//! A platform whose own code panics, at each place where a span calls it: the span
//! ends once, and its slot is given back once.

use core::cell::Cell;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use throughline_core::w3c::{Baggage, TraceState, TraceStateBuf};
use throughline_core::{
    AlwaysOn, Bridge, Callsite, Carry, Context, FrameTag, Local, Parts, Pipeline, Platform, Scope,
    Seed, Shard, Slot, Span, SpanLimits, TakenWord, TraceId, UNIT, Unit, Wakeup,
};

/// Where the code of the platform panics next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trap {
    Nowhere,
    Clock,
    Wakeup,
    DropOfCarried,
}

thread_local! {
    static TRAP: Cell<Trap> = const { Cell::new(Trap::Nowhere) };
    static HAS_BRIDGE: Cell<bool> = const { Cell::new(false) };
    static LOCAL: Local<Hostile> = const { Local::new() };
}

fn pass(place: Trap) {
    if TRAP.get() == place {
        TRAP.set(Trap::Nowhere);
        panic!("{place:?}");
    }
}

#[derive(Debug)]
enum Hostile {}

impl Platform for Hostile {
    type Carried = Baggages;

    fn ticks() -> u64 {
        pass(Trap::Clock);
        1
    }

    fn with_local<R>(use_it: impl FnOnce(&Local<Self>) -> R) -> R {
        LOCAL.with(use_it)
    }

    fn seed() -> Seed {
        Seed { ids: 1, shard: 0 }
    }

    fn default_pipeline() -> Option<&'static Pipeline> {
        None
    }

    const HAS_BRIDGE: bool = true;

    fn bridge() -> Option<&'static dyn Bridge<Self>> {
        HAS_BRIDGE.get().then_some(&Loose)
    }

    fn is_panicking() -> bool {
        std::thread::panicking()
    }
}

/// Another API that has nothing to say.
struct Loose;

impl Bridge<Hostile> for Loose {
    fn enter(&self, _: Context<Hostile>, _: bool) -> usize {
        0
    }

    fn leave(&self, _: usize) {}

    fn replace_ambient(&self, _: Option<&Context<Hostile>>) {}

    fn current(&self) -> Option<Context<Hostile>> {
        None
    }
}

/// Some baggage, or none.
#[derive(Clone, Debug, Default)]
struct Baggages(Option<TraceId>);

impl Drop for Baggages {
    fn drop(&mut self) {
        if self.0.is_some() {
            pass(Trap::DropOfCarried);
        }
    }
}

impl Carry for Baggages {
    const EMPTY: &'static Self = &Baggages(None);

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn trace_id(&self) -> TraceId {
        self.0.unwrap_or_default()
    }

    fn bound_to(mut self, trace: TraceId) -> Self {
        self.0 = Some(trace);
        self
    }

    fn trace_state(&self) -> TraceState<'_> {
        TraceState::default()
    }

    fn with_trace_state(self, _: &TraceStateBuf) -> Self {
        self
    }

    fn baggage(&self) -> Baggage<'_> {
        Baggage::default()
    }
}

struct Bell;

impl Wakeup for Bell {
    fn wake(&self) {
        pass(Trap::Wakeup);
    }
}

fn pipeline() -> &'static Pipeline {
    let units: Vec<Unit<FrameTag>> = (0..64).map(|_| Unit::new()).collect();
    // Every frame wakes the flusher.
    let shard = Shard::new(units.leak(), vec![0; 64 * UNIT].leak(), 1);
    Box::leak(Box::new(Pipeline::new(Parts {
        shards: vec![shard].leak(),
        tallies: &[],
        slots: vec![Slot::new(), Slot::new()].leak(),
        slot_words: vec![TakenWord::new(0)].leak(),
        spill: &mut [],
        spill_words: &[],
        spill_block: 0,
        sampler: &AlwaysOn,
        limits: SpanLimits::new(),
        resource: &[],
        wakeup: &Bell,
    })))
}

static SCOPE: Scope = Scope::new("tests", "");
static WORK: Callsite = Callsite::new("work", &SCOPE);

/// How many frames the shards of the pipeline hold.
fn frames(pipeline: &'static Pipeline) -> u64 {
    let flusher = throughline_core::Flusher::new(
        pipeline,
        throughline_core::FlusherSettings::new(),
        vec![0; 4096],
        vec![throughline_core::Entry::default(); 8],
        1,
    );
    let mut flusher = flusher.expect("there is no other one");
    let now = core::time::Duration::ZERO;
    flusher.flush();
    flusher.poll(now, |ticks| ticks);
    flusher.batch().len() as u64
}

/// Ends a span, by one way of ending it, while the trap is set.
fn end_in_trap(trap: Trap, end: fn(Span<Hostile>)) {
    let pipeline = pipeline();
    // The bell rings for the sleeping only.
    assert!(pipeline.bell().arm(), "it has not rung");
    let carried = Baggages(Some(TraceId::from_bytes([1; 16])));
    let context = Context::<Hostile>::empty().with_carried(carried).with_pipeline(pipeline);
    context.scope(|| {
        let span = Span::<Hostile>::start(&WORK, |_| ());
        let trapped = catch_unwind(AssertUnwindSafe(|| {
            TRAP.set(trap);
            end(span);
        }));
        assert!(trapped.is_err(), "{trap:?} was not reached");
        assert_eq!(TRAP.get(), Trap::Nowhere);
    });
    assert_eq!(pipeline.live_count(), 0, "{trap:?}");
    let written = frames(pipeline);
    assert!(written <= 1, "{trap:?}: {written} frames of one span");
}

#[test]
fn a_span_ends_once_wherever_its_platform_panics() {
    for trap in [Trap::Clock, Trap::Wakeup, Trap::DropOfCarried] {
        end_in_trap(trap, |span| span.in_scope(|| ()));
        end_in_trap(trap, Span::end);
        end_in_trap(trap, |span| span.end_as(throughline_core::Ending::Cancelled));
    }
}

/// Whatever the platform says of its bridge at which moment, nothing stays current that
/// has ended.
#[test]
fn a_bridge_that_comes_and_goes_leaves_nothing_behind() {
    let context = || {
        let carried = Baggages(Some(TraceId::from_bytes([1; 16])));
        Context::<Hostile>::empty().with_carried(carried)
    };
    for schedule in 0..1 << 4 {
        let mut steps = (0..4).map(|step| schedule >> step & 1 == 1);
        let mut next = || HAS_BRIDGE.set(steps.next().unwrap_or_default());
        next();
        context().scope(|| {
            next();
            context().scope(&mut next);
            next();
        });
        for has_bridge in [false, true] {
            HAS_BRIDGE.set(has_bridge);
            assert!(Context::<Hostile>::current().carried().is_empty(), "{schedule:b}");
        }
    }
    HAS_BRIDGE.set(false);
}
