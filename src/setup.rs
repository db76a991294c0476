//! Setting up the default pipeline.

use core::time::Duration;
use std::sync::Arc;

use throughline_core::{Retry, Sampler, SpanBudgets, SpanLimits, SpanProcessor};
use throughline_propagation::{self as propagation, Propagator};
use throughline_runtime::{
    Destinations, Detector, Diagnostic, Diagnostics, Exporter, Origin, Origins, PipelineOptions,
    Resource, Runtime, Severity, TailSampler, Telemetry, Thread, Warning, set_default_pipeline,
};

use crate::guard::Guard;
use crate::init_error::InitError;
use crate::{config, detect};

/// Sets everything up from the `OTEL_*` environment variables, on the runtime
/// that is there.
///
/// That is, of those whose features are on: the tokio runtime that the current
/// code runs on; async-std, if the current code is in one of its tasks; else
/// smol, else async-std, whose global executors serve from anywhere; and where
/// neither is built in, a [`Thread`]. [`Builder::install`] takes the runtime as a
/// value instead, for a program that uses several, or an executor of its own.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let telemetry = throughline::init()?;
/// // … the program …
/// println!("{}", telemetry.shutdown_blocking());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A variable has a value without which nothing can be exported (an endpoint
/// that is no URL), a feature is missing for what the variables ask, the
/// operating system gives no thread, or there is a default pipeline already. All
/// other bad values are [warnings](Guard::warnings), told once on stderr too, or to
/// [`Builder::diagnostics`].
pub fn init() -> Result<Guard, InitError> {
    builder().init()
}

/// Settings of a pipeline in code. The environment is read only by
/// [`Builder::from_env`], [`Builder::with_env`] and [`Builder::init`].
///
/// What is said last wins: a variable over what the code said before it was read, and the
/// code over variables that were read before. [`Builder::init`] reads them last. The one
/// exception is `OTEL_RESOURCE_ATTRIBUTES`: over what it says, the code wins always, as
/// [the specification
/// says](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).
pub fn builder() -> Builder {
    Builder {
        options: PipelineOptions::default(),
        resource: Resource::empty(),
        propagator: None,
        detectors: Vec::new(),
        detected: Resource::empty(),
        problems: Vec::new(),
        warnings: Vec::new(),
        origins: Origins::default(),
        disabled: false,
        exporter: None,
        least_severity: Some(Severity::Info),
    }
}

/// Settings of a pipeline. Made by [`builder`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    pub(crate) options: PipelineOptions,
    /// What the code says, and then the variables.
    pub(crate) resource: Resource,
    pub(crate) propagator: Option<Arc<dyn Propagator>>,
    pub(crate) detectors: Vec<&'static dyn Detector>,
    /// What they found.
    pub(crate) detected: Resource,
    /// What is to be told once it is known to whom.
    pub(crate) problems: Vec<Diagnostic>,
    /// Variables that were ignored, to be told once.
    pub(crate) warnings: Vec<Warning>,
    /// Where the values came from.
    pub(crate) origins: Origins,
    pub(crate) disabled: bool,
    /// The names of the exporters, with commas.
    pub(crate) exporter: Option<String>,
    /// What of the diagnostics goes to stderr, if they go there.
    pub(crate) least_severity: Option<Severity>,
}

impl Builder {
    /// The service's name, as backends list it.
    pub fn service_name(self, name: &str) -> Self {
        self.attribute("service.name", name)
    }

    /// An attribute of the resource.
    pub fn attribute(mut self, key: &str, value: &str) -> Self {
        self.resource = self.resource.with(key, value);
        self.noted(&format!("resource.{key}"))
    }

    /// Finds out about the place where the program runs: host, process, container.
    /// What code and variables say wins. The detectors run when the pipeline is set
    /// up; those of the crate `throughline-detectors` are at `throughline::detectors`,
    /// with the feature of that name.
    ///
    /// [`Builder::init`] takes those that `THROUGHLINE_RESOURCE_DETECTORS` names
    /// instead, if it is set: `all`, `none`, or `host,process,…`.
    pub fn detect(mut self, detectors: impl IntoIterator<Item = &'static dyn Detector>) -> Self {
        self.detectors.extend(detectors);
        self
    }

    /// Whether telemetry is switched off, as by `OTEL_SDK_DISABLED`: then nothing
    /// is recorded nor exported, contexts still propagate.
    pub fn disabled(mut self, is_disabled: bool) -> Self {
        self.disabled = is_disabled;
        self.noted("disabled")
    }

    /// Who is told what goes wrong while the pipeline works: a handler of the
    /// program's own, or stderr from another severity on. Each is told once per
    /// change, not per batch. `OTEL_LOG_LEVEL` sets the severity where the code
    /// is silent.
    pub fn diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.options.diagnostics = diagnostics;
        self.noted("diagnostics")
    }

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

    /// Spans that may be under way at once, 560 bytes each. 8,192 by default.
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
    /// `waiting`) and `throughline.heartbeat.since_ns`. **It has none of the span's
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

    /// How contexts cross processes, for the whole process. W3C's trace context and
    /// baggage where nobody has chosen; [`Composite::none`] switches it off.
    ///
    /// [`Composite::none`]: crate::propagation::Composite::none
    pub fn propagator(mut self, propagator: impl Propagator) -> Self {
        self.propagator = Some(Arc::new(propagator));
        self.noted("propagators")
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

    /// Whether a shutdown, also that of a [`Guard`] that is dropped, sends what is queued
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

    /// Makes the pipeline the default one of the process, exporting on this
    /// runtime.
    ///
    /// # Errors
    ///
    /// There is a default pipeline already, or as many as can
    /// [share its tail sampler](InitError::Tail).
    pub fn install<R, E>(self, runtime: R, exporter: E) -> Result<Guard, InitError>
    where
        R: Runtime,
        E: Exporter<R> + Exporter<Thread>,
    {
        self.install_to(runtime, Destinations::to(exporter))
    }

    /// As [`install`](Self::install), to several destinations, each with a queue,
    /// requests in flight and repetitions of its own.
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "console", feature = "otlp-http"))] {
    /// use throughline::exporters::{Console, Otlp};
    /// use throughline::{Destinations, Thread};
    ///
    /// // A collector, and what goes there as JSON lines on stderr too.
    /// let collector = Otlp::http().endpoint("http://collector:4318/v1/traces")?;
    /// let destinations = Destinations::to(collector).and(Console::json(std::io::stderr()));
    /// let guard = throughline::builder()
    ///     .service_name("orders")
    ///     .install_to(Thread::start()?, destinations)?;
    /// // … the program …
    /// for destination in guard.shutdown_blocking().destinations() {
    ///     // `otlp_http_span_exporter/0 stopped: started 7 = exported 7 + …`
    ///     println!("{destination}");
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is a default pipeline already, or as many as can
    /// [share its tail sampler](InitError::Tail).
    pub fn install_to<R: Runtime>(
        mut self,
        runtime: R,
        destinations: Destinations<R>,
    ) -> Result<Guard, InitError> {
        let warnings = self.warnings.clone();
        if self.disabled {
            self.propagate();
            for warning in self.warnings.drain(..) {
                self.options.diagnostics.say(&Diagnostic::Ignored(warning));
            }
            let mut guard = Guard::disabled(&self);
            guard.warnings = warnings;
            return Ok(guard);
        }
        if throughline_runtime::default_pipeline().is_some() {
            return Err(InitError::AlreadyInstalled);
        }
        detect::run(&mut self);
        if self.exporter.is_none() {
            self.exporter = Some(destinations.type_names());
            self = self.noted("exporter");
        }
        let mut config = config::describe(&self);
        destinations.describe(&mut config);
        self.prepare();
        let telemetry = Telemetry::try_start_to(&self.options, runtime, destinations);
        let telemetry = telemetry.map_err(InitError::Tail)?;
        set_default_pipeline(telemetry.pipeline()).map_err(|_| InitError::AlreadyInstalled)?;
        config::remember(&config);
        let mut guard = Guard::new(telemetry, config);
        guard.warnings = warnings;
        Ok(guard)
    }

    /// Makes an isolated pipeline: spans go to it only below its
    /// [context](Telemetry::context). Any number of them can exist, in tests that
    /// run at the same time for example.
    ///
    /// If [16](crate::tail::MAX_PIPELINES) others that are not shut down share its
    /// [tail sampler](Self::tail), it exports every trace, and
    /// [says so](crate::Diagnostic::TailRefused).
    pub fn start<R, E>(self, runtime: R, exporter: E) -> Telemetry
    where
        R: Runtime,
        E: Exporter<R> + Exporter<Thread>,
    {
        self.start_to(runtime, Destinations::to(exporter))
    }

    /// As [`start`](Self::start), to several destinations: see
    /// [`install_to`](Self::install_to).
    pub fn start_to<R: Runtime>(mut self, runtime: R, destinations: Destinations<R>) -> Telemetry {
        self.prepare();
        Telemetry::start_to(&self.options, runtime, destinations)
    }

    /// What is done before a pipeline is made.
    fn prepare(&mut self) {
        self.propagate();
        detect::run(self);
        self.options.resource = self.whole_resource();
        let warnings = self.warnings.drain(..).map(Diagnostic::Ignored);
        for problem in warnings.chain(self.problems.drain(..)) {
            self.options.diagnostics.say(&problem);
        }
    }

    /// What describes the program, from the weakest source to the strongest.
    pub(crate) fn whole_resource(&self) -> Resource {
        self.options.resource.clone().merge(&self.detected).merge(&self.resource)
    }

    /// Notes that the program itself said it.
    fn noted(mut self, name: &str) -> Self {
        self.origins.note(name, Origin::Code);
        self
    }

    /// What comes in goes on, whether or not anything is traced.
    pub(crate) fn propagate(&self) {
        match &self.propagator {
            Some(propagator) => propagation::set_global(propagator.clone()),
            None => {
                propagation::preset_global(propagation::Standard);
            }
        }
    }
}

impl core::fmt::Debug for Builder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Builder")
            .field("options", &self.options)
            .field("resource", &self.whole_resource())
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}
