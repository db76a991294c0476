//! How an exporter meets a runtime.

use throughline_core::SpanExporter;

use crate::Runtime;

/// An exporter that can work on the runtime `R`.
///
/// It is a description (endpoint, headers, limits) from which connections are
/// made: one for the flusher's task, and one more when a caller that blocks the
/// runtime drives the flusher itself. An exporter that needs a particular
/// runtime implements this for that one alone, and then cannot be paired with
/// another.
#[diagnostic::on_unimplemented(
    message = "the exporter `{Self}` cannot work on the runtime `{R}`",
    label = "this exporter needs another runtime",
    note = "choose a runtime for which `{Self}` implements `Exporter`"
)]
pub trait Exporter<R: Runtime>: Clone + Send + Sync + 'static {
    /// Sends batches.
    type Connection: SpanExporter + Send + 'static;

    /// Makes a connection, which reaches out when it is first used.
    fn connect(&self, runtime: &R) -> Self::Connection;
}
