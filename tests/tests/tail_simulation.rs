//! Tail sampling under random programs on the virtual clock: see
//! `tests/src/simulation/tail_schedule.rs` for what must hold.

use core::time::Duration;

use throughline_tests::simulation::{TailRun, run_tail_schedule};

const RUN: TailRun = TailRun {
    seed: 0,
    spans: 400_000,
    pipelines: 1,
    units: 8_192,
    traces: 200_000,
    undecided: 8_192,
    ratio: 0.1,
    flushes: false,
    // Longer than any program takes.
    decision_time: Duration::from_secs(100_000),
    export_time: Duration::ZERO,
};

/// Where the buffer suffices, every trace that failed in time is kept, traces are
/// whole or not there, and late spans follow.
fn suffices(run: TailRun) {
    let (simulation, traces) = run_tail_schedule(run);
    let stats = simulation.stats();
    assert_eq!((stats.decided_early, stats.decided_overdue), (0, 0), "{run:?}");
    assert!(stats.error_traces_kept > traces / 50, "{stats:?}");
    assert!(stats.traces_dropped > traces / 2, "{stats:?}");
}

#[test]
fn a_million_spans_of_one_pipeline_are_kept_by_whole_traces() {
    for seed in 0..3 {
        suffices(TailRun { seed, ..RUN });
    }
}

#[test]
fn a_million_spans_of_pipelines_that_share_a_book_are_kept_by_whole_traces() {
    for seed in 10..13 {
        suffices(TailRun { seed, pipelines: 2 + (seed % 2) as usize, ..RUN });
    }
}

/// What ends meanwhile waits for its decision, and what is kept for the next batch.
#[test]
fn exports_that_take_long_lose_nothing_while_the_buffer_suffices() {
    for (seed, millis) in (30..36).zip([1, 20, 200, 1_000, 5_000, 60_000]) {
        let export_time = Duration::from_millis(millis);
        let pipelines = 1 + seed as usize % 2;
        suffices(TailRun { seed, export_time, pipelines, spans: 100_000, ..RUN });
    }
}

#[test]
fn flushes_decide_what_waits_and_all_that_follows_goes_with_it() {
    for seed in 20..23 {
        let run = TailRun {
            seed,
            spans: 150_000,
            flushes: true,
            pipelines: 1 + seed as usize % 2,
            export_time: Duration::from_millis(seed % 3 * 100),
            ..RUN
        };
        let (simulation, _) = run_tail_schedule(run);
        assert!(simulation.stats().decided_by_flush > 0);
    }
}

/// Traces that go on for longer than the decision time are decided meanwhile, by what is
/// known; what comes later goes with them.
#[test]
fn traces_that_go_on_for_too_long_are_decided_and_whole_all_the_same() {
    for seed in 60..63 {
        let run = TailRun {
            seed,
            spans: 150_000,
            pipelines: 1 + seed as usize % 2,
            decision_time: Duration::from_millis(100),
            ..RUN
        };
        let (simulation, traces) = run_tail_schedule(run);
        let stats = simulation.stats();
        assert!((100..traces / 2).contains(&stats.decided_overdue), "{stats:?} of {traces}");
        assert!(stats.error_traces_kept < stats.error_traces, "errors that came too late");
        assert_eq!(stats.decided_early, 0, "{stats:?}");
    }
}

/// What is lost to a buffer that does not suffice is told to the trace.
#[test]
fn a_buffer_that_does_not_suffice_tells_exactly_how_many_errors_it_lost() {
    let (mut lost, mut early) = (0, 0);
    for seed in 30..36 {
        // Too few bytes, or too few traces.
        let (units, undecided) = if seed % 2 == 0 { (24, 8_192) } else { (8_192, 12) };
        let run = TailRun {
            seed,
            spans: 150_000,
            units,
            undecided,
            pipelines: 1 + seed as usize / 2 % 2,
            export_time: Duration::from_millis(seed % 3 * 50),
            ..RUN
        };
        let (simulation, _) = run_tail_schedule(run);
        let stats = simulation.stats();
        early += stats.decided_early;
        lost += stats.error_traces - stats.error_traces_kept;
    }
    assert!(early > 1_000 && lost > 10, "{early} early, {lost} lost");
}

/// With so little memory that decisions are forgotten, too.
#[test]
fn without_memory_for_decisions_every_span_is_still_accounted_for() {
    for seed in 40..44 {
        let run = TailRun {
            seed,
            spans: 100_000,
            units: 12,
            traces: 32,
            undecided: 16,
            pipelines: 1 + seed as usize % 2,
            export_time: Duration::from_millis(seed % 3 * 10),
            ..RUN
        };
        let (simulation, _) = run_tail_schedule(run);
        assert!(simulation.stats().decided_early > 0);
    }
}

/// PRB-2: the sum of adjusted counts estimates how many traces there were. Five
/// standard deviations are allowed, of which half a million random numbers have
/// less than one.
#[test]
fn adjusted_counts_sum_to_the_number_of_traces_that_were_started() {
    for (seed, ratio) in [(50, 0.5), (51, 0.1), (52, 0.02)] {
        let (simulation, traces) = run_tail_schedule(TailRun { seed, ratio, ..RUN });
        let counts = simulation.all_delivered().values().map(|trace| {
            assert_eq!(trace.relative_count, None);
            trace.adjusted_count.expect("the head keeps all, so the threshold is known")
        });
        let sum: f64 = counts.sum();
        let deviation = (traces as f64 * (1.0 - ratio) / ratio).sqrt();
        let error = (sum - traces as f64).abs();
        assert!(error < 5.0 * deviation, "{sum} for {traces} traces at {ratio}");
    }
}
