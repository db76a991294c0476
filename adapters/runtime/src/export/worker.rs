//! One request of several that may be in flight: takes from its lane, sends, says what
//! became of it. There are as many workers as a destination has requests in flight, each
//! with a connection of its own, so that an exporter sends one batch at a time per
//! connection.

use core::ops::Range;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use throughline_core::{Accepted, ExportError, SpanExporter};

use crate::Runtime;
use crate::export::engine::{Engine, Seat, State};
use crate::export::fan_out::{Body, FanOut, Order, Place};
use crate::export::race::{First, race};
use crate::export::transmission::{FAR, exporting, panicked_at_once, with_timeout};

/// Works at this place until everything is settled; begins something only while this seat
/// drives, if it depends on one. What is under way goes on without the seat, unless it is
/// [taken away](crate::export::flights).
pub(crate) async fn work<R: Runtime, C: SpanExporter>(
    engine: Arc<Engine>,
    runtime: R,
    mut connection: C,
    place: Place,
    seat: Option<Seat>,
) {
    let is_seated = |state: &State| seat.is_none_or(|seat| state.seat == seat);
    loop {
        let next = |state: &mut State| match () {
            () if state.has_settled_all() => Step::Done,
            () if is_seated(state) => state.next_at(engine.now(), place, seat),
            () => Step::NotMine,
        };
        let (step, said) = engine.with(|state| (next(state), state.take_said()));
        engine.say(said);
        match step {
            Step::Export { body, spans, timeout, number } => {
                // Not under the lock: an exporter that blocks here blocks nobody else.
                let begun = exporting(|| connection.export(&body.batch(spans)));
                drop(body);
                let answer = match begun {
                    Err(panic) => Some(panicked_at_once(panic)),
                    Ok(sending) => {
                        let sending = pin!(with_timeout(&runtime, sending, timeout));
                        let over = |state: &State| {
                            !state.flights.is_under_way(number) || state.has_settled_all()
                        };
                        match race(pin!(engine.changed(over)), sending).await {
                            First::Left(()) => None,
                            First::Right(answer) => Some(answer),
                        }
                    }
                };
                let said = engine.with(|state| {
                    let is_mine = state.flights.end(number);
                    if let Some(answer) = answer.filter(|_| is_mine) {
                        engine.on_export_at(state, place, answer);
                    }
                    state.take_said()
                });
                engine.say(said);
            }
            Step::Wait { until, for_another } => {
                let is_stirred = |state: &State| {
                    let now = engine.now();
                    let is_ready = |lanes: &FanOut| {
                        lanes.is_ready(place, now) || for_another && !lanes.is_sending(place)
                    };
                    !is_seated(state) || state.fan_out.as_ref().is_none_or(is_ready)
                };
                let stirred = pin!(engine.changed(is_stirred));
                match until {
                    None => stirred.await,
                    Some(until) => {
                        let left = until.saturating_sub(engine.now()).min(FAR);
                        race(stirred, pin!(runtime.sleep(left))).await;
                    }
                }
            }
            Step::NotMine => {
                engine.changed(|state| is_seated(state) || state.has_settled_all()).await;
            }
            Step::Done => return,
        }
    }
}

enum Step {
    /// What is sent, how long it may take, and the number of the request.
    Export {
        body: Arc<Body>,
        spans: Range<usize>,
        timeout: Option<Duration>,
        number: u64,
    },
    Wait {
        until: Option<Duration>,
        /// Also for the answer to a request that another one began here.
        for_another: bool,
    },
    NotMine,
    Done,
}

impl State {
    fn next_at(&mut self, now: Duration, place: Place, seat: Option<Seat>) -> Step {
        let timeout = self.fan_out.as_ref().and_then(FanOut::export_timeout);
        match self.order_at(now, place) {
            Order::Export(body, spans) => {
                let is_of_spans = self.fan_out.as_ref().is_some_and(|all| all.is_of_spans(place));
                if is_of_spans && let Some(operations) = self.operations.get_mut(place.lane) {
                    operations.begin(now, place);
                }
                let number = self.flights.begin(Some(place), is_of_spans, seat);
                Step::Export { body, spans, timeout, number }
            }
            Order::Wait(until) => {
                let for_another = self.fan_out.as_ref().is_some_and(|all| all.is_sending(place));
                Step::Wait { until, for_another }
            }
            Order::Finished => Step::Done,
        }
    }

    /// What to do at this place now.
    pub(crate) fn order_at(&mut self, now: Duration, place: Place) -> Order {
        let Some(fan_out) = &mut self.fan_out else { return Order::Finished };
        let order = fan_out.poll(place, now);
        // The poll may have been the one at the deadline.
        self.flusher.settle(&fan_out.take_settled());
        order
    }

    /// What became of what was sent at this place. Returns whether it will not be repeated.
    pub(crate) fn settle_at(
        &mut self,
        now: Duration,
        place: Place,
        result: Result<Accepted, ExportError>,
    ) -> bool {
        let Some(fan_out) = &mut self.fan_out else { return false };
        let is_over = fan_out.on_export(place, now, result);
        self.flusher.settle(&fan_out.take_settled());
        is_over
    }

    /// Whether nothing is to be sent any more, and never will be.
    fn has_settled_all(&self) -> bool {
        self.fan_out.as_ref().is_none_or(FanOut::is_finished)
    }
}
