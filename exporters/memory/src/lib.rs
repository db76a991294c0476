//! Finished spans in memory, for tests.
//!
//! ```text
//!   capture(work) ── a pipeline of its own ──▶ Captured ─┐
//!                                                        ├▶ spans(), tree(), assert_tree()
//!   any pipeline ─────────── batch ──────────▶ Memory   ─┘
//! ```
//!
//! [`capture`] is for tests of programs that make spans, with a [`VirtualClock`] and
//! seeded ids if need be; [`Memory`] is an exporter like any other.
//!
//! The whole trace is asserted at once, as an indented tree of names; when it
//! differs, the message is the bug report.

#![forbid(unsafe_code)]

mod capture;
mod captured;
mod clock;
mod on_clock;
mod tree;
mod value;

use core::future::{Ready, ready};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use throughline_core::{Accepted, Batch, ExportError, HEARTBEAT_ATTRIBUTE, SpanExporter};
use throughline_runtime::{Exporter, Runtime};

pub use capture::{Capture, Captured, capture, capture_async};
pub use captured::{CapturedEvent, CapturedLink, CapturedSpan};
pub use clock::VirtualClock;
pub use value::CapturedValue;

/// An exporter that keeps what it is given. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    spans: Arc<Mutex<Vec<CapturedSpan>>>,
    heartbeats: Arc<Mutex<Vec<CapturedSpan>>>,
    clock: Option<VirtualClock>,
    /// The most bytes of a span so far.
    largest: Arc<AtomicUsize>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn on(clock: Option<VirtualClock>) -> Self {
        Memory { clock, ..Self::default() }
    }

    /// The spans so far, in the order in which they ended.
    pub fn spans(&self) -> Vec<CapturedSpan> {
        self.lock().clone()
    }

    /// The spans so far, which are then forgotten.
    pub fn take(&self) -> Vec<CapturedSpan> {
        core::mem::take(&mut self.lock())
    }

    /// The records of spans that still ran, in the order in which they came. They
    /// are in nothing else here.
    pub fn heartbeats(&self) -> Vec<CapturedSpan> {
        self.heartbeats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first span of this name.
    ///
    /// # Panics
    ///
    /// If there is none; the message shows what there is.
    #[track_caller]
    pub fn span(&self, name: &str) -> CapturedSpan {
        tree::find(&self.spans(), name).clone()
    }

    /// All traces as an indented tree of names, children in the order of their
    /// starts, with how a span ended or failed behind its name.
    pub fn tree(&self) -> String {
        tree::render(&self.lock())
    }

    /// Asserts the whole of [`tree`](Self::tree). Common indentation, and blank
    /// lines at both ends, are ignored.
    ///
    /// # Panics
    ///
    /// If the tree differs; the message shows both, line by line.
    #[track_caller]
    pub fn assert_tree(&self, expected: &str) {
        tree::assert_same(expected, &self.tree(), String::new);
    }

    pub(crate) fn largest_span(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<CapturedSpan>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Exporter<R> for Memory {
    type Connection = Memory;

    fn connect(&self, _: &R) -> Memory {
        self.clone()
    }
}

impl SpanExporter for Memory {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending {
        for (scope, span) in batch.spans() {
            let is_heartbeat = span.attribute(HEARTBEAT_ATTRIBUTE).is_some();
            let kept = if is_heartbeat { &self.heartbeats } else { &self.spans };
            self.largest.fetch_max(span.as_bytes().len(), Ordering::Relaxed);
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(CapturedSpan::new(scope, &span, self.clock.as_ref()));
        }
        ready(Ok(Accepted::default()))
    }
}
