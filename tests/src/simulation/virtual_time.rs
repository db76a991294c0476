//! The platform of a simulation: a clock that is a number, and producers that
//! take turns on one thread.

use core::cell::Cell;

use throughline_core::{Local, Pipeline, Platform, Seed};
use throughline_runtime::Carried;

/// The platform of simulations. It is never instantiated.
///
/// A tick is a nanosecond. Each test thread has its own time.
#[derive(Debug)]
pub enum Virtual {}

/// How many threads a simulation pretends to have.
pub const PRODUCERS: usize = 3;

impl Virtual {
    /// Sets the clock of this thread.
    pub fn set_ticks(ticks: u64) {
        TICKS.set(ticks);
    }

    /// What follows happens on this pretended thread.
    pub fn be_producer(producer: usize) {
        PRODUCER.set(producer % PRODUCERS);
    }

    /// The Unix time of a tick, in nanoseconds.
    pub fn unix_nanos(ticks: u64) -> u64 {
        EPOCH + ticks
    }
}

impl Platform for Virtual {
    type Carried = Carried;

    fn ticks() -> u64 {
        TICKS.get()
    }

    fn with_local<R>(use_it: impl FnOnce(&Local<Self>) -> R) -> R {
        LOCALS.with(|locals| use_it(&locals[PRODUCER.get()]))
    }

    fn seed() -> Seed {
        let shard = PRODUCER.get();
        Seed { ids: 0x9e37_79b9 * (shard as u64 + 1), shard }
    }

    fn default_pipeline() -> Option<&'static Pipeline> {
        None
    }

    fn is_panicking() -> bool {
        std::thread::panicking()
    }
}

thread_local! {
    static TICKS: Cell<u64> = const { Cell::new(0) };
    static PRODUCER: Cell<usize> = const { Cell::new(0) };
    static LOCALS: [Local<Virtual>; PRODUCERS] =
        const { [const { Local::new() }; PRODUCERS] };
}

/// 2020-01-01.
const EPOCH: u64 = 1_577_836_800_000_000_000;
