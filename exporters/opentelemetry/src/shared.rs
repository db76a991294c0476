//! The exporter itself, which all connections share.
//!
//! ```text
//!   Fresh ──── resource is set, at the first batch ───▶ Ready ──▶ shut down
//!     └────────────── set_resource panics ────────────▶ Broken
//! ```

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanExporter as Theirs;
use throughline_core::{ExportError, Failure};
use throughline_runtime::remark;

pub(crate) struct Shared<E> {
    stage: Mutex<Stage<E>>,
    /// The transmission under way: at most one, whoever drives.
    pub(crate) under_way: Mutex<UnderWay>,
    last_error: Mutex<Option<String>>,
    is_shut_down: AtomicBool,
}

enum Stage<E> {
    Fresh(E),
    Ready(Arc<E>),
    Broken,
}

#[derive(Default)]
pub(crate) struct UnderWay {
    /// Which transmission it is.
    pub(crate) turn: u64,
    pub(crate) export: Option<Pin<Box<dyn Future<Output = OTelSdkResult> + Send>>>,
}

impl<E: Theirs + 'static> Shared<E> {
    pub(crate) fn new(exporter: E) -> Self {
        Shared {
            stage: Mutex::new(Stage::Fresh(exporter)),
            under_way: Mutex::default(),
            last_error: Mutex::default(),
            is_shut_down: AtomicBool::new(false),
        }
    }

    /// The exporter, which knows the resource.
    pub(crate) fn ready(&self, resource: impl FnOnce() -> Resource) -> Result<Arc<E>, ExportError> {
        let mut stage = lock(&self.stage);
        let exporter = match core::mem::replace(&mut *stage, Stage::Broken) {
            Stage::Fresh(mut exporter) => {
                let set = AssertUnwindSafe(|| exporter.set_resource(&resource()));
                // What it left half done is not used.
                catch_unwind(set).map_err(|_| PANICKED)?;
                Arc::new(exporter)
            }
            Stage::Ready(exporter) => exporter,
            Stage::Broken => return Err(PANICKED),
        };
        *stage = Stage::Ready(exporter.clone());
        Ok(exporter)
    }

    pub(crate) fn force_flush(&self) -> Result<(), ExportError> {
        let exporter = match &*lock(&self.stage) {
            Stage::Ready(exporter) => exporter.clone(),
            // It holds nothing back.
            Stage::Fresh(_) | Stage::Broken => return Ok(()),
        };
        self.outcome(exporter.force_flush(), false)
    }

    pub(crate) fn shutdown(&self) -> Result<(), ExportError> {
        // Ordering: Relaxed, no value is read through it.
        if self.is_shut_down.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        // Nothing comes any more for which a resource would matter.
        let exporter = self.ready(|| Resource::builder_empty().build())?;
        // By default it is the one with a timeout, and some exporters have this one only.
        match exporter.shutdown() {
            Err(OTelSdkError::AlreadyShutdown) => Ok(()),
            result => self.outcome(result, false),
        }
    }

    /// What a result of the SDK is to the flusher.
    pub(crate) fn outcome(&self, result: OTelSdkResult, retries: bool) -> Result<(), ExportError> {
        let Err(error) = result else { return Ok(()) };
        let (failure, is_final) = match &error {
            OTelSdkError::AlreadyShutdown => (Failure::Shutdown, true),
            OTelSdkError::Timeout(_) => (Failure::Timeout, false),
            OTelSdkError::InternalFailure(_) => (Failure::Exporter, false),
        };
        let text = error.to_string();
        remark(&text);
        *lock(&self.last_error) = Some(text);
        Err(if is_final || !retries {
            ExportError::Permanent(failure)
        } else {
            ExportError::Retry { after: None, failure }
        })
    }
}

impl<E> Shared<E> {
    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) const PANICKED: ExportError = ExportError::Permanent(Failure::Panicked);
