//! `#[trace]`: what it records, and that a function stays the function it was.

#[path = "trace_macro/bodies.rs"]
mod bodies;
#[path = "trace_macro/fields.rs"]
mod fields;
#[path = "trace_macro/hygiene.rs"]
mod hygiene;
#[path = "trace_macro/names.rs"]
mod names;
#[path = "trace_macro/outcomes.rs"]
mod outcomes;
#[path = "trace_macro/returned.rs"]
mod returned;
#[path = "trace_macro/signatures.rs"]
mod signatures;

use core::fmt::Display;
use core::future::{Ready, ready};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use throughline::exporters::Memory;
use throughline::{Exporter, Runtime, Thread, builder};
use throughline_core::{Accepted, Batch, ExportError, SpanExporter};

/// Runs the work in a pipeline of its own, and returns what it exported.
fn traced(work: impl FnOnce()) -> Memory {
    let memory = Memory::new();
    let telemetry = builder().poll_profile(false).start(Thread::start().unwrap(), memory.clone());
    telemetry.context().scope(work);
    let receipt = telemetry.shutdown_blocking(Duration::from_secs(10));
    assert!(receipt.is_complete(), "{receipt}");
    memory
}

/// Keys and values of the only span, with the kinds of the values.
fn attributes(work: impl FnOnce()) -> Vec<String> {
    let kinds = Kinds::default();
    let telemetry = builder().poll_profile(false).start(Thread::start().unwrap(), kinds.clone());
    telemetry.context().scope(work);
    telemetry.shutdown_blocking(Duration::from_secs(10));
    let mut spans = core::mem::take(&mut *kinds.0.lock().unwrap());
    assert_eq!(spans.len(), 1);
    spans.remove(0)
}

/// An exporter that keeps what kinds the values have.
#[derive(Clone, Default)]
struct Kinds(Arc<Mutex<Vec<Vec<String>>>>);

impl<R: Runtime> Exporter<R> for Kinds {
    type Connection = Kinds;

    fn connect(&self, _: &R) -> Kinds {
        self.clone()
    }
}

impl SpanExporter for Kinds {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending {
        self.0.lock().unwrap().extend(batch.spans().map(|(_, span)| {
            span.attributes().map(|(key, value)| format!("{key} = {value:?}")).collect()
        }));
        ready(Ok(Accepted::default()))
    }
}

/// An error that is not its `Debug`.
#[derive(Debug, PartialEq)]
struct Failure(&'static str);

impl Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "failed: {}", self.0)
    }
}

/// A call that may fail.
fn check(ok: bool) -> Result<u64, Failure> {
    if ok { Ok(7) } else { Err(Failure("checked")) }
}
