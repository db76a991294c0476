//! What a program gives as processors, as core calls them: apart from each other, and from
//! the program.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use throughline_core::{EndedSpan, Pipeline, Processors, SpanProcessor, StartedSpan};

use crate::{Context, Diagnostic, Diagnostics, PipelineOptions, anchor};

/// The pipeline, whose spans the processors of the options see.
pub(crate) fn with_processors(pipeline: Pipeline, options: &PipelineOptions) -> Pipeline {
    if options.processors.is_empty() {
        return pipeline;
    }
    let list = options.processors.iter().map(|processor| -> &'static dyn SpanProcessor {
        Box::leak(Box::new(Apart {
            processor: processor.clone(),
            diagnostics: options.diagnostics.clone(),
            has_panicked: AtomicBool::new(false),
        }))
    });
    let clock = options.clock;
    let unix_nanos = move |ticks| match clock {
        Some(clock) => clock.anchor().unix_nanos(ticks),
        None => anchor::unix_nanos(ticks),
    };
    let processors = Processors {
        list: list.collect::<Vec<_>>().leak(),
        unix_nanos: Box::leak(Box::new(unix_nanos)),
    };
    pipeline.with_processors(Box::leak(Box::new(processors)))
}

/// A processor whose panics end here, and whose own spans are none.
struct Apart {
    processor: Arc<dyn SpanProcessor + Send + Sync>,
    diagnostics: Diagnostics,
    has_panicked: AtomicBool,
}

impl Apart {
    fn run(&self, call: impl FnOnce(&dyn SpanProcessor)) {
        let context = Context::empty().suppressed();
        let call = || context.scope(|| call(&*self.processor));
        let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(call)) else { return };
        // Ordering: Relaxed, no value is read through it.
        if !self.has_panicked.swap(true, Ordering::Relaxed) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            self.diagnostics.say(&Diagnostic::ProcessorPanicked {
                processor: self.processor.name().to_owned(),
                problem: text.unwrap_or("a panic without a text").to_owned(),
            });
        }
        // What was thrown may throw when it is dropped.
        core::mem::forget(panic);
    }
}

impl SpanProcessor for Apart {
    fn on_start(&self, span: &mut StartedSpan<'_>) {
        self.run(|processor| processor.on_start(span));
    }

    fn on_end(&self, span: &EndedSpan<'_>) {
        self.run(|processor| processor.on_end(span));
    }

    fn name(&self) -> &str {
        self.processor.name()
    }
}
