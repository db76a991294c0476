//! Threads that do nothing but make spans: what is produced, what arrives as OTLP
//! bytes, and whether each span is accounted for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    pub(crate) account: Account,
}

impl FlatOut {
    pub(crate) fn scaling(&self) -> f64 {
        self.two / self.one
    }
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
            let (one, _) = burst(&mut **system, &traces, 1, turn, &mut all.account);
            let (two, delivered) = burst(&mut **system, &traces, 2, turn, &mut all.account);
            all.one = all.one.max(one);
            all.two = all.two.max(two);
            all.delivered = all.delivered.max(delivered);
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
) -> (f64, f64) {
    let before = account.clone();
    let mut seconds = 0.0;
    let began = Instant::now();
    accounted(system, account, || {
        let made = Arc::new(AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut count = 0;
                    while began.elapsed() < turn {
                        traces(CHILDREN_PER_TRACE);
                        count += u64::from(CHILDREN_PER_TRACE) + 1;
                    }
                    // Ordering: Relaxed, read after the threads are joined.
                    made.fetch_add(count, Ordering::Relaxed);
                });
            }
        });
        seconds = began.elapsed().as_secs_f64();
        made.load(Ordering::Relaxed)
    });
    let made = (account.made - before.made) as f64 / seconds;
    let delivered = (account.delivered - before.delivered) as f64 / began.elapsed().as_secs_f64();
    (made, delivered)
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
