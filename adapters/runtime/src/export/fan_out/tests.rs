//! Several destinations on a virtual clock with scripted answers.
//!
//! The random schedules are a function of their seeds; a failing one is run again alone
//! with `THROUGHLINE_SEED=<seed>`, and more of them with `THROUGHLINE_SEEDS=<number>`.

use core::time::Duration;

use throughline_core::{Accepted, DropReason, ExportError, Failure, Retry};

use super::simulation::Simulation;
use super::{Bounds, Order, Place};
use crate::export::dispatch::Step;

type Answer = Result<Accepted, ExportError>;

/// OTLP-13, OTLP-14
/// ([Multi-destination exporting](https://opentelemetry.io/docs/specs/otlp/#multi-destination-exporting)).
#[test]
fn random_schedules_of_several_destinations_keep_every_promise_at_every_step() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("THROUGHLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("THROUGHLINE_SEEDS").unwrap_or(200),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(&mut Random(seed))) {
            eprintln!("to run it again: THROUGHLINE_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn run(random: &mut Random) {
    let mut retry = Retry::new();
    retry.initial_delay = random.millis(500);
    retry.max_delay = random.millis(1_000);
    retry.max_repetitions = random.below(4) as u32;
    let destinations = 1 + random.below(3);
    let bounds: Vec<_> = (0..destinations)
        .map(|_| Bounds {
            in_flight: 1 + random.below(3) as usize,
            batches: random.below(3) as usize,
            bytes: [usize::MAX, 600, 1_500][random.below(3) as usize],
        })
        .collect();
    let mut simulation = Simulation::new(1 + random.below(5) as usize, retry, &bounds);
    let places = simulation.places();
    for _ in 0..random.below(250) {
        let place = places[random.below(places.len() as u64) as usize];
        match random.below(100) {
            0..=29 => simulation.span(),
            30..=49 => drop(simulation.hand_on()),
            50..=69 => drop(simulation.poll(place)),
            70..=84 if simulation.sending(place).is_some() => {
                simulation.answer(place, answer(random));
            }
            85..=87 => {
                simulation.flush();
            }
            88 if random.below(4) == 0 => simulation.shutdown(random.millis(3_000)),
            89 => {
                let lane = random.below(destinations) as usize;
                simulation.interrupt(|place| place.lane == lane);
            }
            _ => simulation.now += random.millis(700),
        }
    }
    finish(&mut simulation, random);
}

/// Drives as drivers do that obey, until the end.
fn finish(simulation: &mut Simulation, random: &mut Random) {
    simulation.shutdown(Duration::from_millis(3_000));
    let deadline = simulation.deadline.expect("it was just set");
    for _ in 0..10_000 {
        let mut next = deadline.max(simulation.now);
        let mut is_moving = false;
        match simulation.hand_on() {
            Step::Done => {
                for place in simulation.places() {
                    assert!(matches!(simulation.poll(place), Order::Finished));
                }
                let ledger = simulation.pipeline.ledger();
                assert_eq!(ledger.in_flight(), 0, "{ledger}");
                assert!(simulation.state.is_finished());
                return;
            }
            Step::Wait { until, .. } => next = next.min(until.unwrap_or(next)),
            Step::Yield | Step::NotMine => is_moving = true,
        }
        for place in simulation.places() {
            match simulation.poll(place) {
                Order::Export(..) => is_moving = true,
                Order::Wait(until) => next = next.min(until.unwrap_or(next)),
                Order::Finished => is_moving = true,
            }
            if simulation.sending(place).is_some() && random.below(16) > 0 {
                simulation.answer(place, answer(random));
                is_moving = true;
            }
        }
        if !is_moving {
            assert!(next > simulation.now || simulation.now >= deadline, "nothing moves");
            simulation.now = next.max(simulation.now);
        }
    }
    panic!("it does not come to an end");
}

fn answer(random: &mut Random) -> Answer {
    match random.below(20) {
        0..=9 => OK,
        10 | 11 => Ok(Accepted { rejected: random.below(6) }),
        12..=14 => retry(None),
        15 => retry(Some(random.millis(3_000))),
        16 => Err(ExportError::Permanent(Failure::Http(400))),
        _ => Err(ExportError::TooLarge),
    }
}

/// OTLP-14: one destination that hangs holds up no other
/// ([Multi-destination exporting](https://opentelemetry.io/docs/specs/otlp/#multi-destination-exporting)).
#[test]
fn a_destination_that_hangs_loses_what_its_queue_cannot_hold_and_the_other_nothing() {
    let mut simulation = simulation(1, &[bounds(1, 2), bounds(1, 2)]);
    for _ in 0..10 {
        simulation.span();
        settle(&mut simulation);
        simulation.poll(HANGING);
        assert!(matches!(simulation.poll(GOOD), Order::Export(..)));
        simulation.answer(GOOD, OK);
    }
    let [hanging, good] = [0, 1].map(|lane| simulation.fan_out().lanes()[lane].ledger);
    assert_eq!((good.started(), good.exported(), good.dropped_total()), (10, 10, 0));
    // One on its way, two that wait.
    assert_eq!((hanging.dropped(DropReason::QueueFull), hanging.in_flight()), (7, 3));
    let ledger = simulation.pipeline.ledger();
    assert_eq!((ledger.exported(), ledger.in_flight(), ledger.dropped_total()), (7, 3, 0));
}

#[test]
fn while_no_destination_has_room_spans_wait_in_the_queue_of_the_pipeline() {
    let mut simulation = simulation(1, &[bounds(1, 1), bounds(2, 0)]);
    for _ in 0..8 {
        simulation.span();
    }
    settle(&mut simulation);
    for place in simulation.places() {
        simulation.poll(place);
    }
    settle(&mut simulation);
    assert_eq!(simulation.fan_out().handed_over(), 2);
    assert_eq!(simulation.pipeline.ledger().dropped_total(), 0);
    // Room at one of them is enough.
    simulation.answer(Place { lane: 1, slot: 1 }, OK);
    settle(&mut simulation);
    assert_eq!(simulation.fan_out().handed_over(), 3);
}

#[test]
fn a_span_is_exported_if_one_took_it_and_else_dropped_for_the_last_reason() {
    let mut simulation = simulation(2, &[bounds(1, 2), bounds(1, 2)]);
    for answers in [
        [Ok(Accepted { rejected: 1 }), Err(ExportError::Permanent(Failure::Http(400)))],
        [Err(ExportError::Permanent(Failure::Http(400))), Ok(Accepted { rejected: 2 })],
    ] {
        simulation.span();
        simulation.span();
        settle(&mut simulation);
        for (place, answer) in [HANGING, GOOD].into_iter().zip(answers) {
            simulation.poll(place);
            let before = simulation.pipeline.ledger().in_flight();
            assert_eq!(before, 2, "settled before the last destination is");
            simulation.answer(place, answer);
        }
    }
    let ledger = simulation.pipeline.ledger();
    assert_eq!((ledger.started(), ledger.exported()), (4, 1));
    assert_eq!(ledger.dropped(DropReason::ExportFailed), 1);
    assert_eq!(ledger.dropped(DropReason::Rejected), 2);
}

/// OTLP-13, OTLP-8: a request that fails is repeated by itself
/// ([Concurrent requests](https://opentelemetry.io/docs/specs/otlp/#otlphttp-concurrent-requests)).
#[test]
fn one_of_several_requests_in_flight_is_repeated_by_itself_when_the_receiver_said() {
    let mut simulation = simulation(1, &[bounds(2, 0)]);
    let [first, second] = [0, 1].map(|slot| Place { lane: 0, slot });
    for _ in 0..4 {
        simulation.span();
    }
    settle(&mut simulation);
    assert!(matches!(simulation.poll(first), Order::Export(..)));
    assert!(matches!(simulation.poll(second), Order::Export(..)));
    let failed = simulation.sending(first).expect("it is sent").clone();
    simulation.answer(first, retry(Some(ms(7_000))));
    for _ in 0..3 {
        assert!(matches!(simulation.poll(first), Order::Wait(Some(until)) if until == ms(7_000)));
        simulation.answer(second, OK);
        settle(&mut simulation);
        simulation.poll(second);
    }
    assert_eq!(simulation.pipeline.ledger().exported(), 3);
    simulation.now = ms(7_000);
    assert!(matches!(simulation.poll(first), Order::Export(..)));
    assert_eq!(simulation.sending(first), Some(&failed));
    simulation.answer(first, OK);
    assert_eq!(simulation.pipeline.ledger().exported(), 4);
}

/// OTLP-14 ([Multi-destination exporting](https://opentelemetry.io/docs/specs/otlp/#multi-destination-exporting)).
#[test]
fn a_flush_is_served_when_every_destination_is_done_and_not_before() {
    let mut simulation = simulation(8, &[bounds(1, 2), bounds(1, 2)]);
    simulation.span();
    let ticket = simulation.flush();
    settle(&mut simulation);
    for place in [GOOD, HANGING] {
        assert!(!simulation.has_reached(ticket));
        assert!(matches!(simulation.poll(place), Order::Export(..)));
        simulation.answer(place, OK);
    }
    assert!(simulation.has_reached(ticket));
    // And one of nothing at once.
    let ticket = simulation.flush();
    settle(&mut simulation);
    assert!(simulation.has_reached(ticket));
}

#[test]
fn a_flush_does_not_wait_for_what_is_handed_over_after_it() {
    let mut simulation = simulation(1, &[bounds(1, 4), bounds(1, 4)]);
    simulation.span();
    let ticket = simulation.flush();
    settle(&mut simulation);
    simulation.span();
    settle(&mut simulation);
    for place in [GOOD, HANGING] {
        simulation.poll(place);
        simulation.answer(place, OK);
    }
    assert!(simulation.has_reached(ticket));
    assert_eq!(simulation.pipeline.ledger().in_flight(), 1);
}

#[test]
fn at_the_deadline_of_shutdown_only_what_a_destination_still_holds_is_abandoned() {
    let mut simulation = simulation(1, &[bounds(1, 4), bounds(1, 4)]);
    for _ in 0..3 {
        simulation.span();
    }
    simulation.shutdown(ms(1_000));
    settle(&mut simulation);
    simulation.poll(HANGING);
    for _ in 0..3 {
        simulation.poll(GOOD);
        simulation.answer(GOOD, OK);
    }
    assert!(!simulation.state.is_finished());
    simulation.now = ms(1_000);
    assert!(matches!(simulation.hand_on(), Step::Done));
    assert!(simulation.state.is_cut_short());
    let [hanging, good] = [0, 1].map(|lane| simulation.fan_out().lanes()[lane].ledger);
    assert_eq!(hanging.dropped(DropReason::Abandoned), 3);
    assert_eq!(good.exported(), 3);
    let ledger = simulation.pipeline.ledger();
    assert_eq!((ledger.exported(), ledger.dropped_total()), (3, 0));
    // A late answer changes nothing.
    simulation.state.settle_at(simulation.now, HANGING, OK);
    assert_eq!(simulation.pipeline.ledger(), ledger);
}

#[test]
fn shutdown_does_not_wait_for_a_repetition_behind_its_deadline() {
    let mut simulation = simulation(1, &[bounds(1, 4), bounds(1, 4)]);
    simulation.span();
    settle(&mut simulation);
    simulation.poll(HANGING);
    simulation.answer(HANGING, retry(Some(ms(20_000))));
    simulation.shutdown(ms(1_000));
    settle(&mut simulation);
    for place in [HANGING, GOOD] {
        assert!(matches!(simulation.poll(place), Order::Export(..)));
        simulation.answer(place, OK);
    }
    assert!(matches!(simulation.hand_on(), Step::Done));
    assert!(!simulation.state.is_cut_short());
}

#[test]
fn a_destination_that_cannot_be_reached_at_shutdown_gives_up_its_queue_and_no_other() {
    let mut simulation = simulation(1, &[bounds(1, 4), bounds(1, 4)]);
    for _ in 0..3 {
        simulation.span();
    }
    simulation.shutdown(ms(5_000));
    settle(&mut simulation);
    for _ in 0..2 {
        while !matches!(simulation.poll(HANGING), Order::Export(..)) {
            simulation.now += ms(100);
        }
        simulation.answer(HANGING, retry(None));
    }
    let refusing = simulation.fan_out().lanes()[0].ledger;
    assert_eq!(refusing.dropped(DropReason::RetriesExhausted), 1);
    assert_eq!(refusing.dropped(DropReason::Abandoned), 2);
    for _ in 0..3 {
        simulation.poll(GOOD);
        simulation.answer(GOOD, OK);
    }
    settle(&mut simulation);
    assert!(simulation.state.is_finished() && !simulation.state.is_cut_short());
    assert_eq!(simulation.pipeline.ledger().exported(), 3);
}

#[test]
fn records_of_live_spans_go_to_who_is_idle_and_are_in_no_other_books() {
    let mut simulation = simulation(1, &[bounds(1, 2), bounds(1, 2)]);
    simulation.span();
    settle(&mut simulation);
    simulation.poll(HANGING);
    simulation.poll(GOOD);
    simulation.answer(GOOD, OK);
    let Order::Wait(_) = simulation.poll(GOOD) else { panic!("there is nothing to do") };
    // The same bytes, as records.
    let body = simulation.fan_out().shipments[&0].body.clone();
    simulation.fan_out().push_heartbeats(&body.batch(0..1));
    let fan_out = simulation.fan_out();
    assert!(matches!(fan_out.poll(GOOD, ms(0)), Order::Export(..)));
    fan_out.on_export(GOOD, ms(0), retry(None));
    assert!(matches!(fan_out.poll(GOOD, ms(9_000)), Order::Wait(None)), "it is sent again");
    fan_out.push_heartbeats(&body.batch(0..1));
    assert!(matches!(fan_out.poll(GOOD, ms(0)), Order::Export(..)));
    fan_out.on_export(GOOD, ms(0), OK);
    let settled = fan_out.take_settled();
    assert_eq!((settled.heartbeats(), settled.exported(), settled.dropped_total()), (1, 0, 0));
    let books = fan_out.lanes()[1].ledger;
    assert_eq!((books.started(), books.exported()), (1, 1));
    let hanging = fan_out.lanes()[0].ledger;
    assert_eq!((hanging.started(), hanging.in_flight()), (1, 1));
}

/// Drives the flusher until it waits; what is due is due now.
fn settle(simulation: &mut Simulation) {
    simulation.flush();
    while matches!(simulation.hand_on(), Step::Yield) {}
}

fn simulation(batch: usize, bounds: &[Bounds]) -> Simulation {
    Simulation::new(batch, Retry::new(), bounds)
}

const fn bounds(in_flight: usize, batches: usize) -> Bounds {
    Bounds { in_flight, batches, bytes: usize::MAX }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn retry(after: Option<Duration>) -> Answer {
    Err(ExportError::Retry { after, failure: Failure::Http(503) })
}

const OK: Answer = Ok(Accepted { rejected: 0 });
const HANGING: Place = Place { lane: 0, slot: 0 };
const GOOD: Place = Place { lane: 1, slot: 0 };

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}
