//! How a root begins that the sampler may drop at once: the first span of each request, of
//! which a sampler of a busy service drops nearly all.
//!
//! What is plain takes a short way: no parent, nothing carried, a sampler that decides
//! before there are attributes. Where it keeps the span, what was drawn goes on to the
//! general way of [`start`](crate::start): no sampler is asked twice.

use crate::begun::Begins;
use crate::route::Route;
use crate::sampler::{Addition, Additions};
use crate::start::Drawn;
use crate::state::State;
use crate::{
    Callsite, Carry, Decision, Local, Pipeline, Platform, SamplingParameters, SpanContext,
    TraceFlags, TraceId,
};

/// Begins a root that is dropped. If it is kept, or none so plain, returns `None`, and the
/// span has yet to begin: with what was drawn, if that was begun.
#[inline(always)]
pub(crate) fn dropped<P: Platform>(
    local: &Local<P>,
    callsite: &'static Callsite,
    drawn: &mut Option<Drawn<P>>,
) -> Option<State<P>> {
    let route = local.with_entered(|current| match current {
        Some(State::Plain { span, route, .. }) => {
            (route.is_local_unsampled() && !span.is_valid()).then_some(*route)
        }
        Some(State::Held(_)) => None,
        None => (local.has_nothing() && P::bridge().is_none()).then_some(Route::NONE),
    })?;
    let trace = draw(local, route, callsite, drawn);
    // Only words leave the call, as in `Span::start`.
    let state = || State::Plain {
        trace,
        span: local.ids_of_seeded().span_id(),
        route: route.with_flags(TraceFlags::RANDOM, false),
    };
    trace.is_valid().then(state)
}

/// The trace of a root that is dropped; else none.
#[inline(never)]
fn draw<P: Platform>(
    local: &Local<P>,
    route: Route,
    callsite: &'static Callsite,
    drawn: &mut Option<Drawn<P>>,
) -> TraceId {
    let pipeline = route.pipeline().or_else(P::default_pipeline);
    let Some(pipeline) = pipeline.filter(|pipeline| pipeline.has_plain_roots()) else {
        return TraceId::INVALID;
    };
    let (_, ids) = local.shard_and_ids();
    let now = P::ticks();
    let trace = ids.trace_id_at(now);
    let (decision, changed) = decide::<P>(pipeline, trace, callsite);
    if decision == Decision::Drop && changed.is_none() {
        local.count(pipeline, Begins::new(&SpanContext::INVALID, decision));
        return trace;
    }
    *drawn = Some(Drawn { now, trace, decision, changed });
    TraceId::INVALID
}

#[inline(always)]
fn decide<P: Platform>(
    pipeline: &'static Pipeline,
    trace: TraceId,
    callsite: &'static Callsite,
) -> (Decision, Option<P::Carried>) {
    let known =
        SamplingParameters::new(&SpanContext::INVALID, trace, callsite.name(), callsite.kind())
            .on::<P>();
    let mut changed = None;
    let mut add = |addition: Addition<'_>| {
        if let Addition::TraceState(state) = addition {
            changed = Some(P::Carried::default().with_trace_state(state));
        }
    };
    (pipeline.sampler().should_sample(&known, &mut Additions::new(&mut add)), changed)
}
