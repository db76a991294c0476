//! Any span exporter of the [OpenTelemetry SDK] as an exporter of throughline: that of a
//! vendor, or one of your own.
//!
//! ```text
//!            flusher (throughline-runtime): batches, waits, repeats, counts
//!               │ Batch: spans in wire form         ▲ Accepted, Retry, Permanent
//!               ▼                                   │
//!   OpenTelemetry<E>: Vec<SpanData> ── export ──▶ E: opentelemetry_sdk's SpanExporter
//! ```
//!
//! ```
//! use throughline_exporter_opentelemetry::OpenTelemetry;
//! # use opentelemetry_sdk::{error::OTelSdkResult, trace::{SpanData, SpanExporter}};
//! # #[derive(Debug)]
//! # struct Vendor;
//! # impl SpanExporter for Vendor {
//! #     async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult { Ok(()) }
//! # }
//!
//! let exporter = OpenTelemetry::new(Vendor);
//! assert_eq!(exporter.last_error(), None);
//! ```
//!
//! throughline's own OTLP exporter sends the same requests without converting a span. A
//! wrapped one costs an allocation for nearly every part of it.
//!
//! # Which runtime
//!
//! An exporter is polled by whatever drives the flusher: the task of the pipeline's
//! runtime, or a thread that blocks in a flush while that runtime cannot run. One that
//! brings its own sockets, or blocks, works on all of them. One that needs a tokio reactor
//! (gRPC by tonic, an asynchronous reqwest) is wrapped by [`OpenTelemetry::on_tokio`],
//! which enters that runtime around each poll, so that it works from any thread while a
//! tokio thread runs. Where none does, since the caller of a blocking flush holds the only
//! one, the batch is not sent and [`Failure::NoRuntime`] says so: it stays and is tried
//! again. Without `on_tokio` such an exporter panics there, which is caught, counted, and
//! [`Failure::Panicked`].
//!
//! # Failures and repetitions
//!
//! The SDK's error says whether an exporter was shut down, took too long, or failed, and no
//! more. The first is final; the others are tried again as the pipeline's
//! [`Retry`](throughline_core::Retry) has it, and then counted as lost: at least once, as
//! with every OTLP exporter. So repetitions of the exporter's own are to be switched off
//! (`with_retry_policy` of opentelemetry-otlp, `max_retries: 0`): they would multiply, and
//! away from tokio they put the thread to sleep.
//! [`retry_failures`](OpenTelemetry::retry_failures) switches ours off instead. The text
//! of the last error is [kept](OpenTelemetry::last_error). What a receiver refused in part
//! is not told: the SDK's result has no place for it.
//!
//! # What does not fit
//!
//! `SpanData` has values of four kinds and arrays of one kind each. Others become the
//! text that OpenTelemetry gives them outside of OTLP: maps and mixed or nested arrays as
//! JSON, bytes as Base64, an empty value as an empty text. A member of a trace state
//! that the SDK takes for malformed is left out.
//!
//! [OpenTelemetry SDK]: https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-exporter
//! [`Failure::NoRuntime`]: throughline_core::Failure::NoRuntime
//! [`Failure::Panicked`]: throughline_core::Failure::Panicked

#![forbid(unsafe_code)]

mod exporter;
mod home;
#[cfg(feature = "http")]
mod http_client;
mod sending;
mod shared;
mod span_data;
mod text;
mod values;

pub use exporter::{Connection, OpenTelemetry};
#[cfg(feature = "http")]
pub use http_client::HttpClient;
pub use sending::Sending;
