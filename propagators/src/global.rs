//! The propagator of the process.

use core::any::TypeId;
use std::sync::OnceLock;

use throughline_core::w3c::{self, Getter, Setter};
use throughline_core::{Carry, SpanContext};
use throughline_runtime::{Carried, Context};

use crate::composite::Composite;
use crate::propagator::Propagator;
use crate::standard::Standard;

/// The context of a message that came in, by the global propagator.
///
/// It never fails: what is missing or malformed is as if it had not been sent.
/// Spans below go to the current pipeline; nothing else of the current context is
/// in it. A program that was not set up has no propagator, and reads nothing.
pub fn extract(carrier: &(impl Getter + ?Sized)) -> Context {
    let current = Context::current();
    let link = last();
    if link.is_some_and(|link| link.is_standard) && !has_more(carrier) {
        // What nearly every message is: this takes half the time.
        let span = w3c::extract_span_context(carrier).unwrap_or_default();
        return current.below_remote(span, Carried::default());
    }
    let nothing = current.below_remote(SpanContext::INVALID, Carried::default());
    propagator_of(link).extract(nothing, &carrier)
}

/// Whether there is more than `traceparent`.
fn has_more(carrier: &(impl Getter + ?Sized)) -> bool {
    let has = |name| carrier.get_all(name).next().is_some();
    has(w3c::TRACESTATE) || has(w3c::BAGGAGE)
}

/// Writes the context into a message that goes out, by the global propagator.
///
/// It works whether or not the trace is sampled, suppressed, or recorded at all: a
/// context that came in goes on. One without a valid span writes baggage alone.
pub fn inject(context: &Context, carrier: &mut impl Setter) {
    let link = last();
    if link.is_some_and(|link| link.is_standard) && context.carried().is_empty() {
        w3c::inject_span_context(&context.span_context(), carrier);
    } else {
        propagator_of(link).inject(context, carrier);
    }
}

/// The propagator of the process; one that does nothing until a program is set up.
///
/// ([Global propagators](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#global-propagators))
pub fn global() -> &'static dyn Propagator {
    propagator_of(last())
}

/// Makes this the propagator of the process, in place of the former one. With
/// [`Composite::none`] propagation is switched off.
///
/// The former one is not freed, as others may be using it. It is exchanged a few
/// times in the life of a program: each time adds one load to each message.
pub fn set_global(propagator: impl Propagator) {
    let mut new = Link::new(propagator);
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
    FIRST.get().is_none() && FIRST.set(Link::new(propagator)).is_ok()
}

/// A list that only grows: who reads takes no lock, and needs no memory to be
/// reclaimed.
#[derive(Debug)]
struct Link {
    propagator: Box<dyn Propagator>,
    /// Its type is [`Standard`], whose usual case needs no dynamic call.
    is_standard: bool,
    then: OnceLock<Box<Link>>,
}

impl Link {
    fn new<P: Propagator>(propagator: P) -> Box<Self> {
        let is_standard = TypeId::of::<P>() == TypeId::of::<Standard>();
        Box::new(Link { propagator: Box::new(propagator), is_standard, then: OnceLock::new() })
    }
}

/// The link that counts.
fn last() -> Option<&'static Link> {
    let mut last = FIRST.get()?;
    while let Some(next) = last.then.get() {
        last = next;
    }
    Some(last)
}

fn propagator_of(link: Option<&'static Link>) -> &'static dyn Propagator {
    match link {
        Some(link) => &*link.propagator,
        None => &NONE,
    }
}

static FIRST: OnceLock<Box<Link>> = OnceLock::new();

static NONE: Composite = Composite::none();
