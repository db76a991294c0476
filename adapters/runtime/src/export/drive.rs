//! The one loop that drives the flusher, on every runtime, and exports in it: one batch
//! at a time, to one destination. Where there is more at once, [`dispatch`] drives.
//!
//! [`dispatch`]: crate::export::dispatch

use core::pin::pin;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use throughline_core::{Accepted, Action, ExportError, Heartbeats, Moment, SpanExporter};

use crate::anchor::Anchor;
use crate::clock;
use crate::export::engine::{Engine, Goal, Seat, State};
use crate::export::race::{First, race};
use crate::export::transmission::{FAR, exporting, panicked_at_once, with_timeout, yield_now};
use crate::report::observe::ONLY;
use crate::{Diagnostic, ExportOperation, Runtime};

/// Drives the flusher until it is finished, the goal is reached, or the caller who drives
/// has left.
///
/// It begins something only while it has the seat. A request that is under way goes on
/// without the seat, unless a caller who could not wait has [taken it away](crate::export::flights)
/// and sends the batch again.
pub(crate) async fn drive<R: Runtime, C: SpanExporter>(
    engine: Arc<Engine>,
    runtime: R,
    mut connection: C,
    seat: Seat,
    goal: Option<Goal>,
) {
    let is_done = |state: &State| state.is_done(seat, goal);
    loop {
        let mut next = |state: &mut State| {
            // Another one in the seat may have done what this one is here for.
            if is_done(state) {
                return Step::Done;
            }
            if state.seat != seat {
                return Step::NotMine;
            }
            engine.look(state);
            let anchor = engine.anchor();
            let now = engine.now();
            let action = state.flusher.poll(now, |ticks| anchor.unix_nanos(ticks));
            if state.flusher.is_finished() {
                engine.abandon(state);
            }
            match action {
                Action::Export => {
                    state.operations[0].begin(now, ONLY);
                    let batch = state.flusher.batch();
                    match exporting(|| connection.export(&batch)) {
                        Ok(sending) => Step::send(sending, What::Batch, state, seat),
                        Err(panic) => {
                            engine.on_export(state, panicked_at_once(panic));
                            Step::Yield
                        }
                    }
                }
                // The poll itself may have done it: nobody would look again soon.
                _ if is_done(state) => Step::Done,
                Action::Wait { until } if !state.flusher.is_exporting() => {
                    match has_heartbeats(state, engine.now(), anchor) {
                        false => Step::Wait { until: earlier(until, state), for_another: false },
                        true => {
                            let batch = state.heartbeats.as_ref().map(Heartbeats::batch);
                            let batch = batch.unwrap_or_else(|| state.flusher.batch());
                            match exporting(|| connection.export(&batch)) {
                                Ok(sending) => Step::send(sending, What::Heartbeats, state, seat),
                                Err(panic) => {
                                    state.on_heartbeats(panicked_at_once(panic).result);
                                    Step::Yield
                                }
                            }
                        }
                    }
                }
                // Who had the seat before has a batch on its way.
                Action::Wait { until } => Step::Wait { until, for_another: true },
                Action::Yield => Step::Yield,
                Action::Finished => Step::Done,
            }
        };
        let (step, said) = engine.with(|state| (next(state), state.take_said()));
        engine.say(said);
        match step {
            Step::Export { sending, what, timeout, number } => {
                let sending = with_timeout(&runtime, sending, timeout);
                let sending = pin!(engine.stowing(&runtime, seat, sending));
                // Whoever takes the request away sends the batch too, and after the end
                // nobody wants the answer: the transmission is dropped.
                let over = |state: &State| {
                    let is_taken = !state.flights.is_under_way(number);
                    is_taken || !what.outlasts(state, seat) || state.flusher.is_finished()
                };
                let over = pin!(engine.changed_for(Some(seat), over));
                let answer = match race(over, sending).await {
                    First::Left(()) => None,
                    First::Right(answer) => Some(answer),
                };
                let said = engine.with(|state| {
                    let is_mine = state.flights.end(number);
                    if let Some(answer) = answer.filter(|_| is_mine) {
                        match what {
                            What::Batch => engine.on_export(state, answer),
                            What::Heartbeats => state.on_heartbeats(answer.result),
                        }
                    }
                    state.take_said()
                });
                engine.say(said);
            }
            Step::Wait { until, for_another } => {
                let is_stirred = |state: &State| for_another && !state.flusher.is_exporting();
                engine.idle(&runtime, seat, until, is_stirred).await;
            }
            Step::Yield => yield_now().await,
            Step::NotMine => {
                engine.changed(|state| state.seat == seat || is_done(state)).await;
            }
            Step::Done => return,
        }
    }
}

enum Step<S> {
    /// What is sent, how long it may take, and the number of the request.
    Export {
        sending: S,
        what: What,
        timeout: Option<Duration>,
        number: u64,
    },
    Wait {
        until: Option<Duration>,
        /// Also for the answer to a request that another one began.
        for_another: bool,
    },
    Yield,
    NotMine,
    Done,
}

/// What an exporter was given.
#[derive(Clone, Copy, Debug)]
enum What {
    /// Spans that ended.
    Batch,
    /// Records of spans that go on.
    Heartbeats,
}

impl What {
    /// Whether it goes on, whoever has the seat. Records of live spans do not: they are
    /// gathered anew.
    fn outlasts(self, state: &State, seat: Seat) -> bool {
        matches!(self, What::Batch) || state.seat == seat
    }
}

impl<S> Step<S> {
    fn send(sending: S, what: What, state: &mut State, seat: Seat) -> Self {
        let is_of_spans = matches!(what, What::Batch);
        let place = is_of_spans.then_some(ONLY);
        let number = state.flights.begin(place, is_of_spans, Some(seat));
        Step::Export { sending, what, timeout: state.flusher.export_timeout(), number }
    }
}

impl State {
    /// What is to be told now that the lock is released.
    pub(crate) fn take_said(&mut self) -> (Vec<Diagnostic>, Vec<ExportOperation>) {
        (core::mem::take(&mut self.said), core::mem::take(&mut self.ended))
    }

    fn on_heartbeats(&mut self, result: Result<Accepted, ExportError>) {
        if let Some(heartbeats) = &mut self.heartbeats {
            heartbeats.on_export(result);
        }
    }
}

impl Engine {
    /// The answer to what is sent. Until it comes, what ends goes on to tail sampling, if
    /// there is such a thing.
    async fn stowing<F: Future>(
        &self,
        runtime: &impl Runtime,
        seat: Seat,
        sending: F,
    ) -> F::Output {
        if self.lock_and(|state| state.flusher.tail().is_none()) {
            return sending.await;
        }
        let mut sending = pin!(sending);
        loop {
            let anchor = self.anchor();
            let (action, said) = self.with(|state| {
                self.look(state);
                // Otherwise it is heartbeats that are sent, or somebody else sends the batch.
                let action = (state.seat == seat && state.flusher.is_exporting())
                    .then(|| state.flusher.poll(self.now(), |ticks| anchor.unix_nanos(ticks)));
                (action, state.take_said())
            });
            self.say(said);
            let pause = async {
                match action {
                    Some(Action::Yield) => yield_now().await,
                    Some(Action::Wait { until }) => {
                        self.idle(runtime, seat, until, |_| false).await;
                    }
                    None => {
                        let is_ours =
                            |state: &State| state.seat == seat && state.flusher.is_exporting();
                        self.changed(is_ours).await;
                    }
                    // The deadline has come.
                    Some(Action::Export | Action::Finished) => core::future::pending().await,
                }
            };
            if let First::Left(output) = race(sending.as_mut(), pin!(pause)).await {
                return output;
            }
        }
    }

    /// Waits until then, until the doorbell rings, another one takes the seat, or the
    /// condition holds. Whoever takes the seat takes the doorbell with it.
    pub(crate) async fn idle(
        &self,
        runtime: &impl Runtime,
        seat: Seat,
        until: Option<Duration>,
        is_stirred: impl Fn(&State) -> bool,
    ) {
        let is_over = |state: &State| state.seat != seat || is_stirred(state);
        let stirred = pin!(self.changed_for(Some(seat), is_over));
        // While spans come fast, they are looked for from time to time: to wake whoever
        // drives costs a producer more. Not while they cannot be sent.
        // Ordering: Relaxed, no value is read through it.
        let dozes = self.is_busy.load(Ordering::Relaxed) && !self.pipeline.holds_batch();
        let until = if dozes { until.into_iter().chain([self.now() + NAP]).min() } else { until };
        let rung = pin!(self.rung(dozes));
        let woken = pin!(race(rung, stirred));
        match until {
            None => {
                woken.await;
            }
            Some(until) => {
                let left = until.saturating_sub(self.now()).min(FAR);
                race(woken, pin!(runtime.sleep(left))).await;
            }
        }
        self.is_busy.store(self.pipeline.holds_batch(), Ordering::Relaxed);
    }
}

/// How long whoever drives dozes, unless half a queue wakes it.
const NAP: Duration = Duration::from_millis(5);

/// Whether it is time to tell of spans that go on, and there are any.
pub(crate) fn has_heartbeats(state: &mut State, now: Duration, anchor: Anchor) -> bool {
    let Some(heartbeats) = state.heartbeats.as_mut().filter(|beats| now >= beats.due()) else {
        return false;
    };
    let after = u64::try_from(heartbeats.after().as_nanos()).unwrap_or(u64::MAX);
    heartbeats.gather(&Moment {
        now,
        ticks: clock::ticks(),
        after_ticks: clock::ticks_of(after),
        unix_nanos: |ticks| anchor.unix_nanos(ticks),
    })
}

/// Until when nothing is to be done, for live spans either.
pub(crate) fn earlier(until: Option<Duration>, state: &State) -> Option<Duration> {
    let due = state.heartbeats.as_ref().map(Heartbeats::due);
    until.into_iter().chain(due).min()
}
