//! Exporters that answer as they are told to.

use core::future::{Future, pending, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;
use throughline::{Exporter, Runtime, SpanId};
use throughline_core::{Accepted, Batch, ExportError, Failure, SpanExporter};

/// What an exporter does with every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Never answers.
    Hangs,
    /// Asks to try again.
    AsksToRetry,
    /// Fails for good.
    Fails,
    /// Panics when it is given a batch.
    PanicsAtOnce,
    /// Panics while it sends.
    PanicsWhileSending,
}

/// An exporter that follows a script.
#[derive(Clone, Copy, Debug)]
pub struct Scripted(pub Script);

type Sending = Pin<Box<dyn Future<Output = Result<Accepted, ExportError>> + Send>>;

impl<R: Runtime> Exporter<R> for Scripted {
    type Connection = Scripted;

    fn connect(&self, _: &R) -> Scripted {
        *self
    }
}

impl SpanExporter for Scripted {
    type Sending = Sending;

    fn export(&mut self, _: &Batch<'_>) -> Sending {
        match self.0 {
            Script::Hangs => Box::pin(pending()),
            Script::AsksToRetry => Box::pin(ready(Err(ExportError::Retry {
                after: None,
                failure: Failure::Http(503),
            }))),
            Script::Fails => Box::pin(ready(Err(ExportError::Permanent(Failure::Http(400))))),
            Script::PanicsAtOnce => panic!("an exporter panics at once, as the test wants"),
            Script::PanicsWhileSending => {
                Box::pin(async { panic!("an exporter panics, as the test wants") })
            }
        }
    }
}

/// An exporter that hangs until it is told to answer. Clones share that.
#[derive(Clone, Debug, Default)]
pub struct Switched {
    answers: Arc<AtomicBool>,
}

impl Switched {
    /// Later transmissions arrive at once.
    pub fn answer_from_now_on(&self) {
        // Ordering: Relaxed, no value is read through it.
        self.answers.store(true, Ordering::Relaxed);
    }
}

impl<R: Runtime> Exporter<R> for Switched {
    type Connection = Switched;

    fn connect(&self, _: &R) -> Switched {
        self.clone()
    }
}

impl SpanExporter for Switched {
    type Sending = Sending;

    fn export(&mut self, _: &Batch<'_>) -> Sending {
        // Ordering: Relaxed, no value is read through it.
        if self.answers.load(Ordering::Relaxed) {
            Box::pin(ready(Ok(Accepted::default())))
        } else {
            Box::pin(pending())
        }
    }
}

/// An exporter whose first transmission waits at a gate; all others arrive at
/// once. Clones share it.
#[derive(Clone, Debug)]
pub struct Gated {
    gate: Arc<Mutex<Option<oneshot::Receiver<()>>>>,
    delivered: Arc<Mutex<Vec<SpanId>>>,
}

impl Gated {
    /// The exporter, and what opens its gate.
    pub fn new() -> (Self, oneshot::Sender<()>) {
        let (open, gate) = oneshot::channel();
        (Gated { gate: Arc::new(Mutex::new(Some(gate))), delivered: Arc::default() }, open)
    }

    /// The spans that arrived, in their order.
    pub fn delivered(&self) -> Vec<SpanId> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a transmission has come to the gate.
    pub fn is_reached(&self) -> bool {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl<R: Runtime> Exporter<R> for Gated {
    type Connection = Gated;

    fn connect(&self, _: &R) -> Gated {
        self.clone()
    }
}

impl SpanExporter for Gated {
    type Sending = Sending;

    fn export(&mut self, batch: &Batch<'_>) -> Sending {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).take();
        let spans: Vec<SpanId> = batch.spans().map(|(_, span)| span.span_id()).collect();
        let delivered = self.delivered.clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                let _ = gate.await;
            }
            delivered.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
            Ok(Accepted::default())
        })
    }
}
