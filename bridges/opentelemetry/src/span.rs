//! A span of ours, made by their API.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{self, SpanBuilder, SpanContext};
use throughline_core::{Callsite, Carry, Ending};
use throughline_runtime::{Span as Ours, SpanOptions};

use crate::additions::{To, additions};
use crate::pipelines::{self, Listed};
use crate::{identity, values};

/// A span of throughline behind OpenTelemetry's [`Span`](trace::Span).
///
/// Dropping it ends it, as that API has it: by [`Ending::Completed`], or by
/// [`Ending::Panicked`] while the thread unwinds. After the end nothing is added and
/// nothing ends twice; the ids stay.
/// ([Span](https://opentelemetry.io/docs/specs/otel/trace/api/#span))
#[derive(Debug)]
pub struct Span {
    /// Until it is ended. A lock, since a span of ours is for one thread at a time and
    /// the API wants more; all that changes it has it to itself and does not wait.
    ours: Mutex<Option<Ours>>,
    context: SpanContext,
    is_recording: bool,
    /// While contexts hold this.
    _listed: Option<Listed>,
}

impl Span {
    pub(crate) fn start(
        callsite: &'static Callsite,
        options: SpanOptions<'_>,
        builder: &SpanBuilder,
    ) -> Self {
        let ours = Ours::start_with(callsite, options, |span| fill(span, builder));
        let (ids, is_recording) = (ours.span_context(), ours.is_recording());
        let below = ours.context();
        let listed = pipelines::list(ids.span_id(), below.pipeline());
        Span {
            context: identity::to_theirs(&ids, below.carried().trace_state()),
            ours: Mutex::new(Some(ours)),
            is_recording,
            _listed: listed,
        }
    }

    fn to(&mut self) -> Option<To<'_>> {
        self.ours.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().map(To::Own)
    }

    fn take(&mut self) -> Option<Ours> {
        self.is_recording = false;
        self.ours.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn fill(span: &mut Ours, builder: &SpanBuilder) {
    for attribute in builder.attributes.iter().flatten() {
        To::Own(span).set_attribute(attribute);
    }
    for link in builder.links.iter().flatten() {
        To::Own(span).add_link(&link.span_context, &link.attributes);
    }
    for event in builder.events.iter().flatten() {
        To::Own(span).add_event(&event.name, event.timestamp, &event.attributes);
    }
}

impl trace::Span for Span {
    additions!();

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.is_recording
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if let Some(span) = self.take() {
            span.end_at(values::unix_nanos(timestamp));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let is_panicking = std::thread::panicking();
        if let Some(span) = self.take() {
            if is_panicking {
                span.end_as(Ending::Panicked);
            } else {
                span.end_at(values::unix_nanos(SystemTime::now()));
            }
        }
    }
}
