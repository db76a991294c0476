//! The task that sends: it drives the flusher, and tells what was lost.

use core::cell::Cell;
use core::time::Duration;

use throughline_core::{Action, Callsite, Pipeline, Span};

use crate::memory::{self, BoardFlusher};
use crate::port::Board;
use crate::{SCOPE, board, executor, port};

static LEDGER: Callsite = Callsite::new("ledger", &SCOPE);

/// The pipeline and its flusher.
#[derive(Debug)]
pub struct Telemetry {
    pipeline: &'static Pipeline,
    flusher: BoardFlusher,
    told: u64,
}

impl Telemetry {
    /// Makes and installs the pipeline; `None` the second time.
    pub fn start() -> Option<Self> {
        let (pipeline, flusher) = memory::take()?;
        port::install(pipeline);
        Some(Telemetry { pipeline, flusher, told: 0 })
    }

    /// Sends what ends, until `is_over`; then what is left.
    pub async fn run(mut self, is_over: &Cell<bool>) {
        let mut is_closing = false;
        loop {
            if is_over.get() && !is_closing {
                is_closing = true;
                self.tell();
                self.flusher.shutdown(board::now() + Duration::from_secs(5));
            }
            match self.flusher.poll(board::now(), port::unix_nanos) {
                Action::Export => {
                    let result = port::send(&self.flusher.batch());
                    self.flusher.on_export(board::now(), result);
                    if self.pipeline.ledger().dropped_total() > self.told && !is_closing {
                        self.tell();
                    }
                }
                // A poll too many does nothing, so each interrupt is one.
                Action::Wait { .. } | Action::Yield => executor::next_turn().await,
                Action::Finished => return,
            }
        }
    }

    /// Puts the ledger into the next batch, as a span. The numbers are totals,
    /// so that the loss of one report is made good by the next.
    fn tell(&mut self) {
        let ledger = self.pipeline.ledger();
        self.told = ledger.dropped_total();
        Span::<Board>::start(&LEDGER, |span| {
            span.set_attribute("started", ledger.started());
            span.set_attribute("exported", ledger.exported());
            for (reason, spans) in ledger.losses() {
                span.set_attribute(reason.as_str(), spans);
            }
        })
        .end();
    }
}
