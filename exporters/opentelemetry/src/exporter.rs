//! The wrapper, as the pipeline sees it.

use core::any::TypeId;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use opentelemetry_sdk::trace::SpanExporter as Theirs;
use throughline_core::{Batch, ExportError, SpanExporter};
use throughline_runtime::{Completion, Exporter, Runtime, Thread};

use crate::Sending;
use crate::home::Home;
use crate::shared::Shared;
use crate::span_data;

/// A span exporter of the OpenTelemetry SDK. Clones share it.
///
/// It is told the pipeline's resource once, before the first batch; its `export` never
/// runs twice at once, whoever drives; a flush and the shutdown of the pipeline are
/// forwarded when everything is sent; and everything it does is done with telemetry
/// suppressed in both APIs. A panic in it costs the batch.
/// ([Span Exporter](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-exporter))
pub struct OpenTelemetry<E> {
    shared: Arc<Shared<E>>,
    home: Home,
    retries: bool,
}

impl<E: Theirs + 'static> OpenTelemetry<E> {
    /// An exporter that works on any thread: it has sockets of its own, blocks, or sends
    /// nothing anywhere.
    pub fn new(exporter: E) -> Self {
        OpenTelemetry { shared: Arc::new(Shared::new(exporter)), home: Home::None, retries: true }
    }

    /// An exporter whose sockets and timers are of this tokio runtime.
    ///
    /// The pipeline may be on that runtime or on any other. A tokio runtime without
    /// worker threads runs only while somebody blocks on it.
    #[cfg(feature = "tokio")]
    pub fn on_tokio(exporter: E, runtime: tokio::runtime::Handle) -> Self {
        OpenTelemetry { home: Home::Tokio(runtime), ..Self::new(exporter) }
    }

    /// Whether a batch that could not be exported is tried again; it is by default. Not
    /// for an exporter that tries again itself.
    #[must_use]
    pub fn retry_failures(mut self, retries: bool) -> Self {
        self.retries = retries;
        self
    }

    /// What the exporter said when it failed last.
    pub fn last_error(&self) -> Option<String> {
        self.shared.last_error()
    }
}

impl<E: Theirs + 'static, R: Runtime> Exporter<R> for OpenTelemetry<E> {
    type Connection = Connection<E>;

    fn connect(&self, runtime: &R) -> Connection<E> {
        // Whoever blocks the runtime drives on a plain thread.
        let is_thread = TypeId::of::<R>() == TypeId::of::<Thread>();
        let probe = (is_thread && self.home.may_stand_still()).then(|| {
            let runtime = runtime.clone();
            let sleep = move |time| -> crate::home::Waiting { Box::pin(runtime.sleep(time)) };
            Arc::new(sleep) as Arc<crate::home::Sleep>
        });
        let exporter = self.clone();
        Connection { exporter, probe }
    }

    /// Its `export` is not called again before it has returned.
    fn max_concurrent_exports(&self) -> usize {
        1
    }

    fn completion(&self) -> Option<Arc<dyn Completion>> {
        Some(Arc::new(Completed(self.clone())))
    }
}

/// A wrapped exporter, on a runtime.
pub struct Connection<E> {
    exporter: OpenTelemetry<E>,
    /// How to wait, where the exporter's own runtime may not be running.
    probe: Option<Arc<crate::home::Sleep>>,
}

impl<E: Theirs + 'static> SpanExporter for Connection<E> {
    type Sending = Sending<E>;

    fn export(&mut self, batch: &Batch<'_>) -> Sending<E> {
        let OpenTelemetry { shared, home, retries } = &self.exporter;
        let ready = shared.ready(|| span_data::resource(batch.resource()));
        let spans = span_data::spans(batch);
        let question = self.probe.as_ref().map(|sleep| home.ask(sleep));
        Sending::new(shared.clone(), home.clone(), *retries, ready.map(|_| spans), question)
    }
}

struct Completed<E>(OpenTelemetry<E>);

impl<E: Theirs + 'static> Completion for Completed<E> {
    fn force_flush(&self) -> Result<(), ExportError> {
        let OpenTelemetry { shared, home, .. } = &self.0;
        home.enter(|| shared.force_flush())
    }

    fn shutdown(&self, _: Duration) -> Result<(), ExportError> {
        let OpenTelemetry { shared, home, .. } = &self.0;
        home.enter(|| shared.shutdown())
    }
}

impl<E> Clone for OpenTelemetry<E> {
    fn clone(&self) -> Self {
        let OpenTelemetry { shared, home, retries } = self;
        OpenTelemetry { shared: shared.clone(), home: home.clone(), retries: *retries }
    }
}

impl<E> fmt::Debug for OpenTelemetry<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTelemetry")
            .field("home", &self.home)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for Connection<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("exporter", &self.exporter).finish_non_exhaustive()
    }
}
