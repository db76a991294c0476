//! The flusher on a virtual clock with a scripted exporter.
//!
//! The random schedules are a function of their seeds; a failing one is run
//! again alone with `THROUGHLINE_SEED=<seed>`, and more of them with
//! `THROUGHLINE_SEEDS=<number>`.

use core::time::Duration;

use throughline_core::{Accepted, Action, DropReason, ExportError, Failure, FlusherSettings};
use throughline_tests::simulation::{Setup, Simulation, Size, run_schedule};

#[test]
fn random_schedules_keep_every_promise_at_every_step() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("THROUGHLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("THROUGHLINE_SEEDS").unwrap_or(4_000),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run_schedule(seed)) {
            eprintln!("to run it again: THROUGHLINE_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn a_full_batch_is_sent_at_once() {
    let mut simulation = simulation(|settings| settings.max_export_batch_size = 3);
    simulation.span();
    simulation.span();
    assert_eq!(simulation.poll(), Action::Wait { until: Some(DELAY) });
    simulation.span();
    simulation.span();
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.sent().len(), 3);
    simulation.answer(DELIVERED);
    assert_eq!(simulation.poll(), Action::Wait { until: Some(DELAY) });
}

#[test]
fn a_batch_whose_bytes_are_used_up_is_full() {
    let mut simulation = simulation(|_| ());
    for _ in 0..3 {
        simulation.start(0, Size::Ordinary, 600);
        simulation.end(0);
    }
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.sent().len(), 2);
}

#[test]
fn a_batch_is_due_when_its_first_span_waited_for_the_delay() {
    let mut simulation = simulation(|_| ());
    simulation.advance_to(ms(700));
    simulation.span();
    assert_eq!(simulation.poll(), Action::Wait { until: Some(ms(5_700)) });
    simulation.advance_to(ms(5_000));
    simulation.span();
    assert_eq!(simulation.poll(), Action::Wait { until: Some(ms(5_700)) });
    simulation.advance_to(ms(5_699));
    assert_eq!(simulation.poll(), Action::Wait { until: Some(ms(5_700)) });
    simulation.advance_to(ms(5_700));
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.sent().len(), 2);
    simulation.answer(DELIVERED);
    assert_eq!(simulation.pipeline().ledger().exported(), 2);
}

#[test]
fn a_span_for_which_nobody_rings_is_sent_after_the_delay() {
    let mut simulation = simulation(|_| ());
    let Action::Wait { until: Some(look) } = simulation.poll() else {
        panic!("an idle flusher never looks again");
    };
    simulation.advance_to(ms(1));
    // Below the number for which the flusher is woken.
    simulation.span();
    simulation.advance_to(look);
    match simulation.poll() {
        Action::Export => {}
        Action::Wait { until: Some(until) } => {
            assert!(until <= ms(1) + DELAY, "waits until {until:?}");
            simulation.advance_to(until);
            assert_eq!(simulation.poll(), Action::Export);
        }
        other => panic!("{other:?}"),
    }
    assert!(simulation.now() <= ms(1) + DELAY);
}

#[test]
fn a_flush_sends_at_once_and_is_served_when_the_batch_is_settled() {
    let mut simulation = simulation(|_| ());
    simulation.span();
    let ticket = simulation.flush();
    assert_eq!(simulation.poll(), Action::Export);
    assert!(!simulation.flusher().is_served(ticket));
    simulation.answer(DELIVERED);
    simulation.poll_until_idle();
    assert!(simulation.flusher().is_served(ticket));
}

#[test]
fn a_flush_of_nothing_is_served_without_a_transmission() {
    let mut simulation = simulation(|_| ());
    let ticket = simulation.flush();
    assert!(!matches!(simulation.poll(), Action::Export));
    assert!(simulation.flusher().is_served(ticket));
}

#[test]
fn a_flush_is_served_although_spans_keep_ending() {
    let mut simulation = simulation(|_| ());
    simulation.span();
    let ticket = simulation.flush();
    for _ in 0..10 {
        if simulation.poll_until_idle() == Action::Export {
            simulation.answer(DELIVERED);
        }
        // There is always something new before the next poll.
        simulation.span();
    }
    assert!(simulation.flusher().is_served(ticket), "later spans hold up the flush");
}

#[test]
fn flushes_that_overlap_are_all_served() {
    let mut simulation = simulation(|_| ());
    let mut tickets = Vec::new();
    for _ in 0..4 {
        simulation.span();
        tickets.push(simulation.flush());
    }
    while simulation.poll_until_idle() == Action::Export {
        simulation.span();
        tickets.push(simulation.flush());
        simulation.answer(DELIVERED);
        if tickets.len() > 8 {
            break;
        }
    }
    while simulation.poll_until_idle() == Action::Export {
        simulation.answer(DELIVERED);
    }
    assert!(tickets.iter().all(|ticket| simulation.flusher().is_served(*ticket)));
}

/// OTLP-3 ([Empty telemetry](https://opentelemetry.io/docs/specs/otlp/#empty-telemetry-envelopes)).
#[test]
fn an_idle_flusher_never_sends_an_empty_batch() {
    let mut simulation = simulation(|_| ());
    for step in 0..50 {
        simulation.advance_to(ms(step * 1_000));
        assert!(!matches!(simulation.poll(), Action::Export));
        simulation.flush();
        assert!(!matches!(simulation.poll(), Action::Export));
    }
    simulation.shutdown(ms(1_000));
    assert_eq!(simulation.poll(), Action::Finished);
}

#[test]
fn a_request_that_is_too_large_is_halved_down_to_one_span() {
    let mut simulation = simulation(|_| ());
    let ids: Vec<_> = (0..5).filter_map(|_| simulation.span()).collect();
    simulation.flush();
    let mut sizes = Vec::new();
    while simulation.poll_until_idle() == Action::Export {
        let sent = simulation.sent();
        sizes.push(sent.len());
        // The receiver takes two spans at once, and the fourth never.
        let refused = sent.len() > 2 || sent.contains(&ids[3]);
        simulation.answer(if refused { Err(ExportError::TooLarge) } else { DELIVERED });
    }
    assert_eq!(sizes, [5, 2, 3, 1, 2, 1, 1]);
    let ledger = simulation.pipeline().ledger();
    assert_eq!((ledger.exported(), ledger.dropped(DropReason::TooLarge)), (4, 1));
}

#[test]
fn a_span_larger_than_any_batch_is_dropped_and_holds_nothing_up() {
    let mut simulation = simulation(|_| ());
    simulation.start(0, Size::TooLargeForBatch, 1_600);
    simulation.end(0);
    simulation.span();
    simulation.flush();
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.sent().len(), 1);
    assert_eq!(simulation.pipeline().ledger().dropped(DropReason::TooLarge), 1);
}

/// OTLP-8 ([Retry](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#retry)).
#[test]
fn a_failed_batch_is_sent_again_as_it_was() {
    let mut simulation = simulation(|settings| settings.max_export_batch_size = 2);
    let ids: Vec<_> = (0..4).filter_map(|_| simulation.span()).collect();
    assert_eq!(simulation.poll(), Action::Export);
    simulation.answer(retry(Some(ms(7_000))));
    assert_eq!(simulation.poll(), Action::Wait { until: Some(ms(7_000)) });
    simulation.advance_to(ms(7_000));
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.sent(), ids[..2]);
    simulation.answer(DELIVERED);
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.sent(), ids[2..]);
}

/// OTLP-12 ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures)).
#[test]
fn a_batch_is_given_up_when_its_repetitions_are_used_up() {
    let mut simulation = simulation(|settings| settings.retry.max_repetitions = 2);
    simulation.span();
    simulation.flush();
    let mut sent = 0;
    loop {
        match simulation.poll_until_idle() {
            Action::Export => {
                sent += 1;
                simulation.answer(retry(None));
            }
            Action::Wait { until: Some(until) } if simulation.flusher().gathered() > 0 => {
                simulation.advance_to(until);
            }
            _ => break,
        }
    }
    assert_eq!(sent, 3);
    assert_eq!(simulation.pipeline().ledger().dropped(DropReason::RetriesExhausted), 1);
}

#[test]
fn a_lost_transmission_is_repeated_at_once() {
    let mut simulation = simulation(|_| ());
    let id = simulation.span();
    simulation.flush();
    assert_eq!(simulation.poll(), Action::Export);
    simulation.interrupt();
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.sent(), id.as_slice());
}

#[test]
fn a_bell_that_rings_while_a_repetition_waits_is_answered() {
    let mut simulation = simulation(|_| ());
    simulation.span();
    simulation.flush();
    assert_eq!(simulation.poll(), Action::Export);
    simulation.pipeline().announce();
    simulation.poll();
    assert!(simulation.pipeline().bell().arm(), "the driver cannot sleep while a batch is sent");
    simulation.answer(retry(None));
    simulation.pipeline().announce();
    assert!(matches!(simulation.poll(), Action::Wait { .. }));
    assert!(simulation.pipeline().bell().arm(), "the driver cannot sleep until the repetition");
}

#[test]
fn one_that_dozes_is_woken_by_half_a_queue_and_not_by_a_batch() {
    let mut simulation = simulation(|_| ());
    let pipeline = simulation.pipeline();
    assert!(pipeline.bell().doze());
    assert!(!pipeline.holds_batch());
    while 2 * pipeline.queue_used() < pipeline.queue_capacity() {
        assert!(pipeline.bell().doze(), "woken at {}", pipeline.queue_used());
        simulation.span();
    }
    assert!(pipeline.holds_batch());
    // What filled the half announces itself with the next whole batch at the latest.
    for _ in 0..2 {
        simulation.span();
    }
    assert!(!pipeline.bell().doze(), "not woken at {}", pipeline.queue_used());
}

#[test]
fn shutdown_with_a_refusing_collector_ends_after_one_repetition_and_counts() {
    let mut simulation = simulation(|settings| settings.max_export_batch_size = 2);
    for _ in 0..5 {
        simulation.span();
    }
    simulation.shutdown(ms(5_000));
    assert_eq!(simulation.poll(), Action::Export);
    simulation.answer(retry(None));
    let Action::Wait { until: Some(until) } = simulation.poll() else { panic!("gives up") };
    assert!(until <= ms(1_000));
    simulation.advance_to(until);
    assert_eq!(simulation.poll(), Action::Export);
    simulation.answer(retry(None));
    assert_eq!(simulation.poll(), Action::Finished);
    let ledger = simulation.pipeline().ledger();
    assert_eq!(ledger.dropped(DropReason::RetriesExhausted), 2);
    assert_eq!(ledger.dropped(DropReason::Abandoned), 3);
    assert_eq!(ledger.in_flight(), 0);
}

#[test]
fn shutdown_does_not_wait_for_a_repetition_behind_its_deadline() {
    let mut simulation = simulation(|_| ());
    simulation.span();
    simulation.flush();
    assert_eq!(simulation.poll(), Action::Export);
    simulation.answer(retry(Some(ms(20_000))));
    simulation.shutdown(ms(1_000));
    assert_eq!(simulation.poll(), Action::Export);
    simulation.answer(DELIVERED);
    assert_eq!(simulation.poll(), Action::Finished);
    assert_eq!(simulation.pipeline().ledger().exported(), 1);
}

#[test]
fn shutdown_gives_up_a_transmission_without_an_answer_at_its_deadline() {
    let mut simulation = simulation(|_| ());
    simulation.span();
    simulation.start(0, Size::Ordinary, 8);
    simulation.shutdown(ms(1_000));
    assert_eq!(simulation.poll(), Action::Export);
    assert_eq!(simulation.poll(), Action::Wait { until: Some(ms(1_000)) });
    simulation.advance_to(ms(1_000));
    assert_eq!(simulation.poll(), Action::Finished);
    simulation.end(0);
    let ledger = simulation.pipeline().ledger();
    assert_eq!(ledger.dropped(DropReason::Abandoned), 1);
    assert_eq!(ledger.dropped(DropReason::AfterShutdown), 1);
    assert_eq!(ledger.in_flight(), 0);
}

#[test]
fn a_second_shutdown_can_only_bring_the_deadline_nearer() {
    let mut simulation = simulation(|_| ());
    simulation.span();
    simulation.shutdown(ms(1_000));
    assert_eq!(simulation.poll(), Action::Export);
    simulation.shutdown(ms(9_000));
    assert_eq!(simulation.poll(), Action::Wait { until: Some(ms(1_000)) });
    simulation.shutdown(ms(500));
    assert_eq!(simulation.poll(), Action::Wait { until: Some(ms(500)) });
}

#[test]
fn durations_without_end_are_durations() {
    let mut simulation = simulation(|settings| {
        settings.schedule_delay = Duration::MAX;
        settings.retry.max_delay = Duration::MAX;
    });
    simulation.advance_to(ms(1));
    simulation.span();
    simulation.poll();
    simulation.flush();
    assert_eq!(simulation.poll(), Action::Export);
    simulation.answer(retry(Some(Duration::MAX)));
    assert!(matches!(simulation.poll(), Action::Wait { .. }));
}

fn simulation(change: impl FnOnce(&mut FlusherSettings)) -> Simulation {
    let mut setup = Setup::small();
    change(&mut setup.settings);
    Simulation::new(&setup)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn retry(after: Option<Duration>) -> Result<Accepted, ExportError> {
    Err(ExportError::Retry { after, failure: Failure::Http(503) })
}

const DELIVERED: Result<Accepted, ExportError> = Ok(Accepted { rejected: 0 });
const DELAY: Duration = ms(5_000);
