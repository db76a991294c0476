//! A span of ours as the active span of a context of theirs.

use std::time::SystemTime;

use opentelemetry::trace::{Span, SpanContext};
use throughline_core::{Platform, SpanContext as OurSpanContext};
use throughline_runtime::{CurrentSpan, Std};

use crate::additions::{To, additions};
use crate::identity;
use crate::pipelines::Listed;

/// Stands for a span of ours, which belongs to its own handle. What is added goes to the
/// span while the calling code runs in its scope; elsewhere (on another thread, or after
/// its end) there is nothing to add to, as for
/// [`CurrentSpan`](throughline_core::CurrentSpan).
#[derive(Debug)]
pub(crate) struct InScope {
    theirs: SpanContext,
    ours: OurSpanContext,
    /// For as long as a context holds this.
    _listed: Option<Listed>,
}

impl InScope {
    pub(crate) fn new(theirs: SpanContext, listed: Option<Listed>) -> Self {
        let ours = identity::to_ours(&theirs);
        InScope { theirs, ours, _listed: listed }
    }

    /// Whether the span is that of the scope in which this is called.
    fn is_here(&self) -> bool {
        CurrentSpan::is_recording()
            && Std::with_local(|local| local.span_context().span_id()) == self.ours.span_id()
    }

    fn to(&self) -> Option<To<'_>> {
        self.is_here().then_some(To::Current)
    }
}

impl Span for InScope {
    additions!();

    fn span_context(&self) -> &SpanContext {
        &self.theirs
    }

    fn is_recording(&self) -> bool {
        self.is_here()
    }

    /// Nothing: the span's owner ends it.
    fn end_with_timestamp(&mut self, _: SystemTime) {}
}
