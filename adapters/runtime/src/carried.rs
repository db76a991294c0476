//! What a context carries besides ids, on programs with an allocator.

use std::sync::Arc;

use throughline_core::Carry;
use throughline_core::w3c::{Baggage, BaggageBuf, TraceState, TraceStateBuf};

/// The trace state and the baggage of a context, shared by all contexts below.
///
/// Most contexts carry neither, and then nothing is counted or allocated.
#[derive(Clone, Debug, Default)]
pub struct Carried(Option<Arc<Content>>);

#[derive(Debug)]
struct Content {
    trace_state: TraceStateBuf,
    /// The header's text.
    baggage: Box<str>,
}

impl Carried {
    /// Carries these; nothing is allocated when both are empty.
    pub fn new(trace_state: TraceStateBuf, baggage: &BaggageBuf) -> Self {
        if trace_state.is_empty() && baggage.is_empty() {
            return Carried(None);
        }
        Carried(Some(Arc::new(Content { trace_state, baggage: baggage.as_str().into() })))
    }

    /// The same with another baggage.
    #[must_use]
    pub fn with_baggage(&self, baggage: &BaggageBuf) -> Self {
        let state = self.0.as_ref().map(|content| content.trace_state.clone());
        Carried::new(state.unwrap_or_default(), baggage)
    }
}

impl Carry for Carried {
    #[inline]
    fn trace_state(&self) -> TraceState<'_> {
        self.0.as_ref().map(|content| content.trace_state.as_trace_state()).unwrap_or_default()
    }

    #[inline]
    fn baggage(&self) -> Baggage<'_> {
        self.0.as_ref().map(|content| Baggage::new(&content.baggage)).unwrap_or_default()
    }
}
