//! How much a span may hold.

/// Limits of one span; what is beyond them is dropped and counted on the span.
///
/// Names and defaults are the specification's
/// ([SpanLimits](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits),
/// [attribute limits](https://opentelemetry.io/docs/specs/otel/common/#attribute-limits)).
/// Whatever the limits say, the encoded span also has to fit the memory of its
/// pipeline: the inline record of a live span, or a spill block. What does not is cut to
/// what fits, if it has texts (not on bare targets), or else dropped, and the span counts in
/// [`Ledger::memory_limited`](crate::Ledger::memory_limited).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanLimits {
    /// Attributes of a span. 128 by default.
    pub attribute_count: u32,
    /// The characters of a text value, the bytes of a bytes value, also inside
    /// of arrays and maps. Unlimited (`u32::MAX`) by default.
    pub attribute_value_length: u32,
    /// Levels of arrays and maps, the attribute's value itself being the first. 64 by
    /// default, at least 1; an array or map that is deeper becomes an empty value.
    ///
    /// Many readers of protobuf refuse a request with more than 100 messages in each
    /// other, which is some 46 levels: lower it if values may be as deep.
    pub attribute_value_depth: u32,
    /// Events of a span. 128 by default.
    pub event_count: u32,
    /// Links of a span. 128 by default.
    pub link_count: u32,
    /// Attributes of an event. 128 by default.
    pub attribute_per_event_count: u32,
    /// Attributes of a link. 128 by default.
    pub attribute_per_link_count: u32,
}

impl SpanLimits {
    /// The specification's defaults.
    pub const fn new() -> Self {
        SpanLimits {
            attribute_count: 128,
            attribute_value_length: u32::MAX,
            attribute_value_depth: 64,
            event_count: 128,
            link_count: 128,
            attribute_per_event_count: 128,
            attribute_per_link_count: 128,
        }
    }
}

impl Default for SpanLimits {
    fn default() -> Self {
        Self::new()
    }
}
