//! What a sampler adds to a span.

use core::fmt;

use crate::Value;
use crate::w3c::TraceStateBuf;

/// What a sampler adds to a span besides its decision.
pub struct Additions<'a> {
    add: &'a mut dyn FnMut(Addition<'_>),
}

/// One thing that a sampler adds.
#[derive(Clone, Copy, Debug)]
pub enum Addition<'a> {
    /// An attribute of the span, instead of a former one with the same key.
    Attribute(&'a str, &'a Value<'a>),
    /// The trace state of the span and all below, instead of the parent's.
    TraceState(&'a TraceStateBuf),
}

impl<'a> Additions<'a> {
    /// Hands what is added to this closure.
    pub fn new(add: &'a mut dyn FnMut(Addition<'_>)) -> Self {
        Additions { add }
    }

    /// Sets an attribute of the span, if it is recorded.
    pub fn set_attribute<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        (self.add)(Addition::Attribute(key, &value.into()));
    }

    /// Sets the trace state of the span and all below, recorded or not.
    pub fn set_trace_state(&mut self, trace_state: &TraceStateBuf) {
        (self.add)(Addition::TraceState(trace_state));
    }
}

impl fmt::Debug for Additions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Additions").finish_non_exhaustive()
    }
}
