//! Running code, and looking at the spans it made.

mod running;

use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use running::Running;
use throughline_core::{Ledger, Sampler, SpanBudgets, SpanLimits};
use throughline_runtime::{LiveSpans, PipelineOptions, TailSampler, WithContext};

use crate::{CapturedSpan, VirtualClock, tree};

/// Runs a closure and captures the spans that it makes.
///
/// ```
/// use throughline_memory::capture;
/// # use throughline_core::{Callsite, Scope};
/// # static SCOPE: Scope = Scope::new("doc", "");
/// # static ORDER: Callsite = Callsite::new("order", &SCOPE);
/// # static PRICE: Callsite = Callsite::new("price", &SCOPE);
/// # fn order() -> u32 {
/// #     let span = |callsite| throughline_runtime::Span::start(callsite, |_| ());
/// #     span(&ORDER).in_scope(|| span(&PRICE).in_scope(|| 3))
/// # }
///
/// let (sum, captured) = capture(order);
/// assert_eq!(sum, 3);
/// captured.assert_tree(
///     "
///     order
///       price
///     ",
/// );
/// ```
///
/// Each capture is a pipeline of its own, found by the context: what the closure
/// spawns through an adapter, or hands its context to, is captured too, and tests
/// that run at the same time never see each other's spans. Spans below another
/// capture, or a default pipeline, stay there. Whatever ends before the closure
/// returns is there; of what is still under way then, [`Captured::live`] tells.
///
/// # Panics
///
/// If a span was lost, which [`Capture::room_for`] more prevents; if there is no
/// thread left; and if the closure panics.
#[track_caller]
pub fn capture<R>(work: impl FnOnce() -> R) -> (R, Captured) {
    Capture::new().run(work)
}

/// As [`capture`], for a future.
///
/// A span belongs to the capture in which it is *made*, and what is passed to a function
/// is made before: `capture_async(load().in_span(span!("load")))` captures nothing of
/// `load`, where `capture_async(async { load().in_span(span!("load")).await })` does.
///
/// # Panics
///
/// As [`capture`].
pub async fn capture_async<F: Future>(work: F) -> (F::Output, Captured) {
    Capture::new().run_async(work).await
}

/// How to capture.
///
/// Each capture leaves memory behind, as pipelines are never freed: about 180 KiB, and up
/// to 1.2 KiB more for each span of [`room_for`](Self::room_for) beyond the default. So
/// a thousand captures in one process leave 180 MiB.
///
/// Polls are not timed in it, so that attributes are the same each time, if no
/// [`long_poll`](Self::long_poll) is asked for. If the process has no propagator, the
/// first capture presets that of W3C for it, as a set-up would do: what the program
/// chooses later takes its place.
#[derive(Clone, Debug)]
#[must_use]
pub struct Capture {
    options: PipelineOptions,
    clock: Option<VirtualClock>,
}

impl Capture {
    /// Every span, real time, random ids.
    pub fn new() -> Self {
        let mut options = PipelineOptions::default();
        options.flusher.schedule_delay = Duration::from_secs(3_600);
        options.poll_profile = false;
        options.max_queue_size = ROOM;
        options.max_live_spans = LIVE;
        options.max_large_spans = Some(16);
        // One ring, whatever the machine: each has its share of the queue, and one thread
        // of a test may fill it.
        options.max_shards = 1;
        options.max_batch_bytes = 64 * 1_024;
        Capture { options, clock: None }
    }

    /// Ids that are the same each time: of one sequence, which the seed determines,
    /// drawn in the order in which spans begin. They are the ids that the program sees
    /// and sends, too.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.id_seed = Some(seed);
        self
    }

    /// Times of this clock, also for samplers that limit rates.
    pub fn clock(mut self, clock: &VirtualClock) -> Self {
        self.options.clock = Some(clock.fixed());
        self.clock = Some(clock.clone());
        self
    }

    /// Which spans are recorded; all by default.
    pub fn sampler(mut self, sampler: impl Sampler + Send + 'static) -> Self {
        self.options.sampler = Arc::new(sampler);
        self
    }

    /// Which traces are kept when they are over; all by default. They are decided at the
    /// end of the capture, or as soon as the sampler looks after them; what is dropped is
    /// no loss. [`TailSampler::stats`] tells what was decided why.
    ///
    /// It takes the memory of the sampler ([`TailSampling::max_bytes`], 16 MiB by default,
    /// of which what is not used costs next to nothing). Durations are those of the real
    /// clock, or what the program gave as start and end: a
    /// [`VirtualClock`] has no say in them.
    ///
    /// [`TailSampling::max_bytes`]: throughline_runtime::TailSampling::max_bytes
    pub fn tail(mut self, tail: &TailSampler) -> Self {
        self.options.tail = Some(tail.clone());
        self
    }

    /// How many children of one span, and spans of one call site, are captured one by
    /// one; of the others their parent tells, as in the program. A limit per call site
    /// counts real time.
    pub fn budgets(mut self, budgets: SpanBudgets) -> Self {
        self.options.budgets = budgets;
        self
    }

    /// Times polls, and from how long a poll is an event `throughline.poll.long` on its
    /// span: with [`Duration::ZERO`] each one is. It is real time.
    pub fn long_poll(mut self, threshold: Duration) -> Self {
        self.options.poll_profile = true;
        self.options.long_poll = Some(threshold);
        self
    }

    /// Tells of spans that are under way for so long, each time that so long has passed:
    /// [`Captured::heartbeats`] has the records. They are made aside, in real time, so how
    /// many there are is not the same each time; none by default.
    pub fn heartbeat(mut self, after: Duration) -> Self {
        self.options.heartbeat = Some(after);
        self
    }

    /// How much a span may hold.
    pub fn limits(mut self, limits: SpanLimits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Room for so many spans under way, and for so many that ended and were not
    /// taken yet, of 512 bytes. 128 and 512 by default. A capture for which it was not
    /// enough panics, and names a number that is.
    pub fn room_for(mut self, spans: usize) -> Self {
        self.options.max_live_spans = spans;
        self.options.max_queue_size = spans;
        self
    }

    /// Runs the closure: see [`capture`].
    ///
    /// # Panics
    ///
    /// As [`capture`].
    #[track_caller]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> (R, Captured) {
        let running = Running::start(self);
        let result = running.context().scope(work);
        (result, running.finish())
    }

    /// Runs the future: see [`capture`].
    ///
    /// # Panics
    ///
    /// As [`capture`].
    pub async fn run_async<F: Future>(self, work: F) -> (F::Output, Captured) {
        let running = Running::start(self);
        let result = WithContext::new(work, running.context()).await;
        (result, running.finish())
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

/// What was captured.
#[derive(Clone, Debug)]
pub struct Captured {
    spans: Vec<CapturedSpan>,
    heartbeats: Vec<CapturedSpan>,
    live: LiveSpans,
    ledger: Ledger,
}

impl Captured {
    /// The spans, in the order in which they ended, as far as they ended on one
    /// thread.
    pub fn spans(&self) -> &[CapturedSpan] {
        &self.spans
    }

    /// The first span of this name.
    ///
    /// # Panics
    ///
    /// If there is none; the message shows what there is.
    #[track_caller]
    pub fn span(&self, name: &str) -> &CapturedSpan {
        tree::find(&self.spans, name)
    }

    /// The records of spans that were under way, in the order in which they came; none
    /// unless [asked for](Capture::heartbeat).
    pub fn heartbeats(&self) -> &[CapturedSpan] {
        &self.heartbeats
    }

    /// What was still under way at the end.
    pub fn live(&self) -> &LiveSpans {
        &self.live
    }

    /// What became of every span.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// All traces as an indented tree of names, children in the order of their starts,
    /// with how a span ended or failed behind its name.
    pub fn tree(&self) -> String {
        tree::render(&self.spans)
    }

    /// As [`tree`](Self::tree), with these attributes of each span that has them, and
    /// with how long it took for `duration`:
    ///
    /// ```text
    /// order {id=7, duration=250ms}
    ///   price {duration=0ns}
    /// ```
    pub fn tree_with(&self, keys: &[&str]) -> String {
        tree::render_with(&self.spans, keys)
    }

    /// Asserts the whole of [`tree`](Self::tree). Common indentation, and blank lines at
    /// both ends, are ignored.
    ///
    /// # Panics
    ///
    /// If the tree differs; the message shows both, line by line.
    #[track_caller]
    pub fn assert_tree(&self, expected: &str) {
        tree::assert_same(expected, &self.tree(), || self.hint());
    }

    /// Asserts the whole of [`tree_with`](Self::tree_with).
    ///
    /// # Panics
    ///
    /// As [`assert_tree`](Self::assert_tree).
    #[track_caller]
    pub fn assert_tree_with(&self, keys: &[&str], expected: &str) {
        tree::assert_same(expected, &self.tree_with(keys), || self.hint());
    }

    /// As [`assert_tree`](Self::assert_tree), whatever the order of siblings is: for
    /// work that runs side by side.
    ///
    /// # Panics
    ///
    /// As [`assert_tree`](Self::assert_tree).
    #[track_caller]
    pub fn assert_tree_unordered(&self, expected: &str) {
        let (expected, actual) = (tree::dedent(expected), self.tree());
        tree::assert_same(&tree::sorted(&expected), &tree::sorted(&actual), || self.hint());
    }

    /// Asserts the whole of [`tree_with`](Self::tree_with), whatever the order of siblings
    /// is.
    ///
    /// # Panics
    ///
    /// As [`assert_tree`](Self::assert_tree).
    #[track_caller]
    pub fn assert_tree_unordered_with(&self, keys: &[&str], expected: &str) {
        let (expected, actual) = (tree::dedent(expected), self.tree_with(keys));
        tree::assert_same(&tree::sorted(&expected), &tree::sorted(&actual), || self.hint());
    }

    /// Why a span may be missing that one looks for.
    fn hint(&self) -> String {
        if !self.live.is_empty() {
            let names = self.live.iter().map(|span| span.name).collect::<Vec<_>>();
            format!("still under way when the capture ended: {}\n", names.join(", "))
        } else if self.ledger.started() == 0 && self.ledger.unsampled() == 0 {
            "no span was made in the capture; one that is made before it begins, as an \
             argument is, belongs to what was current there\n"
                .to_owned()
        } else {
            String::new()
        }
    }
}

/// Spans that may wait, and spans under way, if nothing else is asked for.
const ROOM: usize = 512;
const LIVE: usize = 128;
