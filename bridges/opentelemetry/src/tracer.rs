//! Making spans.

use std::time::SystemTime;

use opentelemetry::Context as Theirs;
use opentelemetry::trace::{SpanBuilder, TraceContextExt};
use throughline_core::{Callsite, Pipeline};
use throughline_runtime::{Context, SpanOptions};

use crate::contexts::{self, Around};
use crate::{Span, values};

/// throughline as a tracer of one instrumentation scope.
///
/// ([Tracer](https://opentelemetry.io/docs/specs/otel/trace/api/#tracer))
#[derive(Clone, Debug)]
pub struct Tracer {
    callsite: &'static Callsite,
    /// Where spans go whose context names no pipeline.
    pipeline: Option<&'static Pipeline>,
    is_in_step: bool,
}

impl Tracer {
    pub(crate) fn new(
        callsite: &'static Callsite,
        pipeline: Option<&'static Pipeline>,
        is_in_step: bool,
    ) -> Self {
        Tracer { callsite, pipeline, is_in_step }
    }

    /// The context that a span begins in.
    fn parent(&self, theirs: &Theirs) -> Context {
        // `start` and `build` hand the current context over where it lies.
        let is_current = Theirs::map_current(|current| core::ptr::eq(current, theirs));
        let says_nothing = !self.is_in_step && !theirs.has_active_span();
        let ours = if is_current && (self.is_in_step || says_nothing) {
            // It knows more than its counterpart: what links lead to, for one.
            Context::current()
        } else {
            let pipeline = Context::current().pipeline();
            contexts::to_ours(theirs, Around { pipeline, baggage: None })
        };
        match self.pipeline {
            Some(pipeline) if ours.pipeline().is_none() => ours.with_pipeline(pipeline),
            _ => ours,
        }
    }
}

impl opentelemetry::trace::Tracer for Tracer {
    type Span = Span;

    /// Begins a span below the span of the context, or the root of a new trace if that
    /// has none. The sampler sees its name, kind, attributes and links. In a context in
    /// which telemetry is suppressed, and after the shutdown, the span is not recorded and
    /// has its parent's ids.
    fn build_with_context(&self, builder: SpanBuilder, parent_cx: &Theirs) -> Span {
        let parent = self.parent(parent_cx);
        // On the clock that the API takes the ends of spans from.
        let start = builder.start_time.unwrap_or_else(SystemTime::now);
        let mut options = SpanOptions::new()
            .parent(&parent)
            .name(&builder.name)
            .start_unix_nanos(values::unix_nanos(start));
        if let Some(kind) = &builder.span_kind {
            options = options.kind(values::kind(kind));
        }
        Span::start(self.callsite, options, &builder)
    }
}
