//! Threads that do nothing but make spans: what is produced, what arrives as OTLP
//! bytes, and whether each span is accounted for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

use crate::figures::Figures;
use crate::scenario::CHILDREN_PER_TRACE;
use crate::sink;
use crate::system::{End, Load, System, Traces};

/// One system's account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Spans that the program made.
    pub(crate) made: u64,
    /// Spans that reached the exporter.
    pub(crate) delivered: u64,
    /// Spans that the system says it dropped, if it says so.
    pub(crate) dropped: Option<u64>,
}

impl Account {
    /// Spans of which nobody knows.
    pub(crate) fn unaccounted(&self) -> u64 {
        self.made.saturating_sub(self.delivered + self.dropped.unwrap_or(0))
    }
}

/// How much a system makes with one thread and with two.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlatOut {
    /// Spans per second with one thread, in the best round.
    pub(crate) one: f64,
    /// The same of two threads together.
    pub(crate) two: f64,
    /// Spans per second that became OTLP bytes while two threads produced, and until
    /// a flush was done, in the best round.
    pub(crate) delivered: f64,
    /// Spans per second of the CPU time of the threads that make them, one and two, in the
    /// best rounds: what they do to each other, whoever else has the processors.
    pub(crate) per_cpu: [f64; 2],
    pub(crate) account: Account,
}

impl FlatOut {
    /// By the clock on the wall.
    pub(crate) fn scaling(&self) -> f64 {
        self.two / self.one
    }

    /// By the CPU time of the threads.
    pub(crate) fn scaling_per_cpu(&self) -> f64 {
        2.0 * self.per_cpu[1] / self.per_cpu[0]
    }
}

/// What a burst came to, per second.
struct Burst {
    made: f64,
    made_per_cpu: f64,
    delivered: f64,
}

/// The systems take turns, for so long each time.
pub(crate) fn run(
    systems: &mut [Box<dyn System>],
    rounds: u32,
    turn: Duration,
    figures: &mut Figures,
) {
    for _ in 0..rounds {
        for system in systems.iter_mut() {
            let Some(traces) = system.traces(Load::Bare, End::Encoded) else { continue };
            if !system.is_exported() {
                continue;
            }
            let all = figures.flat_out.entry(system.name()).or_default();
            let one = burst(&mut **system, &traces, 1, turn, &mut all.account);
            let two = burst(&mut **system, &traces, 2, turn, &mut all.account);
            all.one = all.one.max(one.made);
            all.two = all.two.max(two.made);
            all.delivered = all.delivered.max(two.delivered);
            for (best, burst) in all.per_cpu.iter_mut().zip([one, two]) {
                *best = best.max(burst.made_per_cpu);
            }
        }
    }
}

/// One root of 20,000 children, which no queue holds.
pub(crate) fn large_trace(systems: &mut [Box<dyn System>], figures: &mut Figures) {
    for system in systems {
        if let Some(traces) = system.traces(Load::Bare, End::Encoded)
            && system.is_exported()
        {
            let account = figures.large_trace.entry(system.name()).or_default();
            accounted(&mut **system, account, || {
                traces(LARGE_TRACE);
                u64::from(LARGE_TRACE) + 1
            });
        }
    }
}

/// Spans made and delivered per second by so many threads.
fn burst(
    system: &mut dyn System,
    traces: &Traces,
    threads: u32,
    turn: Duration,
    account: &mut Account,
) -> Burst {
    let before = account.clone();
    let mut seconds = 0.0;
    let cpu = Mutex::new(Duration::ZERO);
    let began = Instant::now();
    accounted(system, account, || {
        let made = Arc::new(AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let (mut count, own) = (0, ThreadTime::now());
                    while began.elapsed() < turn {
                        traces(CHILDREN_PER_TRACE);
                        count += u64::from(CHILDREN_PER_TRACE) + 1;
                    }
                    // Ordering: Relaxed, read after the threads are joined.
                    made.fetch_add(count, Ordering::Relaxed);
                    *cpu.lock().unwrap() += own.elapsed();
                });
            }
        });
        seconds = began.elapsed().as_secs_f64();
        made.load(Ordering::Relaxed)
    });
    let (made, delivered) = (account.made - before.made, account.delivered - before.delivered);
    Burst {
        made: made as f64 / seconds,
        made_per_cpu: made as f64 / cpu.into_inner().unwrap().as_secs_f64(),
        delivered: delivered as f64 / began.elapsed().as_secs_f64(),
    }
}

/// Makes spans, of which `make` says the number, and adds what became of them.
fn accounted(system: &mut dyn System, account: &mut Account, make: impl FnOnce() -> u64) {
    system.settle(End::Encoded.scenario());
    let (taken, dropped) = (sink::taken(), system.dropped());
    account.made += make();
    system.settle(End::Encoded.scenario());
    account.delivered += sink::taken() - taken;
    if let (Some(before), Some(after)) = (dropped, system.dropped()) {
        *account.dropped.get_or_insert(0) += after - before;
    }
}

/// Children of the large trace.
const LARGE_TRACE: u32 = 20_000;
