//! A capture, from its pipeline to what was captured.

use core::time::Duration;
use std::sync::{Arc, OnceLock};

use throughline_core::{DropReason, Ledger};
use throughline_propagation::{Standard, preset_global};
use throughline_runtime::{Context, Telemetry, Thread};

use super::{Capture, Captured};
use crate::Memory;
use crate::on_clock::OnClock;

/// A capture under way.
pub(super) struct Running {
    memory: Memory,
    telemetry: Option<Telemetry>,
    /// Spans that may wait.
    room: usize,
}

impl Running {
    pub(super) fn start(capture: Capture) -> Self {
        /// One for all: it only moves finished spans.
        static THREAD: OnceLock<Thread> = OnceLock::new();
        let thread = THREAD.get_or_init(|| Thread::start().expect("a thread for captures"));
        preset_global(Standard);
        let Capture { mut options, clock } = capture;
        if let Some(clock) = clock.clone() {
            options.sampler = Arc::new(OnClock { sampler: options.sampler, clock });
        }
        let memory = Memory::on(clock);
        let telemetry = Telemetry::start(&options, thread.clone(), memory.clone());
        Running { memory, telemetry: Some(telemetry), room: options.max_queue_size }
    }

    /// Nothing of what is current outside.
    pub(super) fn context(&self) -> Context {
        match &self.telemetry {
            Some(telemetry) => Context::empty().with_pipeline(telemetry.pipeline()),
            None => Context::empty(),
        }
    }

    #[track_caller]
    pub(super) fn finish(mut self) -> Captured {
        let telemetry = self.telemetry.take().expect("it is finished once");
        // The thread that drives it is never blocked.
        let receipt = telemetry.shutdown_blocking(DEADLINE);
        let ledger = *receipt.ledger();
        let losses = ledger.losses().map(|(reason, _)| reason);
        let losses: Vec<_> = losses.filter(|reason| !is_no_loss(*reason)).collect();
        if !losses.is_empty() && losses.iter().all(is_want_of_room) {
            let enough = self.enough(&ledger);
            panic!("spans were lost: {receipt}; give the capture `.room_for({enough})`");
        }
        assert!(receipt.is_complete() && losses.is_empty(), "spans were lost: {receipt}");
        Captured {
            spans: self.memory.take(),
            heartbeats: self.memory.heartbeats(),
            live: telemetry.live_spans(),
            ledger,
        }
    }

    /// For how many spans there is to be room, so that as many as these fit, were they all
    /// under way at once, and as large as the largest that arrived.
    fn enough(&self, ledger: &Ledger) -> usize {
        let spans = usize::try_from(ledger.started()).unwrap_or(usize::MAX);
        let units = (self.memory.largest_span() + FRAME).div_ceil(UNIT);
        spans.saturating_mul(units).max(self.room.saturating_mul(2))
    }
}

impl Drop for Running {
    /// The work panicked, or its future was dropped: nobody wants the spans.
    fn drop(&mut self) {
        if let Some(telemetry) = self.telemetry.take() {
            telemetry.shutdown_blocking(Duration::ZERO);
        }
    }
}

/// Whether the sampler or the program meant it so.
fn is_no_loss(reason: DropReason) -> bool {
    use DropReason::{AfterShutdown, RecordOnly, Surplus, TailSampledOut};
    matches!(reason, RecordOnly | Surplus | AfterShutdown | TailSampledOut)
}

/// Whether there would be none with more room.
fn is_want_of_room(reason: &DropReason) -> bool {
    matches!(reason, DropReason::LiveTableFull | DropReason::QueueFull)
}

/// What the queue counts in, and at most beside a span's own bytes.
const UNIT: usize = 512;
const FRAME: usize = 64;

/// A shutdown into memory takes no time to speak of.
const DEADLINE: Duration = Duration::from_secs(60);
