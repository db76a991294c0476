//! A span of ours as the active span of a context of theirs.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanContext, Status};
use throughline_core::{Carry, Platform, SpanContext as OurSpanContext};
use throughline_runtime::{Carried, Context, CurrentSpan, Std};

use crate::pipelines::Listed;
use crate::{identity, values};

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
}

impl Span for InScope {
    fn add_event_with_timestamp<T>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) where
        T: Into<Cow<'static, str>>,
    {
        if self.is_here() {
            let (name, at) = (name.into(), values::unix_nanos(timestamp));
            values::with_pairs(&attributes, |pairs| CurrentSpan::add_event_at(&name, at, pairs));
        }
    }

    fn span_context(&self) -> &SpanContext {
        &self.theirs
    }

    fn is_recording(&self) -> bool {
        self.is_here()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if self.is_here() {
            let KeyValue { key, value, .. } = attribute;
            values::with_value(&value, |value| CurrentSpan::set_attribute(key.as_str(), value));
        }
    }

    fn set_status(&mut self, status: Status) {
        if self.is_here() {
            let (code, description) = values::status(&status);
            CurrentSpan::set_status(code, description);
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if self.is_here() {
            CurrentSpan::update_name(&new_name.into());
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if self.is_here() {
            let to = linked(&span_context);
            values::with_pairs(&attributes, |pairs| CurrentSpan::add_link(&to, pairs));
        }
    }

    /// Nothing: the span's owner ends it.
    fn end_with_timestamp(&mut self, _: SystemTime) {}
}

/// What a link of ours leads to.
pub(crate) fn linked(to: &SpanContext) -> Context {
    let state = identity::state_to_ours(to);
    let carried = Carried::default();
    let carried = if state.is_empty() { carried } else { carried.with_trace_state(&state) };
    Context::remote(identity::to_ours(to), carried)
}
