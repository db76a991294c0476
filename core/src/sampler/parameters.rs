//! What a sampler is told.

use crate::w3c::TraceState;
use crate::{
    AttributesView, LinkView, Platform, SpanContext, SpanKind, SpanView, TraceId, ValueView,
};

/// What a sampler knows about a span that begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SamplingParameters<'a> {
    /// The parent; [`SpanContext::INVALID`] for a root.
    pub parent: &'a SpanContext,
    /// The id of the trace: the parent's, or the new one of a root.
    pub trace_id: TraceId,
    /// The span's name.
    pub name: &'a str,
    /// The span's kind.
    pub kind: SpanKind,
    /// The trace state of the parent, empty for a root.
    pub trace_state: TraceState<'a>,
    pub(crate) body: SpanView<'a>,
    pub(crate) place: &'a Place,
}

/// What a sampler may ask of the place where it runs.
///
/// Functions, not values: a reading of the clock costs as much as all else about
/// a span that is dropped, and few samplers want one. A span's own ticks would be
/// free, but have no known length: how long one is, is measured where spans
/// leave, and a limit wants to know where they begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    nanos: fn() -> u64,
    random: fn() -> u64,
    on_presumed_randomness: fn(),
}

impl Place {
    const fn of<P: Platform>() -> &'static Self {
        const {
            &Place {
                nanos: P::monotonic_nanos,
                random: || P::with_local(|local| local.ids().next()),
                on_presumed_randomness: P::on_presumed_randomness,
            }
        }
    }

    const NOWHERE: &'static Self =
        &Place { nanos: || 0, random: || 0, on_presumed_randomness: || () };
}

impl<'a> SamplingParameters<'a> {
    /// The parameters of a span of this trace, without attributes, clock and
    /// source of randomness; for tests.
    pub const fn new(
        parent: &'a SpanContext,
        trace_id: TraceId,
        name: &'a str,
        kind: SpanKind,
    ) -> Self {
        let (trace_state, body) = (TraceState::EMPTY, SpanView::of_message(&[]));
        let place = Place::NOWHERE;
        SamplingParameters { parent, trace_id, name, kind, trace_state, body, place }
    }

    /// The same on this platform, whose clock and randomness a sampler may ask
    /// for. Without one, both are always 0.
    #[must_use]
    pub const fn on<P: Platform>(mut self) -> Self {
        self.place = Place::of::<P>();
        self
    }

    /// The current time in nanoseconds from any origin, for samplers that limit
    /// rates. It is [the platform's](Platform::monotonic_nanos).
    pub fn monotonic_nanos(&self) -> u64 {
        (self.place.nanos)()
    }

    /// 64 random bits that have nothing to do with the trace.
    pub fn random(&self) -> u64 {
        (self.place.random)()
    }

    /// Tells that the trace id was taken for random, though nobody says so.
    pub(super) fn presume_randomness(&self) {
        (self.place.on_presumed_randomness)();
    }

    /// The attributes that the span begins with: the fields of `span!`.
    ///
    /// A sampler that [decides early](super::Sampler::decides_early) sees none.
    pub fn attributes(&self) -> AttributesView<'a> {
        self.body.attributes()
    }

    /// The attribute of this key, if the span begins with it.
    pub fn attribute(&self, key: &str) -> Option<ValueView<'a>> {
        self.body.attribute(key)
    }

    /// The links that the span begins with.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'a>> + use<'a> {
        self.body.links()
    }
}
