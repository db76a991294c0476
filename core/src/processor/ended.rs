//! What a processor sees of a span that ended: its slot, read once more before it is given
//! back.

use core::fmt;
use core::time::Duration;

use super::Processors;
use crate::body::Body;
use crate::live::Slot;
use crate::{
    AttributesView, Ending, EventView, LinkView, Pipeline, Scope, SpanContext, SpanId, SpanKind,
    SpanView, StatusCode, ValueView, frame,
};

/// A span that ended, to read.
///
/// It has all that is exported of a span, and is there for spans that are not exported too.
/// Fields are found when they are asked for; to read several, walk
/// [`attributes`](Self::attributes), [`events`](Self::events) and [`links`](Self::links) once
/// each. The [surplus](crate::SpanBudgets) children and the polls of the span are among the
/// attributes; [how it ended](Self::ending) is not.
/// ([Additional span interfaces](https://opentelemetry.io/docs/specs/otel/trace/sdk/#additional-span-interfaces))
#[derive(Clone, Copy)]
pub struct EndedSpan<'a> {
    slot: &'a Slot,
    body: &'a Body,
    bytes: &'a [u8],
    /// In nanoseconds since the Unix epoch.
    start: u64,
    end: u64,
    ending: Ending,
    unix_nanos: &'static (dyn Fn(u64) -> u64 + Sync),
}

impl<'a> EndedSpan<'a> {
    /// A span whose record nobody writes to meanwhile.
    pub(crate) fn new(
        slot: &'a Slot,
        (body, bytes): (&'a Body, &'a [u8]),
        end: u64,
        ending: Ending,
        processors: &Processors,
    ) -> Self {
        let unix_nanos = processors.unix_nanos;
        // The later time first: it may have a clock looked at anew.
        let end = frame::unix_of(end, &unix_nanos);
        let start = frame::unix_of(slot.start(), &unix_nanos);
        // As in a frame, the end is not before the start.
        EndedSpan { slot, body, bytes, start, end: end.max(start), ending, unix_nanos }
    }

    /// Ids and flags.
    pub fn span_context(&self) -> SpanContext {
        self.slot.context()
    }

    /// Whether it is sampled. One that is not is [recorded
    /// only](crate::Decision::RecordOnly), and never exported.
    pub fn is_sampled(&self) -> bool {
        self.span_context().is_sampled()
    }

    /// The id of the parent, invalid for a root.
    pub fn parent_span_id(&self) -> SpanId {
        self.slot.parent()
    }

    /// Whether the parent is a span of another process.
    pub fn has_remote_parent(&self) -> bool {
        self.slot.has_remote_parent()
    }

    /// The trace state as text, possibly empty.
    pub fn trace_state(&self) -> &'a str {
        self.view().trace_state()
    }

    /// The name that it had last.
    pub fn name(&self) -> &'a str {
        self.slot.name_of((self.body, self.bytes))
    }

    /// The kind.
    pub fn kind(&self) -> SpanKind {
        self.slot.kind()
    }

    /// Whose code began it.
    pub fn scope(&self) -> &'static Scope {
        self.slot.callsite().scope()
    }

    /// Where it goes if it is sampled; its resource, and its ledger.
    pub fn pipeline(&self) -> &'static Pipeline {
        self.slot.pipeline()
    }

    /// The start in nanoseconds since the Unix epoch. What is exported may differ from it by
    /// as much as the clock was set in between.
    pub fn start_unix_nanos(&self) -> u64 {
        self.start
    }

    /// The end in nanoseconds since the Unix epoch, not before the start.
    pub fn end_unix_nanos(&self) -> u64 {
        self.end
    }

    /// From start to end.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }

    /// How it ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The status and its description.
    pub fn status(&self) -> (StatusCode, &'a str) {
        self.view().status()
    }

    /// The attributes, in the order in which they were set.
    pub fn attributes(&self) -> AttributesView<'a> {
        self.view().attributes()
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<ValueView<'a>> {
        self.view().attribute(key)
    }

    /// The events, in the order in which they were added.
    pub fn events(&self) -> impl Iterator<Item = EventView<'a>> + use<'a> {
        let unix_nanos = self.unix_nanos;
        self.view().events().map(move |event| event.stamped(unix_nanos))
    }

    /// The links, in the order in which they were added.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'a>> + use<'a> {
        self.view().links()
    }

    /// Attributes that were dropped because of a limit.
    pub fn dropped_attributes(&self) -> u32 {
        self.body.dropped_attributes
    }

    /// Events that were dropped because of a limit.
    pub fn dropped_events(&self) -> u32 {
        self.body.dropped_events
    }

    /// Links that were dropped because of a limit.
    pub fn dropped_links(&self) -> u32 {
        self.body.dropped_links
    }

    /// The record, which is the later part of the span's message.
    fn view(&self) -> SpanView<'a> {
        SpanView::of_message(self.body.message(self.bytes))
    }
}

impl fmt::Debug for EndedSpan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedSpan")
            .field("name", &self.name())
            .field("context", &self.span_context())
            .field("parent", &self.parent_span_id())
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}
