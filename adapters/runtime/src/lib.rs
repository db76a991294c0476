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

mod baggage;
mod carried;
mod clock;
mod completion;
mod component;
mod config;
mod destination_report;
mod destinations;
mod detector;
mod diagnostics;
mod dispatch;
mod drive;
mod engine;
mod env;
mod exporter;
mod fan_out;
mod grpc_code;
mod guarded_predicate;
mod guarded_sampler;
pub mod guards;
mod health;
mod launch;
mod live;
mod metrics;
mod notice;
mod observe;
mod operation;
mod panics;
mod pipeline;
mod platform;
mod presumed;
mod processors;
mod protobuf;
mod race;
mod receipt;
mod remark;
mod resource;
mod runtime;
mod settle;
mod tail;
mod telemetry;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod thread;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
#[path = "no_thread.rs"]
mod thread;
mod transmission;
mod watch;
mod worker;

pub use baggage::{Baggage, BaggageError};
pub use carried::{Carried, SamplingState};
pub use clock::FixedClock;
pub use component::Component;
pub use config::{Config, Origin, Origins, Setting};
pub use destination_report::DestinationReport;
pub use destinations::Destinations;
pub use detector::{DetectError, Detector};
pub use diagnostics::{Diagnostic, Diagnostics, Severity, Target};
pub use env::{Env, Warning};
pub use exporter::{Completion, Exporter};
pub use grpc_code::grpc_code_name;
pub use health::{Health, HealthState};
pub use live::{LiveSpan, LiveSpans, LiveState};
pub use metrics::{MetricPoint, SdkMetric, SdkMetrics};
pub use operation::{ExportDurations, ExportOperation};
pub use panics::record_panics;
pub use pipeline::PipelineOptions;
#[cfg(feature = "bridge")]
pub use platform::set_bridge;
pub use platform::{Std, default_pipeline, set_default_pipeline, suppressed};
pub use receipt::{Outcome, Receipt};
pub use remark::remark;
pub use resource::Resource;
pub use runtime::Runtime;
pub use tail::{TailError, TailSampler, TailSampling};
pub use telemetry::Telemetry;
pub use thread::{Thread, ThreadStream};
pub use throughline_core::SpawnPolicy;

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
