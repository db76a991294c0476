//! Flush and shutdown: who waits, until when, and who drives meanwhile.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::export::completion::Completed;
use crate::export::engine::{Engine, Goal, Seat, State};
use crate::export::transmission::{FAR, is_exporting_here};
use crate::processors::Rounds;
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
            if thread.spawn(wait).is_ok() {
                let is_done = || done.lock().unwrap_or_else(PoisonError::into_inner).is_some();
                self.changed(|_| is_done()).await;
                if let Some(done) = done.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    done.tell(&mut receipt);
                    return receipt;
                }
            } else if !self.completions.is_empty() {
                // Without a thread there is nothing that may block.
                receipt.complete(None);
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
        // Ordering: Relaxed; the lock is taken after it is set.
        let is_over = |state: &State| state.has_reached(goal) || over.load(Ordering::Relaxed);
        loop {
            let question = self.with(|state| {
                state.asked += 1;
                state.asked
            });
            let next = Instant::now() + patience;
            self.wait_until(next.min(deadline), |state| {
                // Nobody answers, and nothing is on its way.
                let is_left = state.is_abandoned() && !state.flights.are_of(Seat::Background);
                is_left || is_over(state)
            });
            let now = Instant::now();
            // A look alone wakes nobody.
            if now >= deadline || self.lock_and(is_over) {
                return;
            }
            let (ends, seat) = self.with(|state| {
                if is_over(state) {
                    return (true, None);
                }
                let most = state.flusher.export_timeout();
                let is_patient = now < began + patience_with_request(within, most);
                (false, state.take_seat(question, is_patient))
            });
            if ends {
                return;
            }
            if let Some(seat) = seat {
                self.take_over(seat, goal, deadline);
                self.wait_until(deadline, is_over);
                return self.with(|state| state.leave(seat));
            }
            patience = (2 * patience).min(LONGEST);
        }
    }

    fn wait_until(&self, deadline: Instant, holds: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while !holds(&state) {
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

    /// Drives the flusher for a caller who has the seat: on a thread, so that a request
    /// which is under way when the caller's deadline comes goes on to its answer.
    fn take_over(self: &Arc<Self>, seat: Seat, goal: Goal, deadline: Instant) {
        let engine = self.clone();
        let drive = move || engine.drive_for(seat, goal, Instant::now() + FAR);
        let thread = std::thread::Builder::new().name("throughline-drive".to_owned());
        if thread.spawn(drive).is_err() {
            // Without a thread: what is not answered by the deadline is sent again.
            self.drive_for(seat, goal, deadline);
        }
    }

    /// Drives until the goal is reached or the caller has left, and nothing is under way
    /// that was begun here.
    fn drive_for(self: &Arc<Self>, seat: Seat, goal: Goal, deadline: Instant) {
        let drive = || (self.take_over)(self.clone(), seat, goal, deadline);
        // Neither a runtime's clock nor we ourselves may take the caller down.
        if catch_unwind(AssertUnwindSafe(drive)).is_err() {
            self.driver_panicked();
        }
        self.with(|state| {
            let lost = state.flights.take(seat);
            state.send_again(lost);
            state.leave(seat);
        });
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
                failure: self.failing(state),
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

/// How long a caller waits for a request of a background task that does not answer: it may
/// be in the middle of other work, or its thread may wait for a processor. What it sends
/// would be sent twice. Whoever polled it after the timeout would give it up as well.
fn patience_with_request(within: Duration, export_timeout: Option<Duration>) -> Duration {
    (within / 2).min(export_timeout.unwrap_or(Duration::MAX)).max(STARVED)
}

/// How long a thread that is well may not come to run.
const STARVED: Duration = Duration::from_millis(500);

/// How long a caller waits for an answer of whoever drives, at first.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often it asks again at least.
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
