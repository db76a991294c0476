//! How an exporter meets a runtime.

use core::time::Duration;
use std::sync::Arc;

use throughline_core::{ExportError, SpanExporter};

use crate::{Component, Config, Runtime};

/// An exporter that can work on the runtime `R`.
///
/// It is a description (endpoint, headers, limits) from which connections are
/// made: one for each request that may be in flight at once, which is one if not said
/// otherwise, and as many when a caller that blocks the runtime drives the flusher
/// itself, on a [`Thread`](crate::Thread), for which every exporter therefore implements
/// this. A connection is given one batch at a time. An exporter that needs a particular
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

    /// How many of its connections may be sending at once, whatever a program asks for.
    /// Any number, if not said otherwise; one that writes to a stream, or shares what
    /// cannot be shared, says 1.
    /// ([Export](https://opentelemetry.io/docs/specs/otel/trace/sdk/#exportbatch))
    fn max_concurrent_exports(&self) -> usize {
        usize::MAX
    }

    /// Whether beginning to send may block the thread, as writing to a pipe does that nobody
    /// reads. It may not, by default. Where there are several
    /// [destinations](crate::Destinations), one that may has threads of its own.
    fn may_block(&self) -> bool {
        false
    }

    /// Whether what it accepts goes nowhere. Its spans then count as
    /// [`RecordOnly`](throughline_core::DropReason::RecordOnly) and not as exported. They
    /// go somewhere, if not said otherwise.
    fn discards(&self) -> bool {
        false
    }

    /// What it does besides sending batches. Nothing, if not said otherwise: to be done
    /// with a batch is to have sent it, and dropping a connection closes it.
    fn completion(&self) -> Option<Arc<dyn Completion>> {
        None
    }
}

/// What an exporter does after a flush and at the end of its pipeline.
///
/// It is called on a thread of its own, once everything that the call was for is sent or
/// lost, and may block. Whoever waits for the flush or the shutdown waits for it too, and
/// not beyond the deadline; what it returns is the receipt's failure.
/// ([ForceFlush and Shutdown of a span
/// exporter](https://opentelemetry.io/docs/specs/otel/trace/sdk/#interface-definition-1))
pub trait Completion: Send + Sync {
    /// Completes what it holds back.
    ///
    /// # Errors
    ///
    /// What went wrong; the spans are counted as they were.
    fn force_flush(&self) -> Result<(), ExportError>;

    /// Nothing is sent any more. Called by each shutdown of the pipeline.
    ///
    /// # Errors
    ///
    /// What went wrong; the spans are counted as they were.
    fn shutdown(&self, within: Duration) -> Result<(), ExportError>;
}
