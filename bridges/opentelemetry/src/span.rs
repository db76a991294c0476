//! A span of ours, made by their API.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{self, SpanBuilder, SpanContext, Status};
use throughline_core::{Callsite, Carry, Ending};
use throughline_runtime::{Span as Ours, SpanOptions};

use crate::in_scope::linked;
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

    fn ours(&mut self) -> Option<&mut Ours> {
        self.ours.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut()
    }

    fn take(&mut self) -> Option<Ours> {
        self.is_recording = false;
        self.ours.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn fill(span: &mut Ours, builder: &SpanBuilder) {
    for KeyValue { key, value, .. } in builder.attributes.iter().flatten() {
        values::with_value(value, |value| span.set_attribute(key.as_str(), value));
    }
    for link in builder.links.iter().flatten() {
        let to = linked(&link.span_context);
        values::with_pairs(&link.attributes, |pairs| span.add_link(&to, pairs));
    }
    for event in builder.events.iter().flatten() {
        let at = values::unix_nanos(event.timestamp);
        values::with_pairs(&event.attributes, |pairs| span.add_event_at(&event.name, at, pairs));
    }
}

impl trace::Span for Span {
    fn add_event_with_timestamp<T>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) where
        T: Into<Cow<'static, str>>,
    {
        if let Some(span) = self.ours() {
            let (name, at) = (name.into(), values::unix_nanos(timestamp));
            values::with_pairs(&attributes, |pairs| span.add_event_at(&name, at, pairs));
        }
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.is_recording
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some(span) = self.ours() {
            let KeyValue { key, value, .. } = attribute;
            values::with_value(&value, |value| span.set_attribute(key.as_str(), value));
        }
    }

    fn set_status(&mut self, status: Status) {
        if let Some(span) = self.ours() {
            let (code, description) = values::status(&status);
            span.set_status(code, description);
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(span) = self.ours() {
            span.update_name(&new_name.into());
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if let Some(span) = self.ours() {
            let to = linked(&span_context);
            values::with_pairs(&attributes, |pairs| span.add_link(&to, pairs));
        }
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
