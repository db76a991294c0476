//! The one loop that drives the flusher, on every runtime.

use core::cell::Cell;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;

use throughline_core::{Accepted, Action, ExportError, Failure, Heartbeats, Moment, SpanExporter};

use crate::clock::{self, Anchor};
use crate::engine::{Engine, Seat, State};
use crate::pipeline::StdFlusher;
use crate::race::{First, race};
use crate::{Diagnostic, ExportOperation, Runtime};

/// Drives the flusher until it is finished, or until `is_done` says so.
///
/// It goes on only while it has the seat: a caller that blocks may take the seat
/// away, and then what this loop was sending is sent by the caller.
pub(crate) async fn drive<R: Runtime, C: SpanExporter>(
    engine: Arc<Engine>,
    runtime: R,
    mut connection: C,
    seat: Seat,
    is_done: impl Fn(&StdFlusher) -> bool,
) {
    loop {
        let mut next = |state: &mut State| {
            // Another one in the seat may have done what this one is here for.
            if is_done(&state.flusher) {
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
                    state.operations.begin(now);
                    let batch = state.flusher.batch();
                    match exporting(|| connection.export(&batch)) {
                        Ok(sending) => Step::send(sending, What::Batch, state),
                        Err(_) => {
                            engine.on_export(state, Err(PANICKED));
                            Step::Yield
                        }
                    }
                }
                // The poll itself may have done it: nobody would look again soon.
                _ if is_done(&state.flusher) => Step::Done,
                Action::Wait { until } if !state.flusher.is_exporting() => {
                    match has_heartbeats(state, engine.now(), anchor) {
                        false => Step::Wait(earlier(until, state)),
                        true => {
                            let batch = state.heartbeats.as_ref().map(Heartbeats::batch);
                            let batch = batch.unwrap_or_else(|| state.flusher.batch());
                            match exporting(|| connection.export(&batch)) {
                                Ok(sending) => Step::send(sending, What::Heartbeats, state),
                                Err(_) => {
                                    state.on_heartbeats(Err(PANICKED));
                                    Step::Yield
                                }
                            }
                        }
                    }
                }
                Action::Wait { until } => Step::Wait(until),
                Action::Yield => Step::Yield,
                Action::Finished => Step::Done,
            }
        };
        let (step, said) = engine.with(|state| (next(state), state.take_said()));
        engine.say(said);
        match step {
            Step::Export { sending, what, timeout, turn } => {
                let sending = pin!(with_timeout(&runtime, sending, timeout));
                // Whoever takes the seat sends the batch too, and after the end
                // nobody wants the answer: the transmission is dropped.
                // The seat itself may have come back meanwhile, so the turns count.
                let is_mine = |state: &State| state.seat == seat && state.taken_over == turn;
                let over = |state: &State| !is_mine(state) || state.flusher.is_finished();
                let over = pin!(engine.changed_for(Some(seat), over));
                if let First::Right(result) = race(over, sending).await {
                    let said = engine.with(|state| {
                        if is_mine(state) {
                            match what {
                                What::Batch => engine.on_export(state, result),
                                What::Heartbeats => state.on_heartbeats(result),
                            }
                        }
                        state.take_said()
                    });
                    engine.say(said);
                }
            }
            Step::Wait(until) => {
                // Whoever takes the seat takes the doorbell with it.
                let unseated = pin!(engine.changed_for(Some(seat), |state| state.seat != seat));
                let rung = pin!(engine.rung());
                let woken = pin!(race(rung, unseated));
                match until {
                    None => {
                        woken.await;
                    }
                    Some(until) => {
                        let left = until.saturating_sub(engine.now()).min(FAR);
                        race(woken, pin!(runtime.sleep(left))).await;
                    }
                }
            }
            Step::Yield => yield_now().await,
            Step::NotMine => {
                engine.changed(|state| state.seat == seat || is_done(&state.flusher)).await;
            }
            Step::Done => return,
        }
    }
}

enum Step<S> {
    /// What is sent, how long it may take, and the turn in which it began.
    Export {
        sending: S,
        what: What,
        timeout: Option<Duration>,
        turn: u64,
    },
    Wait(Option<Duration>),
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

impl<S> Step<S> {
    fn send(sending: S, what: What, state: &State) -> Self {
        let (timeout, turn) = (state.flusher.export_timeout(), state.taken_over);
        Step::Export { sending, what, timeout, turn }
    }
}

impl State {
    /// What is to be told now that the lock is released.
    fn take_said(&mut self) -> (Vec<Diagnostic>, Vec<ExportOperation>) {
        (core::mem::take(&mut self.said), core::mem::take(&mut self.ended))
    }

    fn on_heartbeats(&mut self, result: Result<Accepted, ExportError>) {
        if let Some(heartbeats) = &mut self.heartbeats {
            heartbeats.on_export(result);
        }
    }
}

/// Whether it is time to tell of spans that go on, and there are any.
fn has_heartbeats(state: &mut State, now: Duration, anchor: Anchor) -> bool {
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
fn earlier(until: Option<Duration>, state: &State) -> Option<Duration> {
    let due = state.heartbeats.as_ref().map(Heartbeats::due);
    until.into_iter().chain(due).min()
}

async fn with_timeout<S>(
    runtime: &impl Runtime,
    sending: S,
    timeout: Option<Duration>,
) -> Result<Accepted, ExportError>
where
    S: Future<Output = Result<Accepted, ExportError>>,
{
    let sending = pin!(catch_panic(sending));
    let Some(timeout) = timeout else { return sending.await };
    match race(sending, pin!(runtime.sleep(timeout.min(FAR)))).await {
        First::Left(result) => result,
        First::Right(()) => Err(ExportError::Retry { after: None, failure: Failure::Timeout }),
    }
}

/// An exporter that panics loses its batch, not the flusher.
async fn catch_panic<S>(sending: S) -> Result<Accepted, ExportError>
where
    S: Future<Output = Result<Accepted, ExportError>>,
{
    let mut sending = pin!(sending);
    core::future::poll_fn(move |context| {
        let sending: Pin<&mut S> = sending.as_mut();
        exporting(|| sending.poll(context)).unwrap_or(Poll::Ready(Err(PANICKED)))
    })
    .await
}

/// Runs code of the exporter, which may panic.
fn exporting<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    let before = EXPORTING.replace(true);
    let result = std::panic::catch_unwind(AssertUnwindSafe(work));
    EXPORTING.set(before);
    result
}

/// Whether the current thread runs code of an exporter.
pub(crate) fn is_exporting_here() -> bool {
    EXPORTING.get()
}

thread_local! {
    static EXPORTING: Cell<bool> = const { Cell::new(false) };
}

async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

const PANICKED: ExportError = ExportError::Permanent(Failure::Panicked);

/// A year: longer than anybody waits, and no clock overflows.
pub(crate) const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
