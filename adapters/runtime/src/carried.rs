//! What a context carries besides ids, on programs with an allocator.

use std::sync::Arc;

use throughline_core::w3c::{self, TraceState, TraceStateBuf};
use throughline_core::{Carry, TraceId};

use crate::Baggage;

/// The trace state and the baggage of a context, shared by all contexts below.
///
/// Most contexts carry neither, and then nothing is counted or allocated.
#[derive(Clone, Debug, Default)]
pub struct Carried(Option<Arc<Content>>);

#[derive(Clone, Debug)]
struct Content {
    trace: TraceId,
    trace_state: TraceStateBuf,
    baggage: Baggage,
    sampling: SamplingState,
    /// Which trace it is about; the invalid id where the sender named none.
    sampling_of: TraceId,
}

/// What a B3 or a Jaeger header says about sampling and W3C's flags cannot.
///
/// It stays outside of the flags: the bit beside the sampled one is the random
/// flag. ([Sampling State](https://github.com/openzipkin/b3-propagation#sampling-state))
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SamplingState {
    /// Nothing beyond the sampled flag.
    #[default]
    InFlags,
    /// The sender has not decided. Samplers that follow their parent see an
    /// unsampled one.
    Deferred,
    /// Someone is looking for this trace: every hop should record it.
    Debug,
    /// No trace is wanted, and none is named.
    Denied,
}

impl Carried {
    /// Carries these; nothing is allocated when both are empty.
    pub fn new(trace_state: TraceStateBuf, baggage: impl Into<Baggage>) -> Self {
        let baggage = baggage.into();
        Carried::of(Content { trace_state, baggage, ..Carried::default().content() })
    }

    /// The same with another baggage.
    #[must_use]
    pub fn with_baggage(&self, baggage: impl Into<Baggage>) -> Self {
        Carried::of(Content { baggage: baggage.into(), ..self.content() })
    }

    /// The baggage with what is not sent, if there is any.
    pub(crate) fn whole_baggage(&self) -> Option<&Baggage> {
        self.0.as_ref().map(|content| &content.baggage)
    }

    /// The same with another sampling state, of this trace; of whichever begins,
    /// where the id is invalid.
    #[must_use]
    pub fn with_sampling_state(&self, trace: TraceId, state: SamplingState) -> Self {
        Carried::of(Content { sampling: state, sampling_of: trace, ..self.content() })
    }

    /// The sampling state of this trace.
    pub fn sampling_state(&self, trace: TraceId) -> SamplingState {
        match &self.0 {
            Some(content) if content.sampling_of == trace || !content.sampling_of.is_valid() => {
                content.sampling
            }
            _ => SamplingState::InFlags,
        }
    }

    fn of(content: Content) -> Self {
        let is_empty = content.trace_state.is_empty()
            && content.baggage.is_empty()
            && content.sampling == SamplingState::InFlags;
        Carried((!is_empty).then(|| Arc::new(content)))
    }

    fn content(&self) -> Content {
        match &self.0 {
            Some(content) => Content::clone(content),
            None => Content {
                trace: TraceId::INVALID,
                trace_state: TraceStateBuf::new(),
                baggage: Baggage::default(),
                sampling: SamplingState::InFlags,
                sampling_of: TraceId::INVALID,
            },
        }
    }
}

impl Carry for Carried {
    const EMPTY: &'static Self = &Carried(None);

    #[inline]
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    fn trace_id(&self) -> TraceId {
        self.0.as_ref().map_or(TraceId::INVALID, |content| content.trace)
    }

    fn bound_to(mut self, trace: TraceId) -> Self {
        if let Some(content) = &mut self.0
            && content.trace != trace
        {
            Arc::make_mut(content).trace = trace;
        }
        self
    }

    #[inline]
    fn trace_state(&self) -> TraceState<'_> {
        self.0.as_ref().map(|content| content.trace_state.as_trace_state()).unwrap_or_default()
    }

    fn with_trace_state(self, trace_state: &TraceStateBuf) -> Self {
        Carried::of(Content { trace_state: trace_state.clone(), ..self.content() })
    }

    #[inline]
    fn baggage(&self) -> w3c::Baggage<'_> {
        self.0.as_ref().map(|content| content.baggage.as_w3c()).unwrap_or_default()
    }
}
