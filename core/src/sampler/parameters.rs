//! What a sampler is told.

use crate::w3c::TraceState;
use crate::{AttributesView, LinkView, SpanContext, SpanKind, SpanView, TraceId, ValueView};

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
}

impl<'a> SamplingParameters<'a> {
    /// The parameters of a span of this trace, without attributes.
    pub const fn new(
        parent: &'a SpanContext,
        trace_id: TraceId,
        name: &'a str,
        kind: SpanKind,
    ) -> Self {
        let (trace_state, body) = (TraceState::EMPTY, SpanView::of_message(&[]));
        SamplingParameters { parent, trace_id, name, kind, trace_state, body }
    }

    /// The attributes that the span begins with: the fields of `span!`.
    ///
    /// A sampler that [decides early](Sampler::decides_early) sees none.
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
