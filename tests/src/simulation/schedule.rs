//! Random schedules, each a function of its seed.

use core::time::Duration;

use throughline_core::{Accepted, Action, ExportError, Failure, FlusherSettings, Retry};

use super::{Answer, PRODUCERS, Setup, Simulation, Size};

/// Runs the schedule of a seed, from an empty pipeline to a finished one.
///
/// # Panics
///
/// If anything is not as it must be.
pub fn run_schedule(seed: u64) {
    let random = &mut Random::new(seed);
    let mut simulation = Simulation::new(&setup(random));
    let mut shut_down = false;
    let mut action = simulation.poll();
    for _ in 0..random.below(200) {
        match random.below(100) {
            0..=24 => start(&mut simulation, random),
            25..=49 if simulation.live() > 0 => {
                simulation.end(random.below(simulation.live() as u64) as usize);
            }
            50..=54 => {
                simulation.flush();
            }
            55 if random.below(4) == 0 => {
                shut_down = true;
                simulation.shutdown(random.millis(3_000));
            }
            56..=58 => simulation.interrupt(),
            59..=79 if simulation.flusher().is_exporting() => simulation.answer(answer(random)),
            80..=89 => advance(&mut simulation, action, random),
            _ => action = poll_twice(&mut simulation),
        }
    }
    while simulation.live() > 0 && random.below(8) > 0 {
        simulation.end(0);
    }
    if !shut_down {
        simulation.shutdown(random.millis(3_000));
    }
    finish(&mut simulation, random);
}

/// Drives as a driver does that obeys, until the end.
fn finish(simulation: &mut Simulation, random: &mut Random) {
    let deadline = simulation.now() + Duration::from_millis(3_000);
    for _ in 0..10_000 {
        match poll_twice(simulation) {
            Action::Finished => {
                assert!(simulation.now() <= deadline, "finished late");
                let settled = simulation.pipeline().ledger();
                while simulation.live() > 0 {
                    assert_eq!(simulation.end(0), None, "a span is queued after the end");
                }
                assert!(!simulation.start(0, Size::Ordinary, 0));
                assert_eq!(simulation.pipeline().ledger().exported(), settled.exported());
                assert_eq!(simulation.pipeline().ledger().in_flight(), 0);
                return;
            }
            Action::Export if random.below(16) > 0 => simulation.answer(answer(random)),
            Action::Export | Action::Yield => {}
            Action::Wait { until } => {
                simulation.advance_to(until.expect("a shutdown has a deadline"));
            }
        }
    }
    panic!("the flusher does not come to an end");
}

fn setup(random: &mut Random) -> Setup {
    let mut retry = Retry::new();
    retry.initial_delay = random.millis(500);
    retry.max_delay = random.millis(1_000);
    retry.max_repetitions = random.below(4) as u32;
    let mut settings = FlusherSettings::new();
    settings.schedule_delay = random.millis(2_000);
    settings.max_export_batch_size = random.below(11) as usize;
    settings.retry = retry;
    let shards = if random.below(2) == 0 { 1 } else { PRODUCERS - random.below(2) as usize };
    Setup { settings, shards, ..Setup::small() }
}

fn start(simulation: &mut Simulation, random: &mut Random) {
    let (size, bytes) = match random.below(40) {
        0 => (Size::TooLargeForRing, 2_300),
        1 | 2 => (Size::TooLargeForBatch, 1_600),
        3 | 4 => (Size::RecordOnly, 8),
        5..=12 => (Size::Ordinary, random.below(900) as usize),
        _ => (Size::Ordinary, random.below(40) as usize),
    };
    simulation.start(random.below(PRODUCERS as u64) as usize, size, bytes);
}

fn answer(random: &mut Random) -> Answer {
    let failure = Failure::Http(503);
    match random.below(20) {
        0..=9 => Ok(Accepted::default()),
        10 | 11 => Ok(Accepted { rejected: random.below(12) }),
        12..=14 => Err(ExportError::Retry { after: None, failure }),
        15 => Err(ExportError::Retry { after: Some(random.millis(3_000)), failure }),
        16 => Err(ExportError::Permanent(Failure::Http(400))),
        _ => Err(ExportError::TooLarge),
    }
}

/// To the time for which the flusher asked, a little before, or after it.
fn advance(simulation: &mut Simulation, action: Action, random: &mut Random) {
    let now = simulation.now();
    let asked = match action {
        Action::Wait { until: Some(until) } => until.max(now),
        _ => now + random.millis(100),
    };
    simulation.advance_to(match random.below(4) {
        0 => now + (asked - now) / 2,
        1 => asked + random.millis(50),
        _ => asked,
    });
}

/// Polls once, and once more at the same moment, which changes nothing.
fn poll_twice(simulation: &mut Simulation) -> Action {
    let action = simulation.poll_until_idle();
    let (ledger, gathered) = (simulation.pipeline().ledger(), simulation.flusher().gathered());
    match (action, simulation.poll()) {
        (Action::Export, Action::Wait { .. }) => {}
        (action, again) => assert_eq!(action, again, "a second poll does something"),
    }
    assert_eq!(simulation.pipeline().ledger(), ledger);
    assert_eq!(simulation.flusher().gathered(), gathered);
    action
}

/// A generator of numbers from a seed: SplitMix64.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator; equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}
