//! What a program gives as processors, as core calls them: apart from each other, and from
//! the program.

mod report;
mod rounds;

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

pub use report::ProcessorReport;
pub(crate) use rounds::{Call, Rounds};
use throughline_core::{
    EndedSpan, EndingSpan, Pipeline, ProcessorError, Processors, SpanProcessor, StartedSpan,
};

use crate::{Context, Diagnostic, Diagnostics, PipelineOptions, anchor, panics};

/// The pipeline, whose spans the processors of the options see, and what flushes them.
pub(crate) fn with_processors(
    pipeline: Pipeline,
    options: &PipelineOptions,
) -> (Pipeline, Option<&'static Rounds>) {
    if options.processors.is_empty() {
        return (pipeline, None);
    }
    let apart = |processor: &Arc<dyn SpanProcessor + Send + Sync>| Apart {
        name: name_of(&**processor),
        processor: processor.clone(),
        diagnostics: options.diagnostics.clone(),
        has_panicked: AtomicBool::new(false),
        has_failed: AtomicBool::new(false),
        is_shut_down: RwLock::new(false),
    };
    let apart: &'static [Apart] = options.processors.iter().map(apart).collect::<Vec<_>>().leak();
    let list = apart.iter().map(|each| -> &'static dyn SpanProcessor { each });
    let list: &'static [_] = list.collect::<Vec<_>>().leak();
    let clock = options.clock;
    let unix_nanos = move |ticks| match clock {
        Some(clock) => clock.anchor().unix_nanos(ticks),
        None => anchor::unix_nanos(ticks),
    };
    let processors = Processors { list, unix_nanos: Box::leak(Box::new(unix_nanos)) };
    let pipeline = pipeline.with_processors(Box::leak(Box::new(processors)));
    (pipeline, Some(Box::leak(Box::new(Rounds::new(list)))))
}

/// A processor whose panics end here, and whose own spans are none.
struct Apart {
    name: String,
    processor: Arc<dyn SpanProcessor + Send + Sync>,
    diagnostics: Diagnostics,
    has_panicked: AtomicBool,
    /// Whether the last flush failed.
    has_failed: AtomicBool,
    /// Held shared while it is called about a span.
    is_shut_down: RwLock<bool>,
}

impl Apart {
    /// Calls it about a span, unless it is shut down.
    fn see(&self, call: impl FnOnce(&dyn SpanProcessor)) {
        // It waits for nobody, and fails while a shutdown waits for those who have it.
        let Ok(is_shut_down) = self.is_shut_down.try_read() else { return };
        if *is_shut_down {
            return;
        }
        let context = Context::empty().suppressed();
        let call = || context.scope(|| call(&*self.processor));
        let _ = self.told(catch_unwind(AssertUnwindSafe(call)));
    }

    /// Has it pass on what it holds back.
    fn pass_on(
        &self,
        call: impl FnOnce(&dyn SpanProcessor) -> Result<(), ProcessorError>,
    ) -> Result<(), ProcessorError> {
        let context = Context::empty().suppressed();
        let call = || context.scope(|| call(&*self.processor));
        let result = self.told(catch_unwind(AssertUnwindSafe(call)));
        let result = result.unwrap_or(Err(ProcessorError::Panicked));
        let error = match result {
            // Whoever waits knows of the first, and of the second all have been told.
            Ok(()) | Err(ProcessorError::Timeout | ProcessorError::Panicked) => None,
            Err(error) => Some(error),
        };
        // Ordering: Relaxed, no value is read through it.
        let had_failed = self.has_failed.swap(error.is_some(), Ordering::Relaxed);
        if let Some(error) = error.filter(|_| !had_failed) {
            let processor = self.name.clone();
            self.diagnostics.say(&Diagnostic::ProcessorFailed { processor, error });
        }
        result
    }

    /// What it returned. That it panicked is told once.
    fn told<T>(&self, result: std::thread::Result<T>) -> Option<T> {
        let panic = match result {
            Ok(returned) => return Some(returned),
            Err(panic) => panic,
        };
        // Ordering: Relaxed, no value is read through it.
        if !self.has_panicked.swap(true, Ordering::Relaxed) {
            self.diagnostics.say(&Diagnostic::ProcessorPanicked {
                processor: self.name.clone(),
                problem: panics::text(&*panic).to_owned(),
            });
        }
        // What was thrown may throw when it is dropped.
        core::mem::forget(panic);
        None
    }
}

impl SpanProcessor for Apart {
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        self.see(|processor| processor.on_start(span));
    }

    fn on_ending(&self, span: &mut EndingSpan<'_>) {
        self.see(|processor| processor.on_ending(span));
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        self.see(|processor| processor.on_end(span));
    }

    fn force_flush(&self, within: Duration) -> Result<(), ProcessorError> {
        // Not held while the processor works: a shutdown does not wait for a flush that is late.
        if *self.is_shut_down.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        self.pass_on(|processor| processor.force_flush(within))
    }

    fn shutdown(&self, within: Duration) -> Result<(), ProcessorError> {
        let began = Instant::now();
        let mut is_shut_down = self.is_shut_down.write().unwrap_or_else(PoisonError::into_inner);
        if core::mem::replace(&mut *is_shut_down, true) {
            return Ok(());
        }
        drop(is_shut_down);
        let left = within.saturating_sub(began.elapsed());
        self.pass_on(|processor| processor.shutdown(left))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Asked once: it is the program's code, and may panic.
fn name_of(processor: &dyn SpanProcessor) -> String {
    let name = || processor.name().to_owned();
    catch_unwind(AssertUnwindSafe(name)).unwrap_or_else(|panic| {
        // What was thrown may throw when it is dropped.
        core::mem::forget(panic);
        "a processor whose name panics".to_owned()
    })
}
