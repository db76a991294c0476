//! How a span begins: whose child it is, whether it is recorded, what it is
//! called by.

use core::marker::PhantomData;

use crate::begun::Begins;
use crate::flood;
use crate::live::{Live, Opening};
use crate::route::Route;
use crate::sampler::{Addition, Additions};
#[cfg(not(target_os = "none"))]
use crate::sampler::{Stays, without_untrue_threshold};
use crate::state::{Held, Holder, State};
use crate::w3c::TraceStateBuf;
use crate::writer::Writer;
use crate::{
    Callsite, Carry, Context, Decision, DropReason, Local, Pipeline, Platform, SamplingParameters,
    Slot, SpanContext, SpanId, SpanKind, SpanView, TraceFlags, TraceId,
};

/// How a span begins, apart from its call site.
#[derive(Debug)]
pub struct SpanOptions<'a, P: Platform> {
    parent: Parent<'a, P>,
    name: OwnName<'a>,
    kind: Option<SpanKind>,
    start: Option<u64>,
}

#[derive(Debug)]
enum Parent<'a, P: Platform> {
    Current,
    Root,
    Of(&'a Context<P>),
}

impl<'a, P: Platform> SpanOptions<'a, P> {
    /// A child of what is current, of the kind of its call site, from now on.
    pub const fn new() -> Self {
        SpanOptions { parent: Parent::Current, name: OwnName::NONE, kind: None, start: None }
    }

    /// Below this context instead of the current one.
    #[must_use]
    pub const fn parent(mut self, parent: &'a Context<P>) -> Self {
        self.parent = Parent::Of(parent);
        self
    }

    /// The root of a new trace. Baggage and pipeline are still the current ones.
    #[must_use]
    pub const fn root(mut self) -> Self {
        self.parent = Parent::Root;
        self
    }

    /// Called by another name than that of its call site; the sampler sees this one.
    /// If the span has no room for it, the call site's stays. Bare targets, where code is
    /// dear, do not have this.
    #[cfg(not(target_os = "none"))]
    #[must_use]
    pub const fn name(mut self, name: &'a str) -> Self {
        self.name = OwnName(Some(name), PhantomData);
        self
    }

    /// Of another kind than the call site says.
    #[must_use]
    pub const fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Began at this time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn start_unix_nanos(mut self, nanos: u64) -> Self {
        self.start = Some(nanos | UNIX);
        self
    }
}

impl<P: Platform> Default for SpanOptions<'_, P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Another name than the call site's. On bare targets there is none, and no memory for it.
#[derive(Clone, Copy, Debug)]
struct OwnName<'a>(
    #[cfg(not(target_os = "none"))] Option<&'a str>,
    #[cfg(target_os = "none")] (),
    PhantomData<&'a str>,
);

impl<'a> OwnName<'a> {
    #[cfg(not(target_os = "none"))]
    const NONE: Self = OwnName(None, PhantomData);
    #[cfg(target_os = "none")]
    const NONE: Self = OwnName((), PhantomData);

    #[inline(always)]
    fn get(self) -> Option<&'a str> {
        #[cfg(not(target_os = "none"))]
        return self.0;
        #[cfg(target_os = "none")]
        None
    }
}

/// Begins a span below a recorded span of this process that is entered and carries
/// nothing; `None` if it is not so plain a case.
#[inline(always)]
pub(crate) fn below_recorded<P: Platform>(
    local: &Local<P>,
    callsite: &'static Callsite,
) -> Option<Live> {
    local.with_entered(|current| match current {
        Some(State::Held(Held { carried, by: Holder::Span(parent) })) if carried.is_empty() => {
            child_of(local, parent, callsite)
        }
        _ => None,
    })
}

/// Begins a span below what is entered, if that is a span of this process that carries
/// nothing, sampled or not.
#[inline(always)]
pub(crate) fn below_entered<P: Platform>(local: &Local<P>, callsite: &'static Callsite) -> Entered {
    local.with_entered(|current| match current {
        Some(State::Held(Held { carried, by: Holder::Span(parent) })) if carried.is_empty() => {
            child_of(local, parent, callsite).map_or(Entered::Other, Entered::Recorded)
        }
        Some(State::Plain { trace, span, route })
            if route.is_local_unsampled() && span.is_valid() =>
        {
            let (trace, route) = (*trace, *route);
            let dropped = |span| Entered::Dropped { trace, span, route };
            unsampled_child(local, route).map_or(Entered::Other, dropped)
        }
        _ => Entered::Other,
    })
}

/// A span that began below what is entered.
pub(crate) enum Entered {
    Recorded(Live),
    /// As its parent was.
    Dropped {
        trace: TraceId,
        span: SpanId,
        route: Route,
    },
    /// None did: the case is not so plain.
    Other,
}

/// Each case is a function of its own, so that none pays for what others keep in
/// registers.
#[inline(never)]
fn child_of<P: Platform>(
    local: &Local<P>,
    parent: &Live,
    callsite: &'static Callsite,
) -> Option<Live> {
    let (pipeline, flags) = (parent.pipeline(), parent.trace_flags());
    if !(flags.is_sampled() && pipeline.follows_local_parents()) {
        return None;
    }
    let children_left = parent.children_left().checked_sub(1)?;
    let start = P::ticks();
    let (shard, ids) = local.shard_and_ids();
    let span = ids.span_id_at(start);
    // When there is a slot for it: what goes from slot to slot waits in no register.
    let opening = || {
        local.count(pipeline, Begins::LOCAL_SAMPLED);
        Opening {
            trace: parent.trace_id(),
            span,
            flags,
            parent: parent.span_id(),
            remote_parent: false,
            kind: callsite.kind(),
            start,
            callsite,
        }
    };
    let live = pipeline.open(shard, local.place(), opening, None)?;
    parent.set_children_left(children_left);
    Some(live)
}

#[inline(never)]
fn unsampled_child<P: Platform>(local: &Local<P>, route: Route) -> Option<SpanId> {
    let pipeline = route.pipeline().or_else(P::default_pipeline)?;
    if !pipeline.follows_local_parents() {
        return None;
    }
    local.count(pipeline, Begins::LOCAL_DROPPED);
    Some(local.ids_of_seeded().span_id())
}

/// What was drawn and decided for a root beforehand.
pub(crate) struct Drawn<P: Platform> {
    pub(crate) now: u64,
    pub(crate) trace: TraceId,
    pub(crate) decision: Decision,
    /// What the root carries, if the sampler changed that.
    pub(crate) changed: Option<P::Carried>,
}

/// Begins a span as the options say.
pub(crate) fn begin<'a, P: Platform>(
    local: &Local<P>,
    callsite: &'static Callsite,
    options: &SpanOptions<'a, P>,
    drawn: Option<Drawn<P>>,
) -> Beginning<'a, P> {
    let mut origin = local.with_current(|current| options.origin(current));
    let pipeline = origin.route.pipeline().or_else(P::default_pipeline);
    let pipeline = match pipeline {
        Some(pipeline) if !origin.route.is_suppressed() && !pipeline.is_closed() => pipeline,
        _ => return Beginning::of(origin.transparent()),
    };
    let parent = origin.parent;
    let now = drawn.as_ref().map_or_else(P::ticks, |drawn| drawn.now);
    // An invalid parent counts as none.
    let has_parent = parent.is_valid();
    let mut link_state = P::Carried::default();
    if !has_parent && !origin.carried.trace_state().is_empty() {
        // The state is of the trace that was left.
        link_state = origin.carried.clone();
        origin.carried = origin.carried.with_trace_state(&TraceStateBuf::new());
    }
    let (trace, flags) = if has_parent {
        (parent.trace_id(), parent.trace_flags())
    } else {
        let trace = match (&drawn, pipeline.seeded_ids()) {
            (Some(drawn), _) => drawn.trace,
            (None, Some(ids)) => ids.trace_id(),
            (None, None) => local.ids().trace_id_at(now),
        };
        (trace, TraceFlags::RANDOM)
    };
    let span = match pipeline.seeded_ids() {
        Some(ids) => ids.span_id(),
        None => local.ids().span_id_at(now),
    };
    let kind = options.kind.unwrap_or(callsite.kind());
    let start = options.start.unwrap_or(now);
    let name = options.name.get().unwrap_or(callsite.name());
    let (decision, changed) = if let Some(drawn) = drawn {
        (Some(drawn.decision), drawn.changed)
    } else {
        let known = SamplingParameters {
            trace_state: origin.carried.trace_state(),
            ..SamplingParameters::new(&parent, trace, name, kind).on::<P>()
        };
        let mut changed = None;
        let mut add = |addition: Addition<'_>| {
            // There is no memory for attributes yet.
            if let Addition::TraceState(state) = addition {
                changed = Some(origin.carried.clone().with_trace_state(state));
            }
        };
        let decision = pipeline.early_decision(&known, &mut Additions::new(&mut add));
        #[cfg(not(target_os = "none"))]
        if changed.is_none()
            && let Some(decision) = decision
            && (parent.is_remote() || !pipeline.follows_local_parents())
        {
            changed = without_untrue::<P>(&known, decision, &origin.carried);
        }
        (decision, changed)
    };
    let flags = flags.with_sampled(decision == Some(Decision::RecordAndSample));
    if decision == Some(Decision::Drop) {
        local.count(pipeline, Begins::new(&parent, Decision::Drop));
        let route = origin.route.with_flags(flags, false);
        let carried = changed.unwrap_or(origin.carried);
        return Beginning::of(State::unrecorded(trace, span, route, carried));
    }
    let above = match decision {
        Some(Decision::RecordAndSample) if flood::SUPPORTED => {
            over_budget::<P>(pipeline, origin.route, &parent, callsite)
        }
        _ => None,
    };
    // A child that is one too many stands for its parent.
    let (span, flags) = match above {
        Some(_) => (parent.span_id(), parent.trace_flags()),
        None => (span, flags),
    };
    let opening = Opening {
        trace,
        span,
        flags,
        parent: if has_parent { parent.span_id() } else { SpanId::INVALID },
        remote_parent: parent.is_remote(),
        kind,
        start,
        callsite,
    };
    let Some(mut live) = pipeline.open(local.shard(), local.place(), || opening, above) else {
        count_refused(local, pipeline, &parent);
        if has_parent {
            return Beginning::of(origin.transparent());
        }
        // Below a root that is not recorded, nothing is.
        let route = origin.route.with_flags(flags.with_sampled(false), false);
        return Beginning::of(State::unrecorded(trace, span, route, origin.carried));
    };
    if let Some(name) = options.name.get() {
        Writer::new(&mut live).rename(name);
    }
    let Origin { link, route, carried, .. } = origin;
    if let Some(to) = link {
        Writer::new(&mut live).add_link(&to, link_state.trace_state().as_str(), &[]);
    }
    let carried = changed.unwrap_or(carried);
    let carried = if carried.is_empty() { carried } else { carried.bound_to(trace) };
    let Some(decision) = decision else {
        live.set_undecided();
        let state = State::recorded(live, carried);
        return Beginning {
            state,
            undecided: Some(Undecided { parent, name: options.name, kind, route }),
        };
    };
    set_trace_state::<P>(&mut live, &carried);
    #[cfg(not(target_os = "none"))]
    if above.is_none() {
        live.set_processed();
    }
    local.count(pipeline, Begins::new(&parent, decision));
    Beginning::of(State::recorded(live, carried))
}

/// The slot of the parent, if the span is one too many below it.
#[cfg_attr(not(target_os = "none"), inline(never))]
fn over_budget<P: Platform>(
    pipeline: &'static Pipeline,
    route: Route,
    parent: &SpanContext,
    callsite: &'static Callsite,
) -> Option<&'static Slot> {
    let above = route.slot();
    flood::over_budget(pipeline, above, parent, callsite, P::monotonic_nanos)
}

/// Begins a child that is one too many. It stands for its parent.
#[cfg_attr(not(target_os = "none"), cold)]
#[cfg_attr(not(target_os = "none"), inline(never))]
fn surplus<P: Platform>(
    local: &Local<P>,
    pipeline: &'static Pipeline,
    above: &'static Slot,
    opening: &Opening,
    route: Route,
    carried: P::Carried,
) -> State<P> {
    match pipeline.open(local.shard(), local.place(), || *opening, Some(above)) {
        Some(live) => {
            local.count(pipeline, Begins::LOCAL_SAMPLED);
            State::recorded(live, carried)
        }
        None => {
            let parent = SpanContext::new(opening.trace, opening.parent, opening.flags);
            count_refused(local, pipeline, &parent);
            let route = route.with_flags(opening.flags, false);
            State::unrecorded(opening.trace, opening.span, route, carried)
        }
    }
}

/// Counts a span for which there is no slot.
#[cold]
fn count_refused<P: Platform>(local: &Local<P>, pipeline: &'static Pipeline, parent: &SpanContext) {
    local.count(pipeline, Begins::new(parent, Decision::RecordAndSample));
    pipeline.counters().count_dropped(DropReason::LiveTableFull, 1);
}

/// A span that has begun, maybe without a decision of the sampler.
pub(crate) struct Beginning<'a, P: Platform> {
    pub(crate) state: State<P>,
    /// There when the sampler wants to see attributes and links first.
    pub(crate) undecided: Option<Undecided<'a>>,
}

/// What the sampler is told besides what the span's slot holds.
pub(crate) struct Undecided<'a> {
    parent: SpanContext,
    name: OwnName<'a>,
    kind: SpanKind,
    route: Route,
}

impl<P: Platform> Beginning<'_, P> {
    fn of(state: State<P>) -> Self {
        Beginning { state, undecided: None }
    }
}

impl Undecided<'_> {
    /// Asks the sampler about a span whose first attributes are set.
    pub(crate) fn decide<P: Platform>(self, local: &Local<P>, state: State<P>) -> State<P> {
        let State::Held(Held { mut carried, by: Holder::Span(mut live) }) = state else {
            return state;
        };
        if live.is_undecided() == Some(false) {
            // What filled the span has put another one in its place.
            return State::recorded(live, carried);
        }
        let Undecided { parent, name, kind, route } = self;
        let pipeline = live.pipeline();
        let (trace, span, flags) = (live.trace_id(), live.span_id(), live.trace_flags());
        let callsite = live.callsite();
        let name = name.get().unwrap_or(callsite.name());
        let mut changed = None;
        let decision = Writer::new(&mut live).extend(|body, extension| {
            let known = SamplingParameters {
                trace_state: carried.trace_state(),
                body: SpanView::of_message(body),
                ..SamplingParameters::new(&parent, trace, name, kind).on::<P>()
            };
            let mut add = |addition: Addition<'_>| match addition {
                Addition::Attribute(key, value) => extension.set_attribute(key, value),
                Addition::TraceState(state) => {
                    changed = Some(carried.clone().with_trace_state(state).bound_to(trace));
                }
            };
            let decision = pipeline.sampler().should_sample(&known, &mut Additions::new(&mut add));
            #[cfg(not(target_os = "none"))]
            if changed.is_none() {
                changed = without_untrue::<P>(&known, decision, &carried)
                    .map(|carried| carried.bound_to(trace));
            }
            decision
        });
        carried = changed.unwrap_or(carried);
        let route = route.with_flags(flags, false);
        match decision {
            Decision::Drop => {
                local.count(pipeline, Begins::new(&parent, decision));
                return State::unrecorded(trace, span, route, carried);
            }
            Decision::RecordOnly => live.set_decided(false),
            Decision::RecordAndSample => {
                if flood::SUPPORTED
                    && let Some(above) = over_budget::<P>(pipeline, route, &parent, callsite)
                {
                    let opening = flood::surplus_opening(&parent, kind, live.start(), callsite);
                    drop(live);
                    return surplus(local, pipeline, above, &opening, route, carried);
                }
                live.set_decided(true);
            }
        }
        set_trace_state::<P>(&mut live, &carried);
        #[cfg(not(target_os = "none"))]
        live.set_processed();
        local.count(pipeline, Begins::new(&parent, decision));
        State::recorded(live, carried)
    }
}

/// Where a span comes from.
struct Origin<P: Platform> {
    parent: SpanContext,
    /// To what a root links back.
    link: Option<SpanContext>,
    route: Route,
    carried: P::Carried,
}

impl<P: Platform> SpanOptions<'_, P> {
    fn origin(&self, current: Option<&State<P>>) -> Origin<P> {
        let of = |state: &State<P>| Origin {
            parent: state.span_context(),
            link: state.link(),
            route: state.route(),
            carried: state.carried().clone(),
        };
        let current = current.unwrap_or(&State::EMPTY);
        match self.parent {
            Parent::Current => of(current),
            Parent::Root => Origin { parent: SpanContext::INVALID, ..of(current) },
            Parent::Of(context) => {
                // A context from a message names no pipeline and suppresses
                // nothing: there, what is current holds.
                let mut origin = of(&context.state);
                let here = current.route();
                if origin.route.pipeline().is_none() {
                    origin.route = origin.route.with_pipeline(here.pipeline());
                }
                if here.is_suppressed() {
                    origin.route = origin.route.suppressed();
                }
                origin
            }
        }
    }
}

impl<P: Platform> Origin<P> {
    /// Stands for the parent: what happens inside belongs to it.
    fn transparent(self) -> State<P> {
        let ids = self.link.unwrap_or(self.parent);
        let route = self.route.with_flags(ids.trace_flags(), ids.is_remote());
        let route = if self.link.is_some() { route.linked() } else { route };
        State::unrecorded(ids.trace_id(), ids.span_id(), route, self.carried)
    }
}

fn set_trace_state<P: Platform>(live: &mut Live, carried: &P::Carried) {
    let state = carried.trace_state();
    if !state.is_empty() {
        Writer::new(live).set_trace_state(state.as_str());
    }
}

/// What the span carries, if its trace state has a threshold that contradicts the decision,
/// about which the sampler has said nothing.
/// ([PRB-7](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/#general-requirements))
#[cfg(not(target_os = "none"))]
#[inline(always)]
fn without_untrue<P: Platform>(
    known: &SamplingParameters<'_>,
    decision: Decision,
    carried: &P::Carried,
) -> Option<P::Carried> {
    let stays = Stays::Agrees(decision == Decision::RecordAndSample);
    let state = without_untrue_threshold(known, stays)?;
    Some(carried.clone().with_trace_state(&state))
}

/// Marks a time that is in nanoseconds since the Unix epoch already. Neither
/// those (until the year 2262) nor ticks use the bit.
pub(crate) const UNIX: u64 = 1 << 63;
