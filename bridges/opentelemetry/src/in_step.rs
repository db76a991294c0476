//! What is current, in both APIs: the order of both is OpenTelemetry's stack.
//!
//! ```text
//!   OpenTelemetry's stack                    what is noted here
//!   ┌───────────────────────────┐
//!   │ attached by a library     │ ◀─ current: not the counterpart, so it is newer
//!   ├───────────────────────────┤
//!   │ counterpart of our scope  │ ◀────────── guard, mark
//!   ├───────────────────────────┤
//!   │ attached by a library     │
//!   ├───────────────────────────┤
//!   │ counterpart of our future │ ◀────────── guard, mark
//!   └───────────────────────────┘
//! ```

use core::cell::RefCell;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use opentelemetry::{Context as Theirs, ContextGuard};
use throughline_core::{Bridge, Pipeline};
use throughline_runtime::{Baggage, Context, Std, set_bridge};

use crate::contexts::{self, Around};

/// Keeps both in step from now on. Whether that is done by this crate: another bridge may
/// have come first.
pub(crate) fn begin() -> bool {
    static BRIDGE: InStep = InStep { _place: 0 };
    match set_bridge(&BRIDGE) {
        Ok(()) => true,
        Err(there) => core::ptr::addr_eq(there, &BRIDGE),
    }
}

struct InStep {
    /// So that its address is its own.
    _place: u8,
}

/// A counterpart that is attached to their stack.
struct Attached {
    /// There is none if it could not be attached: then nobody else can attach
    /// anything either before it is left, and it is the innermost.
    guard: Option<ContextGuard>,
    mark: Mark,
    pipeline: Option<&'static Pipeline>,
    /// What theirs is made from: it has names that theirs cannot have.
    baggage: Baggage,
}

/// By what a context of theirs is known again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    trace: TraceId,
    span: SpanId,
    /// The address of its baggage, which stays while the context is attached.
    baggage: usize,
    is_suppressed: bool,
}

/// What this thread has attached.
#[derive(Default)]
struct Noted {
    entered: Vec<Attached>,
    ambient: Option<Attached>,
}

thread_local! {
    // Their thread-local value is made first, so it is dropped after this one: where
    // this is still there, theirs is.
    static NOTED: RefCell<Noted> = {
        Theirs::map_current(|_| ());
        RefCell::default()
    };
}

impl Bridge<Std> for InStep {
    fn enter(&self, context: Context, is_recording: bool) -> usize {
        // A thread that ends has neither stack any more.
        let Ok(depth) = NOTED.try_with(|noted| noted.borrow().entered.len()) else { return 0 };
        let attached = Attached::new(&context, is_recording);
        let _ = NOTED.try_with(|noted| noted.borrow_mut().entered.push(attached));
        depth
    }

    fn leave(&self, depth: usize) {
        // What is dropped with a context is foreign code: not under the borrow.
        let pop = |noted: &RefCell<Noted>| {
            let mut noted = noted.borrow_mut();
            if noted.entered.len() > depth { noted.entered.pop() } else { None }
        };
        while let Ok(Some(left)) = NOTED.try_with(pop) {
            drop(left);
        }
    }

    fn replace_ambient(&self, ambient: Option<&Context>) {
        let take = |noted: &RefCell<Noted>| {
            let mut noted = noted.borrow_mut();
            // What is entered hides it.
            let is_hidden = !noted.entered.is_empty();
            (is_hidden, if is_hidden { None } else { noted.ambient.take() })
        };
        let Ok((is_hidden, former)) = NOTED.try_with(take) else { return };
        drop(former);
        if let Some(ambient) = ambient.filter(|ambient| !is_hidden && !ambient.is_empty()) {
            let attached = Attached::new(ambient, false);
            let _ = NOTED.try_with(|noted| noted.borrow_mut().ambient = Some(attached));
        }
    }

    fn current(&self) -> Option<Context> {
        let noted = NOTED.try_with(|noted| {
            let noted = noted.borrow();
            let top = noted.entered.last().or(noted.ambient.as_ref());
            top.map(|top| (top.guard.is_some(), top.mark, top.pipeline, top.baggage.clone()))
        });
        let noted = noted.ok()?;
        Theirs::map_current(|theirs| match noted {
            None if is_plain(theirs) => None,
            None => Some(contexts::to_ours(theirs, Around::default())),
            Some((false, ..)) => None,
            Some((_, mark, ..)) if mark == Mark::of(theirs) => None,
            Some((_, mark, pipeline, baggage)) => {
                let is_same = mark.baggage == Mark::of(theirs).baggage;
                let baggage = is_same.then_some(baggage);
                Some(contexts::to_ours(theirs, Around { pipeline, baggage }))
            }
        })
    }
}

impl Attached {
    fn new(context: &Context, is_recording: bool) -> Self {
        let theirs = Theirs::map_current(|base| contexts::to_theirs(context, is_recording, base));
        let mark = Mark::of(&theirs);
        // It panics while somebody borrows their current context, which nothing tells
        // beforehand.
        let guard = catch_unwind(AssertUnwindSafe(|| theirs.attach())).ok();
        // Their stack has a limit, beyond which it stays as it is.
        let guard = guard.filter(|_| Theirs::map_current(Mark::of) == mark);
        Attached { guard, mark, pipeline: context.pipeline(), baggage: Baggage::of(context) }
    }
}

impl Mark {
    fn of(theirs: &Theirs) -> Self {
        let span = theirs.span();
        let span = span.span_context();
        Mark {
            trace: span.trace_id(),
            span: span.span_id(),
            baggage: core::ptr::from_ref(theirs.baggage()).addr(),
            is_suppressed: theirs.is_telemetry_suppressed(),
        }
    }
}

/// Whether it says nothing about spans below it.
fn is_plain(theirs: &Theirs) -> bool {
    let has_span = theirs.span().span_context().is_valid();
    !has_span && theirs.baggage().is_empty() && !theirs.is_telemetry_suppressed()
}
