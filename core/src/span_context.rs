//! What identifies a span to others.

use core::fmt;

use crate::{SpanId, TraceId};

/// The flags byte of W3C Trace Context level 2.
///
/// Two bits have a meaning, [`SAMPLED`](Self::SAMPLED) and
/// [`RANDOM`](Self::RANDOM); the others are never sent.
/// ([trace-flags](https://www.w3.org/TR/trace-context-2/#trace-flags))
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// No flag is set.
    pub const NONE: TraceFlags = TraceFlags(0);
    /// The caller may have recorded the trace.
    pub const SAMPLED: TraceFlags = TraceFlags(0x01);
    /// The right-most 7 bytes of the trace id are uniformly random.
    pub const RANDOM: TraceFlags = TraceFlags(0x02);

    /// The flags with a meaning among these bits; the others are cleared.
    pub const fn from_bits(bits: u8) -> Self {
        TraceFlags(bits & 0x03)
    }

    /// The flags as the byte that is sent.
    pub const fn to_bits(self) -> u8 {
        self.0
    }

    /// Whether the sampled flag is set.
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// Whether the random flag is set.
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }

    /// The same flags with the sampled flag as given.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        TraceFlags(self.0 & !Self::SAMPLED.0 | sampled as u8)
    }
}

impl core::ops::BitOr for TraceFlags {
    type Output = TraceFlags;

    fn bitor(self, other: TraceFlags) -> TraceFlags {
        TraceFlags(self.0 | other.0)
    }
}

impl fmt::Display for TraceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

impl fmt::Debug for TraceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceFlags({self})")
    }
}

/// The immutable identity of a span: ids, flags, and whether it came from
/// another process.
///
/// The trace state travels beside it, in the context's [`Carry`](crate::Carry),
/// so that this type is `Copy`.
/// ([SpanContext](https://opentelemetry.io/docs/specs/otel/trace/api/#spancontext))
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SpanContext {
    trace_id: TraceId,
    span_id: SpanId,
    /// Trace flags, and [`REMOTE`]. A whole word: contexts are copied at every
    /// poll, and neither padding nor single bytes are copied in one step.
    bits: u64,
}

impl SpanContext {
    /// The invalid context: all zeros, local.
    pub const INVALID: SpanContext =
        SpanContext { trace_id: TraceId::INVALID, span_id: SpanId::INVALID, bits: 0 };

    /// The context of a span of this process.
    #[inline]
    pub const fn new(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Self {
        Self::of(trace_id, span_id, flags, false)
    }

    /// The context of a span of another process, as a propagator extracts it.
    pub const fn remote(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Self {
        Self::of(trace_id, span_id, flags, true)
    }

    #[inline]
    pub(crate) const fn of(
        trace_id: TraceId,
        span_id: SpanId,
        flags: TraceFlags,
        is_remote: bool,
    ) -> Self {
        let bits = flags.0 as u64 | if is_remote { REMOTE } else { 0 };
        SpanContext { trace_id, span_id, bits }
    }

    /// The id of the trace.
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The id of the span.
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The flags.
    pub const fn trace_flags(&self) -> TraceFlags {
        TraceFlags(self.bits as u8)
    }

    /// Whether both ids are valid.
    #[inline]
    pub const fn is_valid(&self) -> bool {
        self.trace_id.is_valid() && self.span_id.is_valid()
    }

    /// Whether a propagator extracted it from a message of another process.
    pub const fn is_remote(&self) -> bool {
        self.bits & REMOTE != 0
    }

    /// Whether the sampled flag is set.
    pub const fn is_sampled(&self) -> bool {
        self.trace_flags().is_sampled()
    }
}

/// In [`SpanContext::bits`], above the trace flags.
const REMOTE: u64 = 1 << 8;

impl fmt::Debug for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, .. } = self;
        let (flags, origin) =
            (self.trace_flags(), if self.is_remote() { "remote" } else { "local" });
        write!(f, "SpanContext({trace_id}-{span_id}-{flags}, {origin})")
    }
}
