//! Reading a finished span out of its bytes, without a copy.

use core::fmt;

use crate::body::StatusCode;
#[cfg(not(target_os = "none"))]
use crate::frame;
use crate::wire::{Field, Fields, Payload};
use crate::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId};

/// A finished span, borrowed from its OTLP message.
///
/// Fields are found when they are asked for; to read several, walk
/// [`attributes`](Self::attributes), [`events`](Self::events) and
/// [`links`](Self::links) once each.
#[derive(Clone, Copy)]
pub struct SpanView<'a> {
    message: &'a [u8],
}

impl<'a> SpanView<'a> {
    /// The view of a frame, which is one field that holds the message.
    pub(crate) fn of_frame(frame: &'a [u8]) -> Self {
        let message = Fields::of(frame).next().map_or(&[][..], |field| field.payload.bytes());
        SpanView { message }
    }

    /// The view of an OTLP `Span` message.
    pub const fn of_message(message: &'a [u8]) -> Self {
        SpanView { message }
    }

    /// The OTLP `Span` message.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.message
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> TraceId {
        trace_id(self.bytes(1))
    }

    /// The id of the span.
    pub fn span_id(&self) -> SpanId {
        span_id(self.bytes(2))
    }

    /// The id of the parent, invalid for a root.
    pub fn parent_span_id(&self) -> SpanId {
        span_id(self.bytes(4))
    }

    /// Whether the parent is a span of another process.
    pub fn has_remote_parent(&self) -> bool {
        self.number(16) & 0x200 != 0
    }

    /// Ids and flags together.
    pub fn span_context(&self) -> SpanContext {
        SpanContext::new(self.trace_id(), self.span_id(), self.trace_flags())
    }

    /// The flags of the span.
    pub fn trace_flags(&self) -> TraceFlags {
        TraceFlags::from_bits(self.number(16) as u8)
    }

    /// The trace state as text, possibly empty.
    pub fn trace_state(&self) -> &'a str {
        self.find(3).map_or("", Payload::text)
    }

    /// The name.
    pub fn name(&self) -> &'a str {
        self.find(5).map_or("", Payload::text)
    }

    /// The kind.
    pub fn kind(&self) -> SpanKind {
        SpanKind::from_wire(self.number(6)).unwrap_or_default()
    }

    /// The start in nanoseconds since the Unix epoch.
    pub fn start_unix_nanos(&self) -> u64 {
        self.number(7)
    }

    /// The end in nanoseconds since the Unix epoch.
    pub fn end_unix_nanos(&self) -> u64 {
        self.number(8)
    }

    /// The attributes, in the order in which they were set.
    pub fn attributes(&self) -> AttributesView<'a> {
        AttributesView { fields: Fields::of(self.message), number: 9 }
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<ValueView<'a>> {
        self.attributes().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The events, in the order in which they were added.
    pub fn events(&self) -> impl Iterator<Item = EventView<'a>> + use<'a> {
        messages(self.message, 11).map(EventView::of_message)
    }

    /// The links, in the order in which they were added.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'a>> + use<'a> {
        messages(self.message, 13).map(|message| LinkView { message })
    }

    /// The status and its description.
    pub fn status(&self) -> (StatusCode, &'a str) {
        let status = self.bytes(15);
        let code = match find(status, 3).map_or(0, Payload::number) {
            1 => StatusCode::Ok,
            2 => StatusCode::Error,
            _ => StatusCode::Unset,
        };
        (code, find(status, 2).map_or("", Payload::text))
    }

    /// Attributes that were dropped because of a limit.
    pub fn dropped_attributes(&self) -> u32 {
        self.number(10) as u32
    }

    /// Events that were dropped because of a limit.
    pub fn dropped_events(&self) -> u32 {
        self.number(12) as u32
    }

    /// Links that were dropped because of a limit.
    pub fn dropped_links(&self) -> u32 {
        self.number(14) as u32
    }

    fn find(&self, number: u32) -> Option<Payload<'a>> {
        find(self.message, number)
    }

    fn bytes(&self, number: u32) -> &'a [u8] {
        self.find(number).map_or(&[], Payload::bytes)
    }

    fn number(&self, number: u32) -> u64 {
        self.find(number).map_or(0, Payload::number)
    }
}

impl fmt::Debug for SpanView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanView")
            .field("name", &self.name())
            .field("context", &self.span_context())
            .field("parent", &self.parent_span_id())
            .finish_non_exhaustive()
    }
}

/// An event of a span.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    message: &'a [u8],
    unix_nanos: u64,
}

impl<'a> EventView<'a> {
    fn of_message(message: &'a [u8]) -> Self {
        let unix_nanos = find(message, 1).map_or(0, Payload::number);
        EventView { message, unix_nanos }
    }

    /// The same event, whose time is in clock ticks still.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn stamped(self, unix_nanos: impl Fn(u64) -> u64) -> Self {
        EventView { unix_nanos: frame::unix_of(self.unix_nanos, &unix_nanos), ..self }
    }

    /// When it happened, in nanoseconds since the Unix epoch.
    pub fn unix_nanos(&self) -> u64 {
        self.unix_nanos
    }

    /// The name.
    pub fn name(&self) -> &'a str {
        find(self.message, 2).map_or("", Payload::text)
    }

    /// The attributes.
    pub fn attributes(&self) -> AttributesView<'a> {
        AttributesView { fields: Fields::of(self.message), number: 3 }
    }

    /// Attributes that were dropped because of a limit.
    pub fn dropped_attributes(&self) -> u32 {
        find(self.message, 4).map_or(0, Payload::number) as u32
    }
}

/// A link of a span.
#[derive(Clone, Copy, Debug)]
pub struct LinkView<'a> {
    message: &'a [u8],
}

impl<'a> LinkView<'a> {
    /// The linked span.
    pub fn span_context(&self) -> SpanContext {
        let bytes = |number| find(self.message, number).map_or(&[][..], Payload::bytes);
        let flags = find(self.message, 6).map_or(0, Payload::number);
        let make = if flags & 0x200 != 0 { SpanContext::remote } else { SpanContext::new };
        make(trace_id(bytes(1)), span_id(bytes(2)), TraceFlags::from_bits(flags as u8))
    }

    /// The trace state of the linked span.
    pub fn trace_state(&self) -> &'a str {
        find(self.message, 3).map_or("", Payload::text)
    }

    /// The attributes.
    pub fn attributes(&self) -> AttributesView<'a> {
        AttributesView { fields: Fields::of(self.message), number: 4 }
    }

    /// Attributes that were dropped because of a limit.
    pub fn dropped_attributes(&self) -> u32 {
        find(self.message, 5).map_or(0, Payload::number) as u32
    }
}

/// What produced the spans.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a> {
    message: &'a [u8],
}

impl<'a> ResourceView<'a> {
    /// The view of an OTLP `Resource` message.
    pub const fn new(message: &'a [u8]) -> Self {
        ResourceView { message }
    }

    /// The attributes.
    pub fn attributes(&self) -> AttributesView<'a> {
        AttributesView { fields: Fields::of(self.message), number: 1 }
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<ValueView<'a>> {
        self.attributes().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

/// Keys and values of attributes.
#[derive(Clone, Copy, Debug)]
pub struct AttributesView<'a> {
    fields: Fields<'a>,
    number: u32,
}

impl<'a> AttributesView<'a> {
    /// Those of an instrumentation scope, whose other fields are left out.
    pub(crate) fn of_scope(message: &'a [u8]) -> Self {
        AttributesView { fields: Fields::of(message), number: 3 }
    }
}

impl<'a> Iterator for AttributesView<'a> {
    type Item = (&'a str, ValueView<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.number;
        let entry = self.fields.find(|field| field.number == number)?.payload.bytes();
        let key = find(entry, 1).map_or("", Payload::text);
        let value = find(entry, 2).map_or(&[][..], Payload::bytes);
        Some((key, ValueView::of(value)))
    }
}

/// An attribute's value, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueView<'a> {
    /// A value that is there and empty.
    Empty,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// A floating-point number.
    F64(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An array.
    Array(ArrayView<'a>),
    /// A map, as its keys and values.
    Map(MapView<'a>),
}

impl<'a> ValueView<'a> {
    fn of(message: &'a [u8]) -> Self {
        let Some(Field { number, payload, .. }) = Fields::of(message).next() else {
            return ValueView::Empty;
        };
        match number {
            1 => ValueView::Str(payload.text()),
            2 => ValueView::Bool(payload.number() != 0),
            3 => ValueView::I64(payload.number() as i64),
            4 => ValueView::F64(f64::from_bits(payload.number())),
            5 => ValueView::Array(ArrayView { message: payload.bytes() }),
            6 => ValueView::Map(MapView { message: payload.bytes() }),
            7 => ValueView::Bytes(payload.bytes()),
            _ => ValueView::Empty,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            ValueView::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// An array of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrayView<'a> {
    message: &'a [u8],
}

impl<'a> ArrayView<'a> {
    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = ValueView<'a>> + use<'a> {
        messages(self.message, 1).map(ValueView::of)
    }
}

/// A map of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapView<'a> {
    message: &'a [u8],
}

impl<'a> MapView<'a> {
    /// The entries.
    pub fn iter(&self) -> AttributesView<'a> {
        AttributesView { fields: Fields::of(self.message), number: 1 }
    }
}

fn find(message: &[u8], number: u32) -> Option<Payload<'_>> {
    Fields::of(message).find(|field| field.number == number).map(|field| field.payload)
}

fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(message)
        .filter(move |field| field.number == number)
        .map(|field| field.payload.bytes())
}

fn trace_id(bytes: &[u8]) -> TraceId {
    TraceId::from_bytes(bytes.try_into().unwrap_or_default())
}

fn span_id(bytes: &[u8]) -> SpanId {
    SpanId::from_bytes(bytes.try_into().unwrap_or_default())
}
