//! How an exporter meets a runtime.

use throughline_core::SpanExporter;

use crate::{Component, Config, Runtime};

/// An exporter that can work on the runtime `R`.
///
/// It is a description (endpoint, headers, limits) from which connections are
/// made: one for the flusher's task, and one more when a caller that blocks the
/// runtime drives the flusher itself, on a [`Thread`](crate::Thread), for which
/// every exporter therefore implements this. An exporter that needs a particular
/// runtime implements it for that one besides, and then cannot be paired with
/// another: it does not compile.
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

    /// Adds what is in force to the table that a user can print: where it sends
    /// to, and within which limits. Secrets are masked here. Nothing by default.
    fn describe(&self, config: &mut Config) {
        let _ = config;
    }

    /// What metrics about the pipeline call it, and where it sends to. The type's
    /// name by default.
    fn component(&self) -> Component {
        Component::of_type::<Self>()
    }
}
