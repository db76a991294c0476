//! Tail sampling of programs with a standard library: its rules and its memory.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::Instant;

use throughline_core::tail::{
    Amount, Book, BookSettings, Buffer, Chain, Facts, Lend, MAX_PIPELINES, Predicate, Rule, Rules,
    TailStats, Traces, Unit,
};

use crate::report::metrics::TailReading;
use crate::report::notice::Notice;
use crate::sampling::guarded_predicate::GuardedPredicate;
use crate::{Component, platform};

/// Which traces leave the process, decided when they are over; see
/// [`throughline_core::tail`] for how.
///
/// The first rule that matches a trace says how much of its like is kept; what no
/// rule matches is dropped. It goes by the **local part** of a trace: the spans
/// of the pipelines that are given the same [`TailSampler`]. What happened in
/// other processes it does not know, nor do they learn what it decided.
///
/// ```
/// use core::time::Duration;
/// use throughline_core::tail::{AnyTrace, Failed, HasAttribute, Panicked, Predicate, SlowerThan};
/// use throughline_runtime::TailSampling;
///
/// let tail = TailSampling::new()
///     .keep(Failed.or(Panicked))
///     .keep(SlowerThan(Duration::from_millis(250)))
///     .limit(HasAttribute("tenant.plan", "enterprise*"), 10, Duration::from_secs(1))
///     .sample(AnyTrace, 0.05)
///     .build()?;
/// # assert_eq!(tail.stats().traces_kept, 0);
/// # Ok::<(), throughline_runtime::TailError>(())
/// ```
#[must_use]
pub struct TailSampling {
    rules: Vec<Rule<Box<dyn Predicate + Send + Sync>>>,
    settings: BookSettings,
    max_bytes: usize,
    max_decisions: usize,
    /// Whether a predicate panicked.
    panicked: Arc<Notice>,
}

impl TailSampling {
    /// No rules: nothing is kept, until there are some.
    pub fn new() -> Self {
        TailSampling {
            rules: Vec::new(),
            settings: BookSettings::new(),
            max_bytes: 16 * 1024 * 1024,
            max_decisions: 16_384,
            panicked: Arc::new(Notice::new()),
        }
    }

    /// How much is kept of the traces that no former rule matches and this does.
    ///
    /// A predicate that panics has noted nothing of the span, or does not match the trace;
    /// it is told [once](crate::Diagnostic::Panicked).
    pub fn rule(mut self, traces: impl Predicate + Send + Sync + 'static, amount: Amount) -> Self {
        let traces = GuardedPredicate::new(traces, self.panicked.clone());
        self.rules.push(Rule::new(Box::new(traces), amount));
        self
    }

    /// Keeps all of these.
    pub fn keep(self, traces: impl Predicate + Send + Sync + 'static) -> Self {
        self.rule(traces, Amount::All)
    }

    /// Keeps none of these.
    pub fn drop(self, traces: impl Predicate + Send + Sync + 'static) -> Self {
        self.rule(traces, Amount::Nothing)
    }

    /// Keeps this part of these: the same traces as every other consistent
    /// sampler of the same or a higher ratio. From 1 on it is all; below 2⁻⁵⁶, or
    /// not a number, nothing.
    pub fn sample(self, traces: impl Predicate + Send + Sync + 'static, ratio: f64) -> Self {
        self.rule(traces, Amount::ratio(ratio))
    }

    /// Keeps so many of these per time, on average. When there are more, the
    /// threshold rises, so that counts stay true.
    pub fn limit(
        self,
        traces: impl Predicate + Send + Sync + 'static,
        most: u32,
        per: Duration,
    ) -> Self {
        self.rule(traces, Amount::rate(most, per))
    }

    /// The memory for frames of undecided traces, in bytes, for each pipeline, in units of
    /// 960 bytes of which a trace has one at least. What it cannot hold is decided early, the
    /// oldest trace first, and one that takes a quarter of it for itself. 16 MiB
    /// by default, [`LARGEST_BUFFER`](Self::LARGEST_BUFFER) at most.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes.min(Self::LARGEST_BUFFER);
        self
    }

    /// The most undecided traces; where there are more, the oldest is decided
    /// early. 8,192 by default, [`MOST_TRACES`](Self::MOST_TRACES) at most, about
    /// 180 bytes each.
    pub fn max_traces(mut self, traces: usize) -> Self {
        self.settings.max_traces = traces.clamp(1, Self::MOST_TRACES);
        self
    }

    /// How many decisions are remembered, for spans that come later. 16,384 by
    /// default, [`MOST_TRACES`](Self::MOST_TRACES) at most, about 180 bytes each. A
    /// span that comes after its trace was forgotten is the first one of another trace
    /// with the same id.
    pub fn max_decisions(mut self, decisions: usize) -> Self {
        self.max_decisions = decisions.clamp(1, Self::MOST_TRACES);
        self
    }

    /// When a trace is decided though a local root of it is under way, from the
    /// end of its first span on. 30 s by default.
    pub fn decision_time(mut self, time: Duration) -> Self {
        self.settings.decision_time = time;
        self
    }

    /// How often undecided traces are looked after. 25 ms by default, 1 ms at
    /// least. A longer time has more spans wait, and leave the processor's caches.
    pub fn look_interval(mut self, interval: Duration) -> Self {
        self.settings.look_interval = interval;
        self
    }

    /// The largest buffer of a pipeline, in bytes: 2 GiB. What is more counts as so
    /// many: no number takes the program's memory away.
    pub const LARGEST_BUFFER: usize = 1 << 31;

    /// The most traces that are undecided, and the most decisions that are remembered:
    /// 4,194,304 each. What is more counts as so many.
    pub const MOST_TRACES: usize = 1 << 22;

    /// The sampler, for one or several pipelines.
    ///
    /// # Errors
    ///
    /// Its rules ask more about single spans than can be noted.
    pub fn build(self) -> Result<TailSampler, TailError> {
        let (traces, mut settings) = (self.settings.max_traces + self.max_decisions, self.settings);
        settings.max_known = traces;
        let memory = vec![Traces::EMPTY; traces.div_ceil(Traces::COUNT)];
        let book = Book::new(memory, self.rules, settings, platform::random());
        let book = Mutex::new(book.ok_or(TailError::TooManyConditions)?);
        let (max_bytes, origin, panicked) = (self.max_bytes, OnceLock::new(), self.panicked);
        let name = Component::of_type::<TailSampler>().unique_name().into();
        Ok(TailSampler(Arc::new(Shared { name, book, max_bytes, traces, origin, panicked })))
    }
}

impl Default for TailSampling {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TailSampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailSampling")
            .field("rules", &format_args!("{}", Described(&self.rules)))
            .field("settings", &self.settings)
            .field("max_bytes", &self.max_bytes)
            .field("max_decisions", &self.max_decisions)
            .finish()
    }
}

/// Why tail sampling cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TailError {
    /// The rules together have more conditions on single spans (attributes,
    /// closures) than there are bits.
    TooManyConditions,
    /// As many pipelines as can share the sampler already; one that is shut down makes room.
    TooManyPipelines,
}

impl fmt::Display for TailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TailError::TooManyConditions => {
                let most = Facts::MAX_NOTES;
                write!(f, "tail sampling has more than {most} conditions on attributes and spans")
            }
            TailError::TooManyPipelines => {
                write!(f, "more than {MAX_PIPELINES} pipelines share a tail sampler")
            }
        }
    }
}

impl core::error::Error for TailError {}

/// A tail sampler. Clones are the same one.
///
/// **Pipelines that are given the same one decide together**: a trace that has
/// spans in several of them is one trace, kept or dropped in all. Each has a
/// buffer of its own. At most [`MAX_PIPELINES`](throughline_core::tail::MAX_PIPELINES)
/// can share one at a time.
#[derive(Clone)]
pub struct TailSampler(Arc<Shared>);

struct Shared {
    /// What metrics call it.
    name: Arc<str>,
    book: Mutex<StdBook>,
    max_bytes: usize,
    traces: usize,
    /// From when its time counts, for all pipelines.
    origin: OnceLock<Instant>,
    /// Whether a predicate panicked.
    panicked: Arc<Notice>,
}

type StdRules = Vec<Rule<Box<dyn Predicate + Send + Sync>>>;
type StdBook = Book<Vec<Traces>, StdRules>;

/// The tail stage over memory of the heap.
pub(crate) type StdTail = Buffer<Vec<Unit>, Vec<Chain>, TailSampler>;

impl TailSampler {
    /// What was decided so far.
    pub fn stats(&self) -> TailStats {
        self.lock(|book| book.stats())
    }

    /// The number of traces that are not decided yet.
    pub fn undecided(&self) -> usize {
        self.lock(|book| book.undecided())
    }

    /// What was decided so far, and what waits; `None` while somebody has the book, who may
    /// be the caller.
    pub(crate) fn look(&self) -> Option<TailReading> {
        let book = match self.0.book.try_lock() {
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Ok(book) => book,
        };
        Some(self.reading(&book))
    }

    /// What was decided so far, and what waits.
    pub(crate) fn read(&self) -> TailReading {
        self.lock(|book| self.reading(book))
    }

    fn reading(&self, book: &StdBook) -> TailReading {
        let (stats, undecided) = (book.stats(), book.undecided() as u64);
        let (name, kind) = (self.0.name.clone(), Component::of_type::<Self>().kind());
        TailReading { stats, undecided, name, kind }
    }

    /// Whether it is to be told now that a predicate panicked.
    pub(crate) fn take_panicked(&self) -> bool {
        self.0.panicked.take()
    }

    /// A buffer for one pipeline.
    pub(crate) fn buffer(&self) -> StdTail {
        let units = vec![Unit::EMPTY; self.0.max_bytes / size_of::<Unit>()];
        Buffer::new(units, vec![Chain::EMPTY; self.0.traces], self.clone())
    }

    /// The moment zero, which is the first one that is given.
    pub(crate) fn origin(&self, now: Instant) -> Instant {
        *self.0.origin.get_or_init(|| now)
    }

    fn lock<T>(&self, use_it: impl FnOnce(&mut StdBook) -> T) -> T {
        use_it(&mut self.0.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lend for TailSampler {
    type Memory = Vec<Traces>;
    type Rules = StdRules;

    fn with<T>(&mut self, use_it: impl FnOnce(&mut StdBook) -> T) -> T {
        self.lock(use_it)
    }
}

/// Its rules, the first one first, and the memory of each pipeline:
/// `[(failed|panicked):all][any:0.050003] in 16777216 bytes`.
impl fmt::Display for TailSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.lock(|book| format!("{}", Described(book.rules())));
        let rules = if rules.is_empty() { "[any:nothing]" } else { &rules };
        write!(f, "{rules} in {} bytes", self.0.max_bytes)
    }
}

impl fmt::Debug for TailSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rules, stats) =
            self.lock(|book| (format!("{}", Described(book.rules())), book.stats()));
        f.debug_struct("TailSampler")
            .field("rules", &format_args!("{rules}"))
            .field("stats", &stats)
            .finish_non_exhaustive()
    }
}

/// Shows rules by their description.
struct Described<'a>(&'a StdRules);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.description(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_keeps_and_in_how_much_memory() {
        use throughline_core::tail::{AnyTrace, Failed, HasAttribute, Panicked};

        let tail = TailSampling::new().drop(HasAttribute("http.route", "/health*"));
        let tail = tail.keep(Failed.or(Panicked)).sample(AnyTrace, 0.25).max_bytes(1 << 20);
        assert_eq!(
            tail.build().expect("few conditions").to_string(),
            "[http.route=/health*:nothing][(failed|panicked):all][any:0.250000] in 1048576 bytes"
        );
        let none = TailSampling::new().build().expect("no conditions");
        assert_eq!(none.to_string(), "[any:nothing] in 16777216 bytes");
    }

    #[test]
    fn no_number_takes_the_memory_of_the_program_away() {
        let huge = TailSampling::new().max_bytes(usize::MAX).max_traces(usize::MAX);
        let huge = huge.max_decisions(usize::MAX);
        assert_eq!(huge.max_bytes, TailSampling::LARGEST_BUFFER);
        let most = TailSampling::MOST_TRACES;
        assert_eq!((huge.settings.max_traces, huge.max_decisions), (most, most));
        let none = TailSampling::new().max_bytes(0).max_traces(0).max_decisions(0);
        assert_eq!((none.settings.max_traces, none.max_decisions), (1, 1));
        let tail = none.build().expect("no conditions");
        assert_eq!((tail.0.traces, tail.buffer().used_bytes()), (2, 0));
    }

    /// ERR-4: as a defect of ours would, one that nobody catches kills whoever drives. Then
    /// nothing is well, and a shutdown does not say so
    /// ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance)).
    #[test]
    fn a_driver_that_dies_of_a_span_leaves_no_pipeline_that_is_well() {
        use std::sync::mpsc;

        use throughline_core::tail::HasSpan;
        use throughline_core::{Accepted, Batch, Callsite, ExportError, Scope, SpanExporter};

        use crate::{
            Diagnostic, Diagnostics, Exporter, HealthState, PipelineOptions, Runtime, Span,
            Telemetry, Thread,
        };

        #[derive(Clone)]
        struct Nowhere;

        impl<R: Runtime> Exporter<R> for Nowhere {
            type Connection = Nowhere;

            fn connect(&self, _: &R) -> Nowhere {
                Nowhere
            }
        }

        impl SpanExporter for Nowhere {
            type Sending = core::future::Ready<Result<Accepted, ExportError>>;

            fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
                core::future::ready(Ok(Accepted::default()))
            }
        }

        static CALLSITE: Callsite = Callsite::new("work", &Scope::new("", ""));

        // Without memory the span is in nobody's hands when it happens.
        let mut tail = TailSampling::new().max_bytes(0);
        let uncaught = HasSpan(|_: &throughline_core::SpanView<'_>| panic!("in the flusher"));
        tail.rules.push(Rule::new(Box::new(uncaught), Amount::All));
        let (sender, told) = mpsc::channel();
        let tell = move |diagnostic: &Diagnostic| drop(sender.send(diagnostic.clone()));
        let options = PipelineOptions {
            tail: Some(tail.build().expect("one condition")),
            diagnostics: Diagnostics::to(tell),
            ..PipelineOptions::default()
        };
        let telemetry = Telemetry::start(&options, Thread::start().expect("a thread"), Nowhere);
        telemetry.context().scope(|| drop(Span::start(&CALLSITE, |_| ())));
        telemetry.pipeline().announce();
        let what = "the task that drives the pipeline";
        let patience = Duration::from_secs(20);
        assert_eq!(told.recv_timeout(patience), Ok(Diagnostic::Panicked { what }));
        assert_eq!(telemetry.health().state(), HealthState::Undriven);
        assert!(!telemetry.flush_blocking(patience).is_complete());
        let receipt = telemetry.shutdown_blocking(patience);
        assert!(!receipt.is_complete(), "{receipt}");
        assert!(told.try_recv().is_err(), "it is told once");
    }
}
