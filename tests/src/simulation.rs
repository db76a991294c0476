//! A pipeline and its flusher on a virtual clock, watched at every step.
//!
//! ```text
//!   schedule ──▶ Simulation ──▶ flusher and pipeline of throughline-core
//!                    │                     │
//!                    └──▶ Model ◀── compared after every step
//! ```
//!
//! A [`Simulation`] does one thing at a time: a span starts or ends, the clock
//! moves, the flusher is polled, the exporter answers. After each it compares
//! what the pipeline says with what its [`Model`] says must be so.

mod memory;
mod model;
mod schedule;
mod tail;
mod tail_schedule;
mod virtual_time;

use core::time::Duration;

use throughline_core::{
    Accepted, Action, Additions, Callsite, Context, Decision, ExportError, Pipeline, Sampler,
    SamplingParameters, Scope, Span, SpanId, SpanOptions, Ticket,
};

pub use memory::{PARENT_BASED, Setup, VirtualFlusher};
pub use model::Model;
pub use schedule::{Random, run_schedule};
pub use tail::{Delivered, TailSetup, TailSimulation};
pub use tail_schedule::{TailRun, run_tail_schedule};
pub use virtual_time::{PRODUCERS, Virtual};

/// What an exporter answers.
pub type Answer = Result<Accepted, ExportError>;

/// A pipeline on a virtual clock.
#[derive(Debug)]
pub struct Simulation {
    pipeline: &'static Pipeline,
    flusher: VirtualFlusher,
    now: Duration,
    live: Vec<Live>,
    model: Model,
}

/// A span that has started, and what will become of it.
#[derive(Debug)]
struct Live {
    span: Span<Virtual>,
    producer: usize,
    size: Size,
}

/// How large a span is, as far as its way depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// It fits everywhere.
    Ordinary,
    /// It fits the ring but no batch.
    TooLargeForBatch,
    /// It fits no ring.
    TooLargeForRing,
    /// It is recorded and not exported.
    RecordOnly,
}

impl Simulation {
    /// A new pipeline at the time zero.
    pub fn new(setup: &Setup) -> Self {
        Virtual::set_ticks(0);
        let (pipeline, flusher) = setup.build();
        let model = Model::new(setup);
        Simulation { pipeline, flusher, now: Duration::ZERO, live: Vec::new(), model }
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &'static Pipeline {
        self.pipeline
    }

    /// The flusher, to look at.
    pub fn flusher(&self) -> &VirtualFlusher {
        &self.flusher
    }

    /// Spans that have started and not ended.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Moves the clock forward.
    pub fn advance_to(&mut self, now: Duration) {
        assert!(now >= self.now, "time went back from {:?} to {now:?}", self.now);
        self.now = now;
        Virtual::set_ticks(now.as_nanos() as u64);
    }

    /// Starts a span of `bytes` bytes or so; whether it is recorded.
    pub fn start(&mut self, producer: usize, size: Size, bytes: usize) -> bool {
        Virtual::be_producer(producer);
        let callsite = if size == Size::RecordOnly { &KEPT_ASIDE } else { &WORK };
        let context = Context::empty().with_pipeline(self.pipeline);
        let options = SpanOptions::new().parent(&context);
        let span = Span::start_with(callsite, options, |span| {
            span.set_attribute("filling", "x".repeat(bytes).as_str());
        });
        let recorded = self.model.on_start(self.live.len());
        assert_eq!(span.is_recording(), recorded);
        if recorded {
            self.live.push(Live { span, producer, size });
        }
        self.check();
        recorded
    }

    /// Ends one of the live spans. Returns its id if it is queued.
    pub fn end(&mut self, index: usize) -> Option<SpanId> {
        let Live { span, producer, size } = self.live.swap_remove(index);
        Virtual::be_producer(producer);
        let id = span.span_context().span_id();
        let was_empty = self.model.pending() == self.flusher.gathered();
        span.end();
        let queued = self.model.on_end(id, size, was_empty, &self.pipeline.ledger());
        self.check();
        queued.then_some(id)
    }

    /// Starts and ends a small span.
    pub fn span(&mut self) -> Option<SpanId> {
        self.start(0, Size::Ordinary, 8).then(|| self.end(self.live.len() - 1)).flatten()
    }

    /// Polls the flusher, as its driver does.
    pub fn poll(&mut self) -> Action {
        let was_exporting = self.flusher.is_exporting();
        let action = self.flusher.poll(self.now, Virtual::unix_nanos);
        let sent = (action == Action::Export).then(|| self.sent());
        self.model.on_poll(self.now, action, was_exporting, sent, &self.flusher, self.pipeline);
        self.check();
        action
    }

    /// The ids of the spans in the batch that is with the exporter.
    pub fn sent(&self) -> Vec<SpanId> {
        self.flusher.batch().spans().map(|(_, span)| span.span_id()).collect()
    }

    /// Polls until there is nothing to do at this moment.
    pub fn poll_until_idle(&mut self) -> Action {
        loop {
            match self.poll() {
                Action::Yield => {}
                action => return action,
            }
        }
    }

    /// The exporter answers.
    pub fn answer(&mut self, answer: Answer) {
        assert!(self.flusher.is_exporting(), "nothing was sent");
        self.flusher.on_export(self.now, answer);
        self.model.on_answer(self.now, answer, &self.flusher);
        self.check();
    }

    /// The transmission is lost with its driver.
    pub fn interrupt(&mut self) {
        self.flusher.on_interrupted(self.now);
        self.model.on_interrupted();
        self.check();
    }

    /// Asks for a flush.
    pub fn flush(&mut self) -> Ticket {
        let ticket = self.flusher.flush();
        self.model.on_flush(ticket);
        self.check();
        ticket
    }

    /// Asks for the end.
    pub fn shutdown(&mut self, within: Duration) {
        self.flusher.shutdown(self.now + within);
        self.model.on_shutdown(self.now + within);
        self.check();
    }

    /// Compares everything that can be seen with the model.
    ///
    /// # Panics
    ///
    /// If they differ.
    pub fn check(&self) {
        let ledger = self.pipeline.ledger();
        self.model.check(&ledger, self.live.len(), &self.flusher);
        assert_eq!(self.pipeline.live_count(), self.live.len());
    }
}

/// Records what is named so without exporting it.
#[derive(Debug)]
struct ByName;

impl Sampler for ByName {
    fn should_sample(&self, span: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        if span.name == KEPT_ASIDE.name() {
            Decision::RecordOnly
        } else {
            Decision::RecordAndSample
        }
    }

    fn description(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ByName")
    }
}

static SCOPE: Scope = Scope::new("simulation", "");
static WORK: Callsite = Callsite::new("work", &SCOPE);
static KEPT_ASIDE: Callsite = Callsite::new("kept aside", &SCOPE);
