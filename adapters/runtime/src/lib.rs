//! What throughline needs of an async runtime, and the one loop that drives the
//! flusher on any of them.
//!
//! ```text
//!   throughline-tokio, -smol, -async-std, Thread     exporters
//!            │ spawn, sleep, now, connect                │ export(batch)
//!            ▼                                           ▼
//!   ┌──────────────────────────── drive ────────────────────────────┐
//!   │  poll(now) ──▶ Action ──▶ export, sleep, yield ──▶ on_export  │
//!   └───────────────────────────────────────────────────────────────┘
//!            ▲ the sans-IO flusher of throughline-core
//! ```
//!
//! With several destinations, or several requests in flight, `dispatch` takes the place of
//! `drive`, hands the batches over to a lane for each destination, and workers send:
//!
//! ```text
//!   flusher ──▶ dispatch ──▶ lanes (sans-IO too) ──▶ worker, worker … ──▶ exporters
//! ```
//!
//! Programs use the `throughline` crate; this one is for adapters and exporters.

#![forbid(unsafe_code)]

// What spans and contexts are made with: all that a library links.
mod baggage;
mod carried;
mod clock;
mod env;
mod grpc_code;
pub mod guards;
mod panics;
mod platform;

// What a program links besides, which installs a pipeline.
#[cfg(feature = "pipeline")]
mod anchor;
#[cfg(feature = "pipeline")]
mod export;
#[cfg(feature = "pipeline")]
mod processors;
#[cfg(feature = "pipeline")]
mod report;
#[cfg(feature = "pipeline")]
mod runtime;
#[cfg(feature = "pipeline")]
mod sampling;
#[cfg(feature = "pipeline")]
mod setup;
#[cfg(feature = "pipeline")]
mod telemetry;
#[cfg(all(feature = "pipeline", not(all(target_family = "wasm", target_os = "unknown"))))]
mod thread;
#[cfg(all(feature = "pipeline", target_family = "wasm", target_os = "unknown"))]
#[path = "no_thread.rs"]
mod thread;

pub use baggage::{Baggage, BaggageError};
pub use carried::{Carried, SamplingState};
pub use env::{Env, Warning};
pub use grpc_code::grpc_code_name;
pub use panics::record_panics;
#[cfg(feature = "bridge")]
pub use platform::set_bridge;
pub use platform::{Std, default_pipeline, set_default_pipeline, suppressed};
pub use throughline_core::SpawnPolicy;

#[cfg(feature = "pipeline")]
pub use self::{
    anchor::FixedClock,
    export::destination_report::DestinationReport,
    export::destinations::Destinations,
    export::exporter::{Completion, Exporter},
    export::failed_export::FailedExport,
    export::operation::{ExportDurations, ExportOperation},
    export::receipt::{Outcome, Receipt},
    export::remark::remark,
    processors::ProcessorReport,
    report::diagnostics::{Diagnostic, Diagnostics, Severity, Target},
    report::health::{Health, HealthState},
    report::live::{LiveSpan, LiveSpans, LiveState},
    report::metrics::{MetricPoint, SdkMetric, SdkMetrics},
    runtime::Runtime,
    sampling::tail::{TailError, TailSampler, TailSampling},
    setup::component::Component,
    setup::config::{Config, Origin, Origins, Setting},
    setup::detector::{DetectError, Detector},
    setup::pipeline::PipelineOptions,
    setup::resource::Resource,
    telemetry::Telemetry,
    thread::{Thread, ThreadStream},
};

/// A span of a program with a standard library.
pub type Span = throughline_core::Span<Std>;
/// A context of a program with a standard library.
pub type Context = throughline_core::Context<Std>;
/// How a span begins.
pub type SpanOptions<'a> = throughline_core::SpanOptions<'a, Std>;
/// The span whose scope the current code runs in.
pub type CurrentSpan = throughline_core::CurrentSpan<Std>;
/// A future, stream or sink in a span.
pub type InSpan<T> = throughline_core::InSpan<T, Std>;
/// A future, stream or sink in a span that tells why it failed.
pub type TryInSpan<T> = throughline_core::TryInSpan<T, Std>;
/// A stream or sink with a span for each item.
pub type EachInSpan<T, F> = throughline_core::EachInSpan<T, F, Std>;
/// A future, stream or sink in a context.
pub type WithContext<T> = throughline_core::WithContext<T, Std>;
/// A value that travels with the context in which it was sent.
pub type Message<T> = throughline_core::Message<T, Std>;
