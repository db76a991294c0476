//! What is recorded, and how much of it.

use core::time::Duration;
use std::sync::Arc;

use throughline_core::{Sampler, SpanBudgets, SpanLimits, SpanProcessor};
use throughline_runtime::TailSampler;

use super::Builder;

impl Builder {
    /// Which spans are recorded. Parent-based, all roots, by default.
    pub fn sampler(mut self, sampler: impl Sampler + Send + 'static) -> Self {
        self.options.sampler = Arc::new(sampler);
        self.noted("sampler")
    }

    /// Who sees spans begin and end, on the threads on which they do: all that are recorded,
    /// [whether sampled or not](crate::AlwaysRecord). Any number of processors, called in the
    /// order in which they are given here. None by default; spans take longer where there is
    /// one.
    ///
    /// A processor must not block. What it panics with is caught, and
    /// [told](crate::Diagnostic::ProcessorPanicked) once; spans that it begins are not recorded.
    /// It is called no more about spans once the pipeline is shut down. What it keeps back, it
    /// passes on when the pipeline is flushed or shut down: it may block for that, up to the
    /// deadline, and the [receipt](crate::Receipt::processors) says what became of it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use throughline::exporters::Discard;
    /// use throughline::{AlwaysOff, AlwaysRecord, EndedSpan, SpanProcessor, Thread, span};
    ///
    /// /// Adds up how long requests took, of all traces, exported or not.
    /// #[derive(Default)]
    /// struct RequestNanos(AtomicU64);
    ///
    /// impl SpanProcessor for RequestNanos {
    ///     fn on_end(&self, span: &EndedSpan<'_>) {
    ///         if span.name() == "request" {
    ///             let nanos = span.end_unix_nanos() - span.start_unix_nanos();
    ///             self.0.fetch_add(nanos, Ordering::Relaxed);
    ///         }
    ///     }
    /// }
    ///
    /// let total = Arc::new(RequestNanos::default());
    /// let telemetry = throughline::builder()
    ///     .sampler(AlwaysRecord::new(AlwaysOff))
    ///     .processor(total.clone())
    ///     .start(Thread::start()?, Discard);
    /// telemetry.context().scope(|| span!("request").in_scope(|| "the work"));
    /// assert!(total.0.load(Ordering::Relaxed) > 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn processor(mut self, processor: impl SpanProcessor + Send + 'static) -> Self {
        self.options.processors.push(Arc::new(processor));
        self.noted("processors")
    }

    /// Which traces are exported, decided when they are over: those that failed,
    /// those that were slow, a part of the rest. All by default. Pipelines that
    /// are given the same sampler decide together,
    /// [16](crate::tail::MAX_PIPELINES) at most: of one more, [`install`](Self::install) is an
    /// error, and [`start`](Self::start) exports every trace and says so.
    ///
    /// It goes by the part of a trace that is in this process; for whole traces of
    /// many services, a collector does the same; `docs/tail-sampling.md` of the
    /// repository has its configuration.
    ///
    /// ```
    /// use core::time::Duration;
    /// use throughline::TailSampling;
    /// use throughline::tail::{AnyTrace, Failed, Panicked, Predicate, SlowerThan};
    ///
    /// let tail = TailSampling::new()
    ///     .keep(Failed.or(Panicked))
    ///     .keep(SlowerThan(Duration::from_millis(250)))
    ///     .sample(AnyTrace, 0.05)
    ///     .build()?;
    /// let builder = throughline::builder().service_name("orders").tail(&tail);
    /// # drop(builder);
    /// # Ok::<(), throughline::TailError>(())
    /// ```
    pub fn tail(mut self, tail: &TailSampler) -> Self {
        self.options.tail = Some(tail.clone());
        self.noted("tail")
    }

    /// How much a span may hold.
    ///
    /// Whatever the limits say, all of a span has to fit
    /// [16 KiB](throughline_runtime::PipelineOptions::SPAN_BYTES) once it is encoded, or 376
    /// bytes of a span beyond [`max_large_spans`](Self::max_large_spans): a longer text is
    /// cut, what cannot be cut is dropped, and the span counts in
    /// [`Ledger::memory_limited`](crate::Ledger::memory_limited).
    pub fn limits(mut self, limits: SpanLimits) -> Self {
        self.options.limits = limits;
        [
            "limits.attribute_count",
            "limits.attribute_value_length",
            "limits.attribute_value_depth",
            "limits.event_count",
            "limits.link_count",
            "limits.attribute_per_event_count",
            "limits.attribute_per_link_count",
        ]
        .into_iter()
        .fold(self, Builder::noted)
    }

    /// How many spans are exported one by one: 10,000 children of each span by default,
    /// and any number from each call site.
    ///
    /// Children beyond that are timed, and their parent tells of them, by the attributes
    /// `throughline.surplus.count`, `throughline.surplus.sum_ns`,
    /// `throughline.surplus.min_ns` and `throughline.surplus.max_ns`. They stand for
    /// their parent, so what is below them is not lost, and are in the ledger as
    /// [`DropReason::Surplus`](crate::DropReason::Surplus).
    ///
    /// [`Builder::init`] takes `THROUGHLINE_CHILDREN_PER_SPAN` (from 0 on) and
    /// `THROUGHLINE_SPANS_PER_CALLSITE_PER_SECOND` (from 1 on); `none` is without limit.
    pub fn budgets(mut self, budgets: SpanBudgets) -> Self {
        self.options.budgets = budgets;
        self.noted("budgets.children_per_span").noted("budgets.spans_per_callsite_per_second")
    }

    /// Spans that may be under way at once, 560 bytes each. 8,192 by default. Threads may keep the
    /// room of their last spans for their next ones: one thread for each 64 spans, until it ends.
    pub fn max_live_spans(mut self, spans: usize) -> Self {
        self.options.max_live_spans = spans;
        self.noted("max_live_spans")
    }

    /// Spans under way that may be large at once. By default all
    /// [live spans](Self::max_live_spans); 65,536 at most.
    ///
    /// A live span has 376 bytes for its attributes, events, links and status, as they are
    /// encoded; a large one has [16 KiB](throughline_runtime::PipelineOptions::SPAN_BYTES)
    /// instead. So memory is bounded by 16 KiB times this number, 128 MiB by default: it is
    /// reserved at the start, and on systems that provide memory when it is touched (all
    /// that are common) a process has as much of it resident as the spans took that were
    /// large at the same time, a page each at least. An allocator of the program's own must
    /// pass on `alloc_zeroed` for that; and where a process may reserve little (`ulimit -v`),
    /// a smaller number leaves more for others.
    ///
    /// A span beyond this number has its 376 bytes: texts are cut to what fits, what else
    /// does not fit is dropped, and the span counts in
    /// [`Ledger::memory_limited`](crate::Ledger::memory_limited).
    pub fn max_large_spans(mut self, spans: usize) -> Self {
        self.options.max_large_spans = Some(spans);
        self.noted("max_large_spans")
    }

    /// Whether the polls of futures and streams in spans are timed; they are by
    /// default. It takes two readings of the clock per poll and four attributes:
    /// `throughline.poll.count`, `throughline.busy_ns`, `throughline.idle_ns` and
    /// `throughline.poll.longest_ns`.
    pub fn poll_profile(mut self, is_on: bool) -> Self {
        self.options.poll_profile = is_on;
        self.noted("poll_profile")
    }

    /// From how long a poll is an event `throughline.poll.long` on its span, if
    /// polls are timed. 10 ms by default; `None` is never.
    pub fn long_poll(mut self, threshold: Option<Duration>) -> Self {
        self.options.long_poll = threshold;
        self.noted("long_poll")
    }

    /// Tells of spans before they end: each span that is older than this has a record
    /// sent, and again each time that so long has passed, 1 ms at least. Off by default.
    ///
    /// The record has what a span is begun with: ids, parent, name, kind and start. It
    /// ends at the moment at which it is made, and is **marked**: it says
    /// `throughline.heartbeat = true` ([`HEARTBEAT_ATTRIBUTE`](crate::HEARTBEAT_ATTRIBUTE));
    /// if the span's future is polled, also `throughline.heartbeat.state` (`polling` or
    /// `waiting`) and `throughline.heartbeat.since_ns`; if a closure runs in it, the state is
    /// `running`. **It has none of the span's
    /// attributes, events, links and status**, nor a name that was changed meanwhile: those
    /// belong to whoever runs the span, and cannot be read without stopping it. They come
    /// with the span itself, later and under the same ids: a backend that takes the latest
    /// record of a span needs nothing else, for others a collector leaves these out.
    ///
    /// Records are counted apart ([`Ledger::heartbeats`](crate::Ledger::heartbeats)) and sent
    /// once each, past the queue and past a [tail sampler](Self::tail): they come of traces
    /// that it drops later, too.
    pub fn heartbeat(mut self, after: Duration) -> Self {
        self.options.heartbeat = Some(after);
        self.noted("heartbeat")
    }

    /// Whether a shutdown says on stderr, once, which spans are still live: their
    /// handles, futures or streams are kept somewhere, and never leave. It does not by
    /// default; the [receipt](crate::Receipt::leaked) tells how many in any case.
    pub fn report_leaks(mut self, is_on: bool) -> Self {
        self.options.report_leaks = is_on;
        self.noted("report_leaks")
    }
}
