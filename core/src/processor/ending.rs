//! What a processor sees of a span that ends, and may still add.

use core::fmt;

use super::Processors;
use crate::body::Attributes;
use crate::start::UNIX;
use crate::writer::Writer;
use crate::{Carry, Context, EndedSpan, Ending, Platform, StatusCode, Value};

/// A span that ends: its end time is fixed, nobody else has it any more, and processors may
/// still add to it.
/// ([OnEnding](https://opentelemetry.io/docs/specs/otel/trace/sdk/#onending))
///
/// The [limits](crate::SpanLimits) of the span hold as before.
pub struct EndingSpan<'a> {
    span: Writer<'a>,
    /// In ticks, or in nanoseconds since the Unix epoch.
    end: u64,
    ending: Ending,
    processors: &'static Processors,
}

impl<'a> EndingSpan<'a> {
    pub(crate) fn new(
        span: Writer<'a>,
        end: u64,
        ending: Ending,
        processors: &'static Processors,
    ) -> Self {
        EndingSpan { span, end, ending, processors }
    }

    /// The span as it would be if nothing were added any more, to read.
    pub fn so_far(&self) -> EndedSpan<'_> {
        let (slot, record) = (self.span.slot(), self.span.so_far());
        EndedSpan::new(slot, record, self.end, self.ending, self.processors)
    }

    /// Sets an attribute, as [`Span::set_attribute`](crate::Span::set_attribute) does.
    pub fn set_attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        self.span.by_ref().set_attribute(key, &value.into());
    }

    /// Adds an event at the end of the span.
    pub fn add_event(&mut self, name: &str, attributes: &Attributes<'_>) {
        self.span.by_ref().add_event(name, self.end, attributes);
    }

    /// Adds an event with its own time, in nanoseconds since the Unix epoch.
    pub fn add_event_at(&mut self, name: &str, unix_nanos: u64, attributes: &Attributes<'_>) {
        self.span.by_ref().add_event(name, unix_nanos | UNIX, attributes);
    }

    /// Links the span to another one, as [`Span::add_link`](crate::Span::add_link) does.
    pub fn add_link<P: Platform>(&mut self, to: &Context<P>, attributes: &Attributes<'_>) {
        let state = to.carried().trace_state();
        self.span.by_ref().add_link(&to.span_context(), state.as_str(), attributes);
    }

    /// Sets the status, as [`Span::set_status`](crate::Span::set_status) does: Ok outranks
    /// Error, Error outranks Unset.
    pub fn set_status(&mut self, code: StatusCode, description: &str) {
        self.span.set_status(code, description);
    }

    /// Replaces the name. The sampling decision stays.
    pub fn update_name(&mut self, name: &str) {
        self.span.rename(name);
    }
}

impl fmt::Debug for EndingSpan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndingSpan").field("so_far", &self.so_far()).finish_non_exhaustive()
    }
}
