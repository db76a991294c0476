//! How spans wait, and leave.

use core::time::Duration;

use throughline_core::Retry;
use throughline_runtime::PipelineOptions;

use super::Builder;

impl Builder {
    /// How long a finished span waits for others. 5 s by default.
    pub fn schedule_delay(mut self, delay: Duration) -> Self {
        self.options.flusher.schedule_delay = delay;
        self.noted("schedule_delay")
    }

    /// The most spans of a batch, 512 by default. Nobody waits longer than the
    /// [delay](Self::schedule_delay) for one: it is sent when as much is queued as so many spans
    /// of 512 bytes take, or when the time has come.
    pub fn max_export_batch_size(mut self, spans: usize) -> Self {
        self.options.flusher.max_export_batch_size = spans;
        self.noted("max_export_batch_size")
    }

    /// How long one transmission may take. 30 s by default; `None` is without
    /// limit.
    pub fn export_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.flusher.export_timeout = timeout;
        self.noted("export_timeout")
    }

    /// Repetitions of failed transmissions.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.flusher.retry = retry;
        self.noted("retry")
    }

    /// Finished spans that may wait, counted in spans of 512 bytes. 2,048 by
    /// default, [4,194,304](throughline_runtime::PipelineOptions::LARGEST_QUEUE) at most.
    pub fn max_queue_size(mut self, spans: usize) -> Self {
        self.options.max_queue_size = spans;
        self.noted("max_queue_size")
    }

    /// How many requests may be in flight at once, to each destination, up to 256. 1 by
    /// default: batches are sent one after the other, in their order.
    ///
    /// More are for receivers that are far away and programs that make many spans; each
    /// has a connection of its own. The order of batches is then not kept, which no trace
    /// depends on. A request that fails is repeated by itself, and holds its place until
    /// it is settled. A console, and what wraps an exporter of the OpenTelemetry SDK, take
    /// one at a time in any case.
    /// ([Concurrent requests](https://opentelemetry.io/docs/specs/otlp/#otlphttp-concurrent-requests))
    pub fn max_concurrent_exports(mut self, requests: usize) -> Self {
        self.options.max_concurrent_exports = requests.clamp(1, PipelineOptions::MOST_CONCURRENT);
        self.noted("max_concurrent_exports")
    }

    /// Whether a shutdown, also that of a [`Guard`](crate::Guard) that is dropped, sends what is queued
    /// and waits for what is in flight, up to its deadline. It does by default; if not, it
    /// ends at once, and what no receiver has acknowledged is
    /// [abandoned](crate::DropReason::Abandoned), although it may arrive.
    pub fn wait_at_shutdown(mut self, waits: bool) -> Self {
        self.options.wait_at_shutdown = waits;
        self.noted("wait_at_shutdown")
    }

    /// How much may wait for each of several destinations: so many batches behind those
    /// in flight, and so many bytes of spans including those. 16 and 16,000,000 by
    /// default; one batch is always taken. Beyond, spans are lost for that destination
    /// alone.
    pub fn destination_queue(mut self, batches: usize, bytes: usize) -> Self {
        self.options.max_destination_batches = batches;
        self.options.max_destination_bytes = bytes;
        self.noted("destination_queue")
    }
}
