//! The propagator of the process.

use std::sync::OnceLock;

use throughline_core::w3c::{Getter, Setter};
use throughline_runtime::Context;

use crate::composite::Composite;
use crate::propagator::Propagator;

/// The context of a message that came in, by the global propagator.
///
/// It never fails: what is missing or malformed is as if it had not been sent.
/// Spans below go to the current pipeline; nothing else of the current context is
/// in it. A program that was not set up has no propagator, and reads nothing.
pub fn extract(carrier: &(impl Getter + ?Sized)) -> Context {
    let current = Context::current();
    let mut context = Context::empty();
    if let Some(pipeline) = current.pipeline() {
        context = context.with_pipeline(pipeline);
    }
    if current.is_suppressed() {
        context = context.suppressed();
    }
    global().extract(context, &carrier)
}

/// Writes the context into a message that goes out, by the global propagator.
///
/// It works whether or not the trace is sampled, suppressed, or recorded at all: a
/// context that came in goes on. One without a valid span writes baggage alone.
pub fn inject(context: &Context, carrier: &mut impl Setter) {
    global().inject(context, carrier);
}

/// The propagator of the process; one that does nothing until a program is set up.
///
/// ([Global propagators](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#global-propagators))
pub fn global() -> &'static dyn Propagator {
    let mut current: &'static dyn Propagator = &NONE;
    let mut link = &FIRST;
    while let Some(next) = link.get() {
        current = &*next.propagator;
        link = &next.then;
    }
    current
}

/// Makes this the propagator of the process, in place of the former one. With
/// [`Composite::none`] propagation is switched off.
///
/// The former one is not freed, as others may be using it. It is exchanged a few
/// times in the life of a program: each time adds one load to each message.
pub fn set_global(propagator: impl Propagator) {
    let mut new = Box::new(Link { propagator: Box::new(propagator), then: OnceLock::new() });
    let mut link = &FIRST;
    loop {
        match link.set(new) {
            Ok(()) => return,
            Err(back) => new = back,
        }
        if let Some(next) = link.get() {
            link = &next.then;
        }
    }
}

/// Makes this the propagator of the process if nobody has chosen one: what a set-up
/// does. Returns whether it did.
pub fn preset_global(propagator: impl Propagator) -> bool {
    FIRST.set(Box::new(Link { propagator: Box::new(propagator), then: OnceLock::new() })).is_ok()
}

/// A list that only grows: who reads takes no lock, and needs no memory to be
/// reclaimed.
#[derive(Debug)]
struct Link {
    propagator: Box<dyn Propagator>,
    then: OnceLock<Box<Link>>,
}

static FIRST: OnceLock<Box<Link>> = OnceLock::new();

static NONE: Composite = Composite::none();
