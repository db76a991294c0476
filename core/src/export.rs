//! What a batch becomes: the contract between the flusher and an exporter.
//!
//! An exporter converts and transmits one batch at a time. It classifies a
//! failure; the waiting, the repeating and the counting are the flusher's.
//! ([Span Exporter](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-exporter))

use core::fmt;
use core::future::Future;
use core::time::Duration;

use crate::Batch;

/// Sends finished spans somewhere.
///
/// [`export`](Self::export) is never called again before the future of the
/// previous call is finished or dropped.
pub trait SpanExporter {
    /// The transmission of one batch. It owns what it needs, so that the batch
    /// stays with the flusher and can be sent again.
    type Sending: Future<Output = Result<Accepted, ExportError>> + Send + 'static;

    /// Begins to send a batch. The batch is never empty.
    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending;
}

/// The batch reached its receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Spans which the receiver refused in a partial success.
    pub rejected: u64,
}

/// The batch did not reach its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// Sending it again may succeed.
    Retry {
        /// How long the receiver asked to wait, if it did.
        after: Option<Duration>,
        /// What went wrong.
        failure: Failure,
    },
    /// The receiver or the configured limit refuses a request of this size; the
    /// halves may pass.
    TooLarge,
    /// Sending it again would fail again.
    Permanent(Failure),
}

/// What went wrong with a transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The receiver's certificate is not trusted.
    Certificate,
    /// The connection ended before the answer was complete.
    Disconnected,
    /// There was no answer in time.
    Timeout,
    /// The receiver answered with this HTTP status.
    Http(u16),
    /// The receiver answered with this gRPC status code.
    Grpc(u8),
    /// The answer was not understood, or larger than the limit.
    Protocol,
    /// Writing to the destination failed.
    Write,
    /// The exporter panicked.
    Panicked,
    /// The exporter has been shut down.
    Shutdown,
    /// The runtime that the exporter needs is not running.
    NoRuntime,
    /// An exporter that is wrapped failed, and says no more that a program could use.
    Exporter,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect => f.write_str("the receiver could not be reached"),
            Failure::Certificate => f.write_str("the receiver's certificate is not trusted"),
            Failure::Disconnected => f.write_str("the connection ended before the answer"),
            Failure::Timeout => f.write_str("no answer in time"),
            Failure::Http(status) => write!(f, "the receiver answered HTTP status {status}"),
            Failure::Grpc(code) => write!(f, "the receiver answered gRPC status {code}"),
            Failure::Protocol => f.write_str("the answer was not understood"),
            Failure::Write => f.write_str("writing failed"),
            Failure::Panicked => f.write_str("the exporter panicked"),
            Failure::Shutdown => f.write_str("the exporter has been shut down"),
            Failure::NoRuntime => f.write_str("the runtime that the exporter needs does not run"),
            Failure::Exporter => f.write_str("the exporter failed"),
        }
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::Retry { failure, .. } => write!(f, "{failure}; it may pass later"),
            ExportError::TooLarge => f.write_str("the request is too large"),
            ExportError::Permanent(failure) => failure.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}
impl core::error::Error for ExportError {}
