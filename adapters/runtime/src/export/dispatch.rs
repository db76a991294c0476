//! The loop that drives the flusher where several requests may be in flight, to one
//! destination or several: it hands batches over to their lanes and exports nothing
//! itself. The [workers](crate::export::worker) do.

use core::time::Duration;
use std::sync::Arc;

use throughline_core::{Action, Heartbeats};

use crate::Runtime;
use crate::anchor::Anchor;
use crate::export::drive::{earlier, has_heartbeats};
use crate::export::engine::{Engine, Goal, Seat, State};
use crate::export::transmission::yield_now;

/// Drives the flusher until it is finished and everything is settled, the goal is
/// reached, or the caller who drives has left; only while it has the seat.
pub(crate) async fn dispatch<R: Runtime>(
    engine: Arc<Engine>,
    runtime: R,
    seat: Seat,
    goal: Option<Goal>,
) {
    let is_done = |state: &State| state.is_done(seat, goal);
    loop {
        let next = |state: &mut State| match () {
            () if is_done(state) => Step::Done,
            () if state.seat != seat => Step::NotMine,
            () => {
                engine.look(state);
                let step = state.hand_on(engine.now(), engine.anchor());
                if state.is_finished() {
                    engine.abandon(state);
                }
                step
            }
        };
        let (step, said) = engine.with(|state| (next(state), state.take_said()));
        engine.say(said);
        match step {
            Step::Wait { until, is_finished } => {
                // The workers may have reached it, too.
                let is_stirred = |state: &State| {
                    let has_changed = state.is_finished() != is_finished;
                    state.can_hand_over() || has_changed || is_done(state)
                };
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

/// What the driver does next.
#[derive(Debug)]
pub(crate) enum Step {
    Wait {
        until: Option<Duration>,
        /// Whether everything is over but for spans that are just being queued.
        is_finished: bool,
    },
    Yield,
    NotMine,
    Done,
}

impl State {
    /// Moves spans from the rings to the lanes, as far as there is room.
    pub(crate) fn hand_on(&mut self, now: Duration, anchor: Anchor) -> Step {
        let action = self.flusher.poll(now, |ticks| anchor.unix_nanos(ticks));
        let Some(fan_out) = &mut self.fan_out else { return Step::Done };
        // Before anything new is handed over, which no flush so far waits for.
        fan_out.mark(self.flusher.served());
        if self.can_hand_over() {
            self.hand_over();
            return Step::Yield;
        }
        let Some(fan_out) = &mut self.fan_out else { return Step::Done };
        if self.flusher.is_finished() {
            fan_out.close();
        }
        fan_out.look_at_deadline(now);
        let deadline = fan_out.deadline();
        self.flusher.settle(&fan_out.take_settled());
        let is_finished = self.is_finished();
        match action {
            Action::Finished if is_finished => Step::Done,
            // The workers finish what they have, or the deadline comes.
            Action::Finished => Step::Wait { until: deadline, is_finished },
            Action::Yield | Action::Export => Step::Yield,
            Action::Wait { until } if self.flusher.is_exporting() => {
                Step::Wait { until, is_finished }
            }
            Action::Wait { .. } if !is_finished && has_heartbeats(self, now, anchor) => {
                self.hand_over_heartbeats();
                Step::Yield
            }
            Action::Wait { until } => Step::Wait { until: earlier(until, self), is_finished },
        }
    }

    /// Whether a batch waits for a lane with room, and there is one.
    fn can_hand_over(&self) -> bool {
        self.flusher.is_exporting()
            && self.fan_out.as_ref().is_some_and(|lanes| lanes.has_room(&self.flusher.batch()))
    }

    fn hand_over(&mut self) {
        if let Some(fan_out) = &mut self.fan_out {
            fan_out.push(&self.flusher.batch());
            self.flusher.hand_over();
            self.flusher.settle(&fan_out.take_settled());
        }
    }

    fn hand_over_heartbeats(&mut self) {
        if let (Some(fan_out), Some(heartbeats)) = (&mut self.fan_out, &self.heartbeats) {
            fan_out.push_heartbeats(&Heartbeats::batch(heartbeats));
        }
    }
}
