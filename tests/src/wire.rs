//! Spans as plans: made by a generator, carried out on a pipeline, and foretold
//! as the official messages.
//!
//! ```text
//!   plan ──▶ spans ──▶ frames ──▶ batch ──▶ bytes ──▶ prost ─┐
//!    └─────────────────────────────────────▶ expected ───────┴─ equal?
//! ```

mod bench;
mod expected;
mod from_bytes;
mod strategy;
mod viewed;

use throughline_core::{
    Callsite, Ending, Scope, SpanContext, SpanId, SpanKind, StatusCode, TraceFlags, TraceId, Value,
};

pub use bench::{Bench, Made};
pub use expected::{expected_request, expected_value};
pub use from_bytes::plans_from;
pub use strategy::{plans, text, value};
pub use viewed::{viewed, viewed_pairs};

/// Keys and values, which live for ever: a test may leak a few.
pub type Pairs = Vec<(&'static str, Value<'static>)>;

/// What happens to one span.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it begins.
    pub callsite: &'static Callsite,
    /// Its kind, if not that of its call site.
    pub kind: Option<SpanKind>,
    /// What it begins below, with a trace state.
    pub parent: Option<(SpanContext, &'static str)>,
    /// Ticks when it starts.
    pub start: u64,
    /// Its own start, in nanoseconds since the Unix epoch.
    pub own_start: Option<u64>,
    /// What is added, each a tick later.
    pub steps: Vec<Step>,
    /// How it ends, a tick later.
    pub end: End,
}

/// Something added to a span.
#[derive(Clone, Debug)]
pub enum Step {
    /// An attribute.
    Attribute(&'static str, Value<'static>),
    /// An event, now or at its own time.
    Event(&'static str, Option<u64>, Pairs),
    /// A link.
    Link(SpanContext, &'static str, Pairs),
    /// A status.
    Status(StatusCode, &'static str),
    /// Another name.
    Name(&'static str),
}

/// How a span ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// By `end`.
    Now,
    /// By `end_at`, in nanoseconds since the Unix epoch.
    At(u64),
    /// By `end_as`.
    As(Ending),
    /// By being dropped.
    Drop,
}

/// A context with ids made of these numbers.
pub fn span_context(trace: u128, span: u64, flags: u8, is_remote: bool) -> SpanContext {
    let make = if is_remote { SpanContext::remote } else { SpanContext::new };
    make(
        TraceId::from_bytes(trace.to_be_bytes()),
        SpanId::from_bytes(span.to_be_bytes()),
        TraceFlags::from_bits(flags),
    )
}

/// Two call sites of one scope, one of an equal scope, two of others.
pub static CALLSITES: [Callsite; 6] = [
    Callsite::new("load", &SCOPES[0]),
    Callsite::new("GET /orders/{id}", &SCOPES[0]).with_kind(SpanKind::Server),
    Callsite::new("store", &SCOPES[1]).with_kind(SpanKind::Client),
    Callsite::new("π ≈ 3", &SCOPES[2]).with_kind(SpanKind::Producer),
    Callsite::new("", &SCOPES[3]).with_kind(SpanKind::Consumer),
    Callsite::new("of a schema", &SCOPES[4]),
];

static SCOPES: [Scope; 5] = [
    Scope::new("orders", "1.2.3"),
    Scope::new("orders", "1.2.3"),
    Scope::new("inventory", ""),
    Scope::new("", ""),
    Scope::new("orders", "1.2.3")
        .with_schema_url("https://opentelemetry.io/schemas/1.44.0")
        // `a`: true
        .with_attributes(&[0x1a, 0x07, 0x0a, 0x01, b'a', 0x12, 0x02, 0x10, 0x01]),
];
