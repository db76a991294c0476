//! Pipelines that sample at the tail with one book, on a virtual clock, and what
//! their exporters got.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;

use throughline_core::tail::{
    ADJUSTED_COUNT_ATTRIBUTE, Book, BookSettings, Buffer, Chain, Lend, Predicate, Rule, TailStats,
    Traces, Unit,
};
use throughline_core::{
    Accepted, Action, AlwaysOn, Batch, Callsite, Context, DropReason, Floods, Ledger,
    OtelTraceState, ParentBased, Pipeline, Sampler, Scope, Span, SpanBudgets, SpanContext,
    SpanOptions, SpanView, SurplusSummary, TraceId, ValueView,
};
use throughline_runtime::Carried;

use super::{Setup, Virtual, VirtualFlusher};

/// How large everything is.
pub struct TailSetup {
    /// The pipelines, which share a book.
    pub pipelines: usize,
    /// 960 bytes each, for every pipeline.
    pub units: usize,
    /// Traces that are undecided or remembered, a multiple of 16.
    pub traces: usize,
    /// How long the book waits.
    pub settings: BookSettings,
    /// What is kept.
    pub rules: Vec<Rule<Box<dyn Predicate>>>,
    /// Decides at the head.
    pub sampler: &'static dyn Sampler,
    /// The spans of a batch.
    pub batch: usize,
    /// Children of one span that are exported.
    pub children: u32,
    /// How long each export takes.
    pub export_time: Duration,
}

impl TailSetup {
    /// One pipeline with room for everything, by these rules.
    pub fn new(rules: Vec<Rule<Box<dyn Predicate>>>) -> Self {
        TailSetup {
            pipelines: 1,
            units: 8_192,
            traces: 65_536,
            settings: BookSettings::new(),
            rules,
            sampler: &KEEPS_ROOTS,
            batch: 512,
            children: u32::MAX,
            export_time: Duration::ZERO,
        }
    }
}

/// Pipelines, their flushers, and what was delivered.
pub struct TailSimulation {
    members: Vec<Member>,
    book: SharedBook,
    now: Duration,
    units: usize,
    delivered: HashMap<TraceId, Delivered>,
    export_time: Duration,
}

struct Member {
    pipeline: &'static Pipeline,
    flusher: VirtualFlusher<Tail>,
    /// What is with the exporter, and until when.
    exporting: Option<(Vec<u8>, Duration)>,
}

/// What came of a trace.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// Spans at the exporters.
    pub spans: u64,
    /// Their names, in the order of arrival.
    pub names: Vec<&'static str>,
    /// The trace state of the last one.
    pub trace_state: String,
    /// What the trace state of the last one says each such trace stands for.
    pub adjusted_count: Option<f64>,
    /// The same of the attribute.
    pub relative_count: Option<f64>,
}

type Tail = Buffer<Vec<Unit>, Vec<Chain>, SharedBook>;
type StdBook = Book<Vec<Traces>, Vec<Rule<Box<dyn Predicate>>>>;

/// A book that several flushers share.
#[derive(Clone)]
pub(super) struct SharedBook(Rc<RefCell<StdBook>>);

impl Lend for SharedBook {
    type Memory = Vec<Traces>;
    type Rules = Vec<Rule<Box<dyn Predicate>>>;

    fn with<T>(&mut self, use_it: impl FnOnce(&mut StdBook) -> T) -> T {
        use_it(&mut self.0.borrow_mut())
    }
}

impl TailSimulation {
    /// New pipelines at the time zero.
    pub fn new(setup: TailSetup) -> Self {
        Virtual::set_ticks(0);
        let TailSetup { pipelines, units, traces, mut settings, rules, sampler, .. } = setup;
        let TailSetup { batch, children, export_time, .. } = setup;
        settings.max_known = traces;
        let book =
            Book::new(vec![Traces::EMPTY; traces.div_ceil(Traces::COUNT)], rules, settings, 0x5eed)
                .expect("the rules have few conditions");
        let book = SharedBook(Rc::new(RefCell::new(book)));
        let member = |_| {
            let setup = Setup {
                sampler,
                ring_units: 65_536,
                slots: 16_384,
                batch_bytes: 4_000_000,
                batch_entries: batch,
                ..Setup::small()
            };
            let chains = vec![Chain::EMPTY; traces];
            let tail = Buffer::new(vec![Unit::EMPTY; units], chains, book.clone());
            let (pipeline, flusher) =
                setup.build_with_tail(tail, |pipeline| with_budget(pipeline, children));
            let flusher = flusher.expect("at most 16 share a book");
            Member { pipeline, flusher, exporting: None }
        };
        let members = (0..pipelines).map(member).collect();
        let (now, delivered) = (Duration::ZERO, HashMap::new());
        TailSimulation { members, book, now, units, delivered, export_time }
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Moves the clock forward, without polls.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
        Virtual::set_ticks(self.now.as_nanos() as u64);
    }

    /// Moves the clock forward, and does what the flushers want meanwhile.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let until = self.poll().unwrap_or(end).min(end);
            self.advance(until - self.now);
        }
        self.poll();
    }

    /// The root of a trace in one of the pipelines.
    pub fn root(&self, member: usize) -> Span<Virtual> {
        let context = Context::empty().with_pipeline(self.members[member].pipeline);
        Span::start_with(&ROOT, SpanOptions::new().parent(&context), |_| ())
    }

    /// A local root below a span of another process.
    pub fn below_remote(
        &self,
        member: usize,
        caller: SpanContext,
        carried: Carried,
    ) -> Span<Virtual> {
        let caller = SpanContext::remote(caller.trace_id(), caller.span_id(), caller.trace_flags());
        let context = Context::remote(caller, carried).with_pipeline(self.members[member].pipeline);
        Span::start_with(&SERVER, SpanOptions::new().parent(&context), |_| ())
    }

    /// A child.
    pub fn child(&self, parent: &Context<Virtual>) -> Span<Virtual> {
        Span::start_with(&CHILD, SpanOptions::new().parent(parent), |_| ())
    }

    /// Polls all flushers until there is nothing to do at this moment; every
    /// batch arrives. Returns when to poll again.
    pub fn poll(&mut self) -> Option<Duration> {
        let mut until = None;
        // What one decides may wake another.
        for _ in 0..2 {
            until = (0..self.members.len()).filter_map(|member| self.poll_one(member)).min();
        }
        until
    }

    /// Polls one of them.
    pub fn poll_one(&mut self, member: usize) -> Option<Duration> {
        loop {
            let Member { pipeline, flusher, exporting } = &mut self.members[member];
            let mut action = flusher.poll(self.now, Virtual::unix_nanos);
            if action == Action::Export {
                assert!(!flusher.batch().is_empty(), "an empty batch is sent");
                *exporting = Some((encoded(&flusher.batch()), self.now + self.export_time));
            }
            match exporting.take() {
                Some((sent, until)) if until <= self.now => {
                    assert_eq!(encoded(&flusher.batch()), sent, "a batch that was sent is changed");
                    for (_, span) in flusher.batch().spans() {
                        let trace = self.delivered.entry(span.trace_id()).or_default();
                        trace.deliver(&span);
                    }
                    flusher.on_export(self.now, Ok(Accepted::default()));
                    action = Action::Yield;
                }
                Some((sent, until)) => {
                    *exporting = Some((sent, until));
                    if let Action::Wait { until: wake } = &mut action {
                        *wake = Some(wake.map_or(until, |wake| wake.min(until)));
                    }
                }
                None => {}
            }
            let (ledger, used) = (pipeline.ledger(), flusher.tail().used_bytes());
            assert!(used <= self.units * size_of::<Unit>(), "{used} bytes are in use");
            let live = pipeline.live_count() as u64;
            assert!(ledger.in_flight() >= live + flusher.gathered() as u64, "{ledger}");
            match action {
                Action::Export | Action::Yield => {}
                Action::Wait { until } => {
                    assert!(until.is_none_or(|until| until > self.now), "the wait is over");
                    return until;
                }
                Action::Finished => return None,
            }
        }
    }

    /// Asks each flusher for a flush, and polls until all have it. Returns how
    /// long it took.
    pub fn flush(&mut self) -> Duration {
        let tickets: Vec<_> =
            self.members.iter_mut().map(|member| member.flusher.flush()).collect();
        let began = self.now;
        loop {
            let until = self.poll();
            if self.members.iter().zip(&tickets).all(|(m, ticket)| m.flusher.is_served(*ticket)) {
                return self.now - began;
            }
            assert!(self.now < began + Duration::from_secs(60), "a flush does not end");
            self.advance(until.map_or(Duration::from_millis(1), |until| until - self.now));
        }
    }

    /// As [`flush`](Self::flush), of one pipeline, while the flushers of others
    /// are not polled.
    pub fn flush_one(&mut self, member: usize) -> Duration {
        let (ticket, began) = (self.members[member].flusher.flush(), self.now);
        loop {
            let until = self.poll_one(member);
            if self.members[member].flusher.is_served(ticket) {
                return self.now - began;
            }
            assert!(self.now < began + Duration::from_secs(60), "a flush does not end");
            self.advance(until.map_or(Duration::from_millis(1), |until| until - self.now));
        }
    }

    /// Ends all pipelines; whether all of it was settled.
    pub fn shutdown(&mut self, within: Duration) -> bool {
        for member in &mut self.members {
            member.flusher.shutdown(self.now + within);
        }
        while let Some(until) = self.poll() {
            self.advance(until - self.now);
        }
        self.members.iter().all(|member| !member.flusher.is_cut_short())
    }

    /// What became of the spans of all pipelines.
    pub fn ledger(&self) -> Ledger {
        self.members.iter().map(|member| member.pipeline.ledger()).sum()
    }

    /// Spans that were dropped with their traces.
    pub fn sampled_out(&self) -> u64 {
        self.ledger().dropped(DropReason::TailSampledOut)
    }

    /// Spans that wait in a flusher.
    pub fn gathered(&self) -> usize {
        self.members.iter().map(|member| member.flusher.gathered()).sum()
    }

    /// The bytes in which frames wait.
    pub fn used_bytes(&self) -> usize {
        self.members.iter().map(|member| member.flusher.tail().used_bytes()).sum()
    }

    /// What was decided.
    pub fn stats(&self) -> TailStats {
        self.book.clone().with(|book| book.stats())
    }

    /// The number of pipelines.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Traces that are not decided.
    pub fn undecided(&self) -> usize {
        self.book.clone().with(|book| book.undecided())
    }

    /// What arrived of a trace.
    pub fn delivered(&self, trace: TraceId) -> Delivered {
        self.delivered.get(&trace).cloned().unwrap_or_default()
    }

    /// What arrived of a trace, which is then gone from the records.
    pub fn take_delivered(&mut self, trace: TraceId) -> Delivered {
        self.delivered.remove(&trace).unwrap_or_default()
    }

    /// What arrived of all traces.
    pub fn all_delivered(&self) -> &HashMap<TraceId, Delivered> {
        &self.delivered
    }
}

fn encoded(batch: &Batch<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.encode(|part| bytes.extend_from_slice(part));
    bytes
}

fn with_budget(pipeline: Pipeline, children: u32) -> Pipeline {
    let mut budgets = SpanBudgets::new();
    budgets.children_per_span = children;
    let summaries = (0..pipeline.live_capacity()).map(|_| SurplusSummary::new());
    pipeline.with_budgets(Box::leak(Box::new(Floods {
        budgets,
        summaries: summaries.collect::<Vec<_>>().leak(),
        callsites: &[],
        nanos_of: |ticks, _| ticks,
    })))
}

impl Delivered {
    fn deliver(&mut self, span: &SpanView<'_>) {
        self.spans += 1;
        let known = [&ROOT, &SERVER, &CHILD].map(Callsite::name);
        self.names.extend(known.iter().find(|name| **name == span.name()));
        let state = throughline_core::w3c::TraceState::parse(span.trace_state());
        let state = state.expect("the trace state is well-formed");
        state.as_str().clone_into(&mut self.trace_state);
        let threshold = OtelTraceState::of(state).threshold();
        self.adjusted_count = threshold.map(|threshold| threshold.adjusted_count());
        self.relative_count = match span.attribute(ADJUSTED_COUNT_ATTRIBUTE) {
            Some(ValueView::F64(count)) => Some(count),
            _ => None,
        };
    }
}

impl core::fmt::Debug for TailSimulation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TailSimulation")
            .field("now", &self.now)
            .field("stats", &self.stats())
            .field("ledger", &self.ledger())
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for TailSetup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let TailSetup { pipelines, units, traces, settings, .. } = self;
        f.debug_struct("TailSetup")
            .field("pipelines", pipelines)
            .field("units", units)
            .field("traces", traces)
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for SharedBook {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SharedBook").finish_non_exhaustive()
    }
}

static KEEPS_ROOTS: ParentBased<AlwaysOn> = ParentBased::new(AlwaysOn);
static SCOPE: Scope = Scope::new("tail", "");
static ROOT: Callsite = Callsite::new("root", &SCOPE);
static SERVER: Callsite = Callsite::new("server", &SCOPE);
static CHILD: Callsite = Callsite::new("child", &SCOPE);
