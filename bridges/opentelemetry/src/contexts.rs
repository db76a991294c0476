//! Contexts, in both directions.

use opentelemetry::Context as Theirs;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::TraceContextExt;
use throughline_core::{Carry, Pipeline};
use throughline_runtime::{Baggage, Carried, Context};

use crate::in_scope::InScope;
use crate::{baggage, identity, pipelines};

/// The counterpart of a context of OpenTelemetry: its span, baggage and suppression.
///
/// Values of other types stay there. A span without valid ids counts as none.
pub fn from_opentelemetry(theirs: &Theirs) -> Context {
    to_ours(theirs, Around::default())
}

/// The counterpart of a context of throughline, with nothing else in it.
pub fn to_opentelemetry(ours: &Context) -> Theirs {
    to_theirs(ours, false, &Theirs::new())
}

/// What a context of theirs was attached in.
#[derive(Default)]
pub(crate) struct Around {
    pub(crate) pipeline: Option<&'static Pipeline>,
    /// There if it still is the baggage of the context.
    pub(crate) baggage: Option<Baggage>,
}

/// The counterpart of theirs.
pub(crate) fn to_ours(theirs: &Theirs, around: Around) -> Context {
    let span = theirs.span();
    let baggage = around.baggage.unwrap_or_else(|| match theirs.baggage() {
        none if none.is_empty() => Baggage::default(),
        baggage => baggage::to_ours(baggage),
    });
    let ids = identity::to_ours(span.span_context());
    let state = identity::state_to_ours(span.span_context());
    let carried = Carried::new(state, baggage);
    let mut ours = Context::remote(ids, carried);
    if let Some(pipeline) = pipelines::of(ids.span_id()).or(around.pipeline) {
        ours = ours.with_pipeline(pipeline);
    }
    if theirs.is_telemetry_suppressed() { ours.suppressed() } else { ours }
}

/// The counterpart of ours on top of another context of theirs, whose other values stay.
pub(crate) fn to_theirs(ours: &Context, is_recording: bool, base: &Theirs) -> Theirs {
    let suppress = ours.is_suppressed();
    let base = match (base.is_telemetry_suppressed(), suppress) {
        // What is entered was captured elsewhere: it is not the exporter's own work.
        // Nothing takes suppression back but to begin anew.
        (true, false) => Theirs::new(),
        (false, true) => base.with_telemetry_suppressed(),
        _ => base.clone(),
    };
    with_baggage(ours, with_span(ours, is_recording, base))
}

fn with_span(ours: &Context, is_recording: bool, base: Theirs) -> Theirs {
    let (ids, state) = (ours.span_context(), ours.carried().trace_state());
    if identity::to_ours(base.span().span_context()) == ids && base.has_active_span() {
        // Perhaps it is the span itself, to which attributes can be added.
        return base;
    }
    if !ids.is_valid() && !base.has_active_span() {
        return base;
    }
    let span = identity::to_theirs(&ids, state);
    let listed = pipelines::list(ids.span_id(), ours.pipeline());
    if is_recording || listed.is_some() {
        base.with_span(InScope::new(span, listed))
    } else {
        base.with_remote_span_context(span)
    }
}

fn with_baggage(ours: &Context, base: Theirs) -> Theirs {
    let baggage = Baggage::of(ours);
    match (baggage.is_empty(), base.baggage().is_empty()) {
        (true, true) => base,
        (true, false) => base.with_cleared_baggage(),
        (false, _) => base.with_baggage(baggage::to_theirs(&baggage)),
    }
}
