//! Flush and shutdown: who waits, until when, and who drives meanwhile.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::completion::Completed;
use crate::engine::{Engine, Goal, Seat, State};
use crate::processors::Rounds;
use crate::transmission::{FAR, is_exporting_here};
use crate::{LiveSpans, Outcome, Receipt};

impl Engine {
    /// The receipt of a call that must touch nothing.
    pub(crate) fn refuse(&self) -> Option<Receipt> {
        // A fork copies neither the threads that drive nor the state of a lock
        // that one of them may hold.
        let outcome = if self.is_forked() {
            Outcome::Forked
        } else if is_exporting_here() || self.processors.is_some_and(Rounds::is_here) {
            // The exporter itself calls, perhaps in a panic hook, or a processor that is
            // flushed: this thread drives, and cannot wait for itself.
            Outcome::DeadlinePassed
        } else {
            return None;
        };
        let (ledger, elapsed) = (self.pipeline.ledger(), Duration::ZERO);
        Some(Receipt { outcome, ledger, elapsed, ..Receipt::nothing() })
    }

    pub(crate) fn refuse_shutdown(&self) -> Option<Receipt> {
        let refused = self.refuse();
        if refused.as_ref().is_some_and(|receipt| receipt.outcome == Outcome::Forked) {
            // The copy of this process, whose spans nobody would take.
            self.pipeline.close();
        }
        refused
    }

    /// How long a shutdown may take that is given so long.
    pub(crate) fn within(&self, within: Duration) -> Duration {
        if self.waits_at_shutdown { within.min(FAR) } else { Duration::ZERO }
    }

    pub(crate) fn begin_flush(&self) -> Goal {
        let ticket = self.with(|state| state.flusher.flush());
        self.pipeline.announce();
        Goal::Served(ticket)
    }

    pub(crate) fn begin_shutdown(&self, within: Duration) -> Goal {
        let deadline = self.now() + within;
        self.with(|state| state.shutdown(deadline));
        self.pipeline.announce();
        Goal::Finished
    }

    pub(crate) async fn settle(self: &Arc<Self>, goal: Goal, within: Duration) -> Receipt {
        let began = Instant::now();
        let call = self.ask_processors(goal, began + within);
        if !self.lock_and(|state| state.has_reached(goal)) {
            let over = Arc::new(AtomicBool::new(false));
            // The deadline on the runtime's own clock, which tests may have paused.
            (self.time)(self.clone(), goal, within, over.clone());
            // Nothing says whether that runtime still exists, or is driven by
            // anybody, while this future is polled: a thread's clock always runs.
            self.watch(goal, began + within, over.clone());
            self.changed(|state| {
                // Ordering: Relaxed; the lock is taken after it is set.
                state.has_reached(goal) || over.load(Ordering::Relaxed)
            })
            .await;
        }
        let mut receipt = self.conclude(goal, began);
        if self.has_to_complete(call) {
            let done: Arc<Mutex<Option<Completed>>> = Arc::default();
            let (engine, told) = (self.clone(), done.clone());
            let wait = move || {
                let result = engine.completed(goal, call, began + within);
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                engine.with(|_| ());
            };
            let thread = std::thread::Builder::new().name("throughline-complete".to_owned());
            // Without a thread there is nothing that may block.
            if thread.spawn(wait).is_ok() {
                let is_done = || done.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                self.changed(|_| is_done()).await;
                if let Some(done) = done.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    done.tell(&mut receipt);
                    return receipt;
                }
            }
        }
        self.processed(call, Instant::now()).tell(&mut receipt);
        receipt
    }

    /// Has a thread attend to the goal, and say when that is over.
    fn watch(self: &Arc<Self>, goal: Goal, deadline: Instant, over: Arc<AtomicBool>) {
        let (engine, done) = (self.clone(), over.clone());
        let attend = move || {
            engine.attend(goal, deadline, &done);
            engine.tell(&done);
        };
        let thread = std::thread::Builder::new().name("throughline-flush".to_owned());
        if thread.spawn(attend).is_err() {
            // Without a thread: blocking is better than never coming back.
            self.attend(goal, deadline, &over);
            self.tell(&over);
        }
    }

    pub(crate) fn settle_blocking(self: &Arc<Self>, goal: Goal, within: Duration) -> Receipt {
        let began = Instant::now();
        let call = self.ask_processors(goal, began + within);
        self.attend(goal, began + within, &AtomicBool::new(false));
        let mut receipt = self.conclude(goal, began);
        self.completed(goal, call, began + within).tell(&mut receipt);
        receipt
    }

    /// Blocks until the goal is reached, the deadline has passed, or it is over
    /// for another reason; drives the flusher itself if nobody else does.
    fn attend(self: &Arc<Self>, goal: Goal, deadline: Instant, over: &AtomicBool) {
        let began = Instant::now();
        let within = deadline.saturating_duration_since(began);
        let mut patience = (within / 4).min(PATIENCE);
        loop {
            let question = self.with(|state| {
                state.asked += 1;
                state.asked
            });
            let next = Instant::now() + patience;
            self.wait_until(goal, next.min(deadline), over);
            let (is_over, is_driven, is_exporting) = self.lock_and(|state| {
                // Ordering: Relaxed; the lock is taken after it is set.
                let is_over = state.has_reached(goal) || over.load(Ordering::Relaxed);
                let is_driven = !state.abandoned && state.answered >= question;
                (is_over, is_driven, !state.abandoned && state.is_exporting())
            });
            if is_over || Instant::now() >= deadline {
                return;
            }
            // What a driver is sending would be sent twice: one that does not
            // answer may be in the middle of other work, so it gets half of the
            // time.
            let is_awaited = is_exporting && Instant::now() < began + within / 2;
            if !is_driven && !is_awaited {
                return self.take_over(goal, deadline);
            }
            patience = (2 * patience).min(LONGEST);
        }
    }

    fn wait_until(&self, goal: Goal, deadline: Instant, over: &AtomicBool) {
        let mut state = self.lock();
        // Ordering: Relaxed, as in `attend`.
        while !state.has_reached(goal) && !state.abandoned && !over.load(Ordering::Relaxed) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sets the flag, for all who wait for it.
    pub(crate) fn tell(&self, over: &AtomicBool) {
        // Ordering: Relaxed; whoever looks takes the lock after it.
        self.with(|_| over.store(true, Ordering::Relaxed));
    }

    /// Drives the flusher on the current thread until the goal or the deadline.
    fn take_over(self: &Arc<Self>, goal: Goal, deadline: Instant) {
        let now = self.now();
        let (seat, caller) = self.with(|state| {
            state.taken_over += 1;
            let caller = state.taken_over;
            state.callers.push(caller);
            state.seat = Seat::Caller(caller);
            self.interrupt(state, now);
            (state.seat, caller)
        });
        let drive = || (self.take_over)(self.clone(), seat, goal, deadline);
        // Neither a runtime's clock nor we ourselves may take the caller down.
        if catch_unwind(AssertUnwindSafe(drive)).is_err() {
            self.driver_panicked();
        }
        let now = self.now();
        self.with(|state| {
            state.callers.retain(|other| *other != caller);
            if state.seat == seat {
                self.interrupt(state, now);
                // Not to the former one, who may have left meanwhile.
                state.seat = state.callers.last().map_or(Seat::Background, |c| Seat::Caller(*c));
            }
        });
    }

    /// What whoever had the seat was sending is sent again.
    fn interrupt(&self, state: &mut State, now: Duration) {
        state.flusher.on_interrupted(now);
        if let Some(fan_out) = &mut state.fan_out {
            fan_out.interrupt(|place| !self.is_apart(place));
        }
    }

    /// Shutdown is over by its deadline whether or not it succeeded: what is left
    /// is counted as lost.
    fn conclude(&self, goal: Goal, began: Instant) -> Receipt {
        let mut receipt = self.with(|state| {
            let in_time = match goal {
                Goal::Served(_) => state.has_reached(goal),
                Goal::Finished => {
                    state.cut_short();
                    !state.is_cut_short()
                }
            };
            let in_time = in_time && !self.has_lost_track();
            Receipt {
                outcome: if in_time { Outcome::Complete } else { Outcome::DeadlinePassed },
                ledger: self.pipeline.ledger(),
                elapsed: began.elapsed(),
                failure: state.failing(),
                destinations: self.destinations(state),
                ..Receipt::nothing()
            }
        });
        if matches!(goal, Goal::Finished) {
            self.report_leaks(&mut receipt);
        }
        receipt
    }

    /// Whether a panic left spans that are neither settled nor under way. What has ended
    /// since may count among them.
    fn has_lost_track(&self) -> bool {
        // Ordering: Relaxed, no value is read through it.
        self.has_panicked.load(Ordering::Relaxed) && {
            let live = self.pipeline.live_count() as u64;
            self.pipeline.ledger().in_flight() > live
        }
    }

    fn report_leaks(&self, receipt: &mut Receipt) {
        if self.pipeline.live_count() == 0 {
            return;
        }
        let leaked = LiveSpans::of(self.pipeline);
        (receipt.leaked, receipt.oldest_leaked) = (leaked.len(), leaked.iter().next().copied());
        // Ordering: Relaxed, no value is read through it.
        if !leaked.is_empty() && self.reports_leaks.swap(false, Ordering::Relaxed) {
            leaked.print("span still live at shutdown", "spans still live at shutdown");
        }
    }
}

/// How long a caller waits for an answer of whoever drives, at first.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often it asks again at least.
const LONGEST: Duration = Duration::from_secs(1);
