//! Distributed tracing that keeps a trace whole through async Rust: across every
//! `.await`, `spawn`, `join`, `select`, stream, thread pool, cancellation, panic
//! and process.
//!
//! ```text
//!   your code: span!, .in_span(..), spawn       ─┐
//!   this crate: setup, macros, extension traits  │  features pick adapters
//!   adapters: tokio, smol, async-std, threads    │  and exporters
//!   exporters: OTLP, console, memory, any other  │
//!   bridges: the OpenTelemetry API              ─┘
//!   throughline-core: spans, ring, flusher
//! ```
//!
//! A library depends on this crate without features and makes spans; they cost
//! a few nanoseconds until a program installs a pipeline, which is what all features of
//! adapters and exporters bring (`pipeline` alone is for exporters of one's own):
//!
//! ```
//! use throughline::{InSpanExt, span};
//!
//! async fn load(id: u64) -> u64 {
//!     async move { id + 1 }.in_span(span!("load", id)).await
//! }
//!
//! fn checksum(data: &[u8]) -> u8 {
//!     span!("checksum", len = data.len()).in_scope(|| data.iter().fold(0, |a, b| a ^ b))
//! }
//! # assert_eq!(checksum(&[1, 2]), 3);
//! ```

#![forbid(unsafe_code)]

// What libraries use.
mod ext;
mod failure;
mod fields;

// What programs use besides, to set up a pipeline.
#[cfg(feature = "pipeline")]
mod any_runtime;
#[cfg(feature = "pipeline")]
mod config;
#[cfg(feature = "pipeline")]
mod detect;
#[cfg(feature = "pipeline")]
mod discard;
#[cfg(feature = "pipeline")]
mod from_env;
#[cfg(feature = "pipeline")]
mod guard;
#[cfg(feature = "pipeline")]
mod init;
#[cfg(feature = "pipeline")]
mod init_error;
#[cfg(feature = "pipeline")]
mod setup;
#[cfg(all(unix, feature = "signals"))]
mod signals;

// Spans and contexts.
pub use ext::InSpanExt;
pub use fields::ToValue;
pub use throughline_core::{
    Attributes, Callsite, Carry, Ending, Exception, Key, Scope, SpanContext, SpanId, SpanKind,
    SpawnPolicy, StatusCode, TraceFlags, TraceId, Value,
};
pub use throughline_runtime::{
    Context, CurrentSpan, EachInSpan, InSpan, Message, Span, SpanOptions, TryInSpan, WithContext,
    record_panics,
};

// The attributes and events that throughline itself puts on spans.
pub use throughline_core::{
    BUSY_ATTRIBUTE, END_ATTRIBUTE, EXHAUSTED_ATTRIBUTE, HEARTBEAT_ATTRIBUTE,
    HEARTBEAT_SINCE_ATTRIBUTE, HEARTBEAT_STATE_ATTRIBUTE, IDLE_ATTRIBUTE, LONG_POLL_EVENT,
    POLL_COUNT_ATTRIBUTE, POLL_LONGEST_ATTRIBUTE, SURPLUS_COUNT_ATTRIBUTE, SURPLUS_MAX_ATTRIBUTE,
    SURPLUS_MIN_ATTRIBUTE, SURPLUS_SUM_ATTRIBUTE, SURPLUS_UNTIMED_ATTRIBUTE,
};

// Propagation between processes.
pub use throughline_core::w3c;
pub use throughline_propagation as propagation;
pub use throughline_propagation::{extract, inject};
pub use throughline_runtime::{Baggage, BaggageError, Carried, SamplingState};

// Setup, flush and shutdown.
#[cfg(all(unix, feature = "signals"))]
pub use signals::DumpSignal;
pub use throughline_core::{DropReason, Ledger, Retry, SpanBudgets, SpanLimits};
pub use throughline_runtime::{Env, Warning};
#[cfg(feature = "pipeline")]
pub use {
    config::config,
    guard::Guard,
    init_error::InitError,
    setup::{Builder, builder, init},
    throughline_runtime::{
        Config, DestinationReport, Destinations, Exporter, FailedExport, LiveSpan, LiveSpans,
        LiveState, Origin, Outcome, PipelineOptions, ProcessorReport, Receipt, Resource, Runtime,
        Setting, Telemetry, Thread,
    },
};

// What the pipeline says about itself.
pub use throughline_core::{ExportError, Failure};
#[cfg(feature = "pipeline")]
pub use throughline_runtime::{
    Diagnostic, Diagnostics, ExportDurations, ExportOperation, Health, HealthState, MetricPoint,
    SdkMetric, SdkMetrics, Severity, Target, remark,
};

/// What the pipeline counts about itself, as OpenTelemetry metrics.
#[cfg(feature = "metrics")]
pub use throughline_metrics as metrics;

// Where the program runs.
#[cfg(feature = "detectors")]
pub use throughline_detectors as detectors;
#[cfg(feature = "pipeline")]
pub use throughline_runtime::{DetectError, Detector};

// Sampling.
pub use throughline_core::{
    Addition, Additions, AlwaysOff, AlwaysOn, AlwaysRecord, Decision, ParentBased,
    ProbabilitySampler, Sampler, SamplerSwitch, SamplingParameters, TraceIdRatioBased,
};

// Who sees spans begin and end.
pub use throughline_core::{
    ArrayView, AttributesView, EndedSpan, EndingSpan, EventView, LinkView, MapView, ProcessorError,
    SpanProcessor, StartedSpan, ValueView,
};

// Composable samplers, what their rules look for, and counts.
pub use throughline_core::{
    AddAttribute, AnySpan, Both, ComposableAlwaysOff, ComposableAlwaysOn, ComposableAnnotating,
    ComposableParentThreshold, ComposableProbability, ComposableRateLimiting, ComposableRuleBased,
    ComposableSampler, CompositeSampler, Either, Except, HasAttribute, HasKind, HasName, HasRoute,
    IsRoot, NoRules, OtelTraceState, Picked, Predicate, Randomness, Rule, Rules, SamplingIntent,
    Then, Threshold,
};

// Sampling at the tail, and what its rules look for.
pub use throughline_core::tail;
#[cfg(feature = "pipeline")]
pub use throughline_runtime::{TailError, TailSampler, TailSampling};

#[cfg(feature = "macros")]
pub use throughline_macros::trace;

/// Exporters, by their features.
#[cfg(feature = "pipeline")]
pub mod exporters {
    pub use crate::discard::Discard;
    #[cfg(feature = "console")]
    pub use throughline_console::Console;
    #[cfg(all(feature = "opentelemetry-exporter", feature = "otlp-http"))]
    pub use throughline_exporter_opentelemetry::HttpClient;
    #[cfg(feature = "opentelemetry-exporter")]
    pub use throughline_exporter_opentelemetry::OpenTelemetry;
    #[cfg(feature = "memory")]
    pub use throughline_memory::{CapturedSpan, Memory};
    #[cfg(feature = "_otlp")]
    pub use throughline_otlp::{Compression, Otlp, Protocol};
}

/// For tests of programs that make spans: what a closure or a future traces, captured
/// apart from all else, whatever it spawns and whatever runs at the same time. It takes
/// the feature `memory`, which is one for `[dev-dependencies]`:
///
/// ```toml
/// [dev-dependencies]
/// throughline = { version = "0.1", features = ["memory"] }
/// ```
///
/// ```
/// use std::time::Duration;
/// use throughline::testing::{Capture, VirtualClock};
/// use throughline::{Context, span};
///
/// let clock = VirtualClock::new();
/// let (sent, captured) = Capture::new().clock(&clock).seed(7).run(|| {
///     span!("order", id = 7).in_scope(|| {
///         span!("price").in_scope(|| clock.advance(Duration::from_millis(250)));
///         Context::current().span_context()
///     })
/// });
/// captured.assert_tree_with(
///     &["id", "duration"],
///     "
///     order {id=7, duration=250ms}
///       price {duration=250ms}
///     ",
/// );
/// // Ids are the same each time, and those that the program sees.
/// assert_eq!(captured.span("order").span_id, sent.span_id());
/// assert_eq!(captured.span("order").trace_id.to_string(), "e21b87e1e24a18c1daf7cca9fc31c738");
/// ```
///
/// `#[tokio::test]` and its like use [`capture_async`](testing::capture_async).
#[cfg(feature = "memory")]
pub mod testing {
    pub use throughline_memory::{
        Capture, Captured, CapturedEvent, CapturedLink, CapturedSpan, CapturedValue, VirtualClock,
        capture, capture_async,
    };
}

/// The API of the crate `opentelemetry`: its spans, contexts and baggage are
/// throughline's, in one tree.
#[cfg(feature = "opentelemetry")]
pub use throughline_bridge_opentelemetry as opentelemetry;

/// async-std, which is discontinued: the runtime as a value, and spawning that
/// carries the context.
#[cfg(feature = "async-std")]
pub use throughline_async_std as async_std;
#[cfg(feature = "async-std")]
pub use throughline_async_std::AsyncStd;

/// smol: the runtime as a value, and spawning that carries the context.
#[cfg(feature = "smol")]
pub use throughline_smol as smol;
#[cfg(feature = "smol")]
pub use throughline_smol::Smol;

/// tokio: the runtime as a value, and spawning that carries the context.
#[cfg(feature = "tokio")]
pub use throughline_tokio as tokio;
#[cfg(feature = "tokio")]
pub use throughline_tokio::Tokio;

/// Log lines with the ids of the current span, and a logger for the `log` crate.
#[cfg(feature = "log")]
pub use throughline_log as log;
/// Layers of tower: a span per request of servers and clients, over HTTP and gRPC.
#[cfg(feature = "tower")]
pub use throughline_tower as tower;

/// Spans and events of the `tracing` crate in the same trees.
#[cfg(feature = "tracing")]
pub use throughline_tracing as tracing;

/// The README's code compiles and runs.
#[cfg(all(doctest, feature = "macros", feature = "memory", feature = "otlp", feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The FAQ's code compiles and runs.
#[cfg(all(doctest, feature = "macros", feature = "memory", feature = "otlp", feature = "tokio"))]
#[doc = include_str!("../docs/FAQ.md")]
struct Faq;

/// The code of the page on tail sampling compiles and runs.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../docs/tail-sampling.md")]
struct TailSamplingPage;

/// What the macros refer to.
#[doc(hidden)]
pub mod __private {
    pub use crate::failure::{Failure, OfDeref, OfError, OfNothing, stacktrace};
    pub use crate::fields::{is_distinct, record, record_debug, record_display, record_literal};
}
