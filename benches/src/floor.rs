//! What no tracing system can undercut.

use std::hint::black_box;
use std::pin::pin;

use quanta::Clock;

use crate::figures::FLOOR;
use crate::future::{self, Never};
use crate::scenario::Scenario;
use crate::spawning;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::System;

/// Two reads of the processor's counter and the copy of a record of 64 bytes; for
/// what is in a span, the work itself.
pub(crate) struct Floor {
    clock: Clock,
    lines: Vec<[u64; 8]>,
    next: usize,
}

impl Floor {
    pub(crate) fn new() -> Self {
        Floor { clock: Clock::new(), lines: vec![[0; 8]; 4096], next: 0 }
    }

    #[inline(always)]
    fn record(&mut self) {
        let mut record = [7; 8];
        record[0] = self.clock.raw();
        record[1] = self.clock.raw();
        self.next = (self.next + 1) % self.lines.len();
        self.lines[self.next] = black_box(record);
    }
}

impl System for Floor {
    fn name(&self) -> &'static str {
        FLOOR
    }

    fn run(&mut self, scenario: Scenario, operations: u32, watch: &mut Stopwatch) -> bool {
        match scenario {
            Scenario::Floor => watch.time(|| repeat(operations, || self.record())),
            Scenario::Clock => {
                watch.time(|| repeat(operations, || (self.clock.raw(), self.clock.raw())));
            }
            Scenario::Awaits | Scenario::AwaitsChildren => spawning::on_tokio(watch, async {
                for _ in 0..operations {
                    future::awaits().await;
                }
            }),
            Scenario::SpawnTokio | Scenario::SpawnSmol | Scenario::SpawnAsyncStd => {
                spawning::spawn(scenario, operations, watch, |task| task);
            }
            Scenario::Poll => watch.time(|| future::poll(operations, pin!(Never))),
            _ => return false,
        }
        true
    }
}
