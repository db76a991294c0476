//! Random programs whose traces are sampled at the tail, each a function of its
//! seed, and what must come of them.

use core::time::Duration;
use std::collections::HashMap;

use throughline_core::tail::{Amount, AnyTrace, Failed, Panicked, Predicate, Rule};
use throughline_core::{Context, Ending, Span, StatusCode, TraceId};

use super::{Random, TailSetup, TailSimulation, Virtual};

/// A random program.
#[derive(Clone, Copy, Debug)]
pub struct TailRun {
    /// The seed.
    pub seed: u64,
    /// How many spans it makes, more or less.
    pub spans: u64,
    /// The pipelines, which share a book.
    pub pipelines: usize,
    /// 128 bytes each, for every pipeline.
    pub units: usize,
    /// Traces that are undecided or remembered.
    pub traces: usize,
    /// The most undecided ones.
    pub undecided: usize,
    /// The part of the traces without an error that is kept.
    pub ratio: f64,
    /// Whether it asks for flushes.
    pub flushes: bool,
    /// After how long a trace is decided though it goes on.
    pub decision_time: Duration,
    /// How long each export takes.
    pub export_time: Duration,
}

/// A trace that is under way.
struct Program {
    trace: TraceId,
    /// The root of the trace, then those in other pipelines, as long as they are
    /// under way; each with the spans below it.
    parts: Vec<Part>,
    steps: u64,
    fails_at: Option<u64>,
}

struct Part {
    root: Option<Span<Virtual>>,
    context: Context<Virtual>,
    below: Vec<Span<Virtual>>,
    member: usize,
}

/// What a trace did.
#[derive(Clone, Copy, Debug, Default)]
struct Did {
    ended: u64,
    /// A span failed while a local root was under way, and no flush came before.
    failed_in_time: bool,
    failed: bool,
    was_cut: bool,
}

/// Runs a random program, and checks what came of it. Returns the simulation, in
/// which everything is settled, and how many traces there were.
///
/// # Panics
///
/// If anything is not as it must be.
pub fn run_tail_schedule(run: TailRun) -> (TailSimulation, u64) {
    let random = &mut Random::new(run.seed);
    let rules: Vec<Rule<Box<dyn Predicate>>> = vec![
        Rule::new(Box::new(Failed.or(Panicked)), Amount::All),
        Rule::new(Box::new(AnyTrace), Amount::ratio(run.ratio)),
    ];
    let mut setup = TailSetup::new(rules);
    (setup.pipelines, setup.units, setup.traces) = (run.pipelines, run.units, run.traces);
    setup.settings.max_traces = run.undecided;
    setup.settings.decision_time = run.decision_time;
    setup.export_time = run.export_time;
    setup.batch = 1 + random.below(600) as usize;
    if run.export_time > Duration::ZERO {
        // So that the exporter keeps up.
        setup.batch = 600;
    }
    let mut simulation = TailSimulation::new(setup);
    let mut programs: Vec<Program> = Vec::new();
    let mut did: HashMap<TraceId, Did> = HashMap::new();
    let (mut started, mut ended) = (0, 0);
    while started < run.spans || !programs.is_empty() {
        let is_over = started >= run.spans;
        let most = if random.below(64) == 0 { 256 } else { 32 };
        if !is_over && (programs.is_empty() || (programs.len() < most && random.below(8) == 0)) {
            programs.push(Program::new(&simulation, random));
            did.insert(programs[programs.len() - 1].trace, Did::default());
            started += 1;
        }
        let index = random.below(programs.len() as u64) as usize;
        let program = &mut programs[index];
        let before = ended;
        program.step(
            &simulation,
            random,
            did.get_mut(&program.trace).expect("it began"),
            &mut started,
            &mut ended,
        );
        if program.parts.is_empty() {
            programs.swap_remove(index);
        }
        if ended != before && ended % 64 == 0 {
            simulation.advance(Duration::from_millis(random.below(40)));
            simulation.poll_one(random.below(run.pipelines as u64) as usize);
        }
        if ended != before && ended % 2_048 == 0 {
            simulation.poll();
            check(&simulation, started, ended, run);
        }
        if run.flushes && random.below(20_000) == 0 {
            simulation.flush();
            for program in &programs {
                if let Some(did) = did.get_mut(&program.trace) {
                    did.was_cut |= did.ended > 0;
                }
            }
            check(&simulation, started, ended, run);
        }
    }
    let deadline = Duration::from_secs(10) + run.export_time * 1_000_000;
    assert!(simulation.shutdown(deadline), "not everything was settled");
    assert_eq!(simulation.ledger().in_flight(), 0);
    check(&simulation, started, ended, run);
    conclude(&simulation, &did, run);
    (simulation, did.len() as u64)
}

/// What holds at every moment.
fn check(simulation: &TailSimulation, started: u64, ended: u64, run: TailRun) {
    let ledger = simulation.ledger();
    assert_eq!(ledger.started(), started);
    let delivered: u64 = simulation.all_delivered().values().map(|trace| trace.spans).sum();
    assert_eq!(ledger.exported(), delivered, "{ledger}");
    assert_eq!(ledger.dropped_total(), simulation.sampled_out(), "{ledger}");
    // All rings were drained, so what has ended is settled or gathered. But where there is
    // no room for it, it waits in the rings for the end of an export.
    let in_flight = started - ended + simulation.gathered() as u64;
    let waits = run.export_time > Duration::ZERO && run.units < 65_536;
    assert!(ledger.in_flight() == in_flight || waits && ledger.in_flight() > in_flight, "{ledger}");
}

/// What holds of each trace in the end.
fn conclude(simulation: &TailSimulation, did: &HashMap<TraceId, Did>, run: TailRun) {
    let stats = simulation.stats();
    let is_enough = stats.decided_early == 0 && stats.decided_overdue == 0;
    // Decisions are remembered to the end, if there is so much room.
    let remembers = run.traces >= did.len() + run.undecided;
    let (mut failed, mut failed_kept, mut kept) = (0, 0, 0);
    for (trace, did) in did {
        let delivered = simulation.delivered(*trace).spans;
        if remembers {
            assert!(delivered == 0 || delivered == did.ended, "{delivered} of {did:?} in {run:?}");
        }
        if is_enough && did.failed_in_time {
            assert!(delivered >= 1 && (delivered == did.ended || !remembers), "{did:?} of {run:?}");
        }
        failed += u64::from(did.failed);
        failed_kept += u64::from(did.failed && delivered > 0);
        kept += u64::from(delivered > 0);
    }
    if remembers {
        assert_eq!(stats.error_traces, failed, "{run:?}");
        assert_eq!(stats.error_traces_kept, failed_kept, "{run:?}");
        assert_eq!(stats.traces_kept, kept, "{run:?}");
        assert_eq!(stats.traces_kept + stats.traces_dropped, did.len() as u64, "{run:?}");
    }
}

impl Program {
    fn new(simulation: &TailSimulation, random: &mut Random) -> Self {
        let root = simulation.root(0);
        let trace = root.span_context().trace_id();
        // A few are very long.
        let steps = if random.below(400) == 0 { 2_000 } else { 2 + random.below(24) };
        let fails_at = (random.below(20) == 0).then(|| random.below(steps + 4));
        Program { trace, parts: vec![Part::new(root, 0)], steps, fails_at }
    }

    /// One thing that a program does.
    fn step(
        &mut self,
        simulation: &TailSimulation,
        random: &mut Random,
        did: &mut Did,
        started: &mut u64,
        ended: &mut u64,
    ) {
        self.steps = self.steps.saturating_sub(1);
        let is_ending = self.steps == 0;
        let fails = self.fails_at.is_some_and(|at| at >= self.steps);
        let has_roots = self.parts.iter().any(|part| part.root.is_some());
        let index = random.below(self.parts.len() as u64) as usize;
        let others = simulation.members() as u64;
        let count = self.parts.len();
        let part = &mut self.parts[index];
        let choice = random.below(10);
        let span = match part.below.len() as u64 {
            // Also below a root that has ended: such spans come late.
            0..=7 if !is_ending && choice < 5 => {
                part.below.push(simulation.child(&part.context));
                *started += 1;
                return;
            }
            0..=7
                if !is_ending && choice == 5 && others > 1 && count < 4 && part.root.is_some() =>
            {
                let member = (part.member + 1) % others as usize;
                let caller = part.context.span_context();
                let root = simulation.below_remote(member, caller, Default::default());
                self.parts.push(Part::new(root, member));
                *started += 1;
                return;
            }
            // The first root is the last one to end, mostly.
            below if below == 0 || choice == 9 => {
                let may_end = is_ending && (index > 0 || count == 1 || choice == 9);
                match part.root.take() {
                    Some(root) if may_end => root,
                    root => {
                        part.root = root;
                        if part.root.is_none() && part.below.is_empty() {
                            self.parts.swap_remove(index);
                        }
                        return;
                    }
                }
            }
            below => part.below.swap_remove(random.below(below) as usize),
        };
        did.ended += 1;
        *ended += 1;
        if fails {
            self.fails_at = None;
            did.failed = true;
            did.failed_in_time |= has_roots && !did.was_cut;
            fail(span, random);
        } else {
            span.end();
        }
        let part = &self.parts[index];
        if part.root.is_none() && part.below.is_empty() && (is_ending || index > 0) {
            self.parts.swap_remove(index);
        }
    }
}

fn fail(mut span: Span<Virtual>, random: &mut Random) {
    if random.below(2) == 0 {
        span.set_status(StatusCode::Error, "refused");
        span.end();
    } else {
        span.end_as(Ending::Panicked);
    }
}

impl Part {
    fn new(root: Span<Virtual>, member: usize) -> Self {
        let context = root.context();
        Part { root: Some(root), context, below: Vec::new(), member }
    }
}
