//! What a processor sees of a span that began, and may add.

use core::fmt;

use crate::w3c::Baggage;
use crate::writer::Writer;
use crate::{
    AttributesView, Pipeline, Scope, SpanContext, SpanId, SpanKind, SpanView, Value, ValueView,
};

/// A span that began, with the attributes that were given with it.
/// ([Additional span interfaces](https://opentelemetry.io/docs/specs/otel/trace/sdk/#additional-span-interfaces))
pub struct StartedSpan<'a> {
    span: Writer<'a>,
    baggage: Baggage<'a>,
}

impl<'a> StartedSpan<'a> {
    pub(super) fn new(span: Writer<'a>, baggage: Baggage<'a>) -> Self {
        StartedSpan { span, baggage }
    }

    /// Ids and flags.
    pub fn span_context(&self) -> SpanContext {
        self.span.slot().context()
    }

    /// Whether it is sampled, and so will be exported if nothing is lost.
    pub fn is_sampled(&self) -> bool {
        self.span_context().is_sampled()
    }

    /// The id of the parent, invalid for a root.
    pub fn parent_span_id(&self) -> SpanId {
        self.span.slot().parent()
    }

    /// Whether the parent is a span of another process.
    pub fn has_remote_parent(&self) -> bool {
        self.span.slot().has_remote_parent()
    }

    /// The trace state as text, possibly empty.
    pub fn trace_state(&self) -> &str {
        self.view().trace_state()
    }

    /// The baggage of the context in which it began, as it is sent.
    pub fn baggage(&self) -> Baggage<'a> {
        self.baggage
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.span.slot().name_of(self.span.so_far())
    }

    /// The kind.
    pub fn kind(&self) -> SpanKind {
        self.span.slot().kind()
    }

    /// Whose code began it.
    pub fn scope(&self) -> &'static Scope {
        self.span.slot().callsite().scope()
    }

    /// Where it will go; its resource, and its ledger.
    pub fn pipeline(&self) -> &'static Pipeline {
        self.span.slot().pipeline()
    }

    /// The attributes so far.
    pub fn attributes(&self) -> AttributesView<'_> {
        self.view().attributes()
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<ValueView<'_>> {
        self.view().attribute(key)
    }

    /// Sets an attribute, as [`Span::set_attribute`](crate::Span::set_attribute) does.
    pub fn set_attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        self.span.by_ref().set_attribute(key, &value.into());
    }

    fn view(&self) -> SpanView<'_> {
        let (body, bytes) = self.span.so_far();
        SpanView::of_message(body.message(bytes))
    }
}

impl fmt::Debug for StartedSpan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedSpan")
            .field("name", &self.name())
            .field("context", &self.span_context())
            .field("parent", &self.parent_span_id())
            .finish_non_exhaustive()
    }
}
