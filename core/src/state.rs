//! What is current, or may become it.

use crate::live::Live;
use crate::route::Route;
use crate::{Carry, Platform, SpanContext, SpanId, TraceId};

/// A context, or a span with its context: four words.
///
/// What is usual takes no room for what is not: a recorded span keeps its ids in
/// its slot, and what carries something has its trace id there.
pub(crate) enum State<P: Platform> {
    /// Ids by value, nothing carried.
    Plain {
        trace: TraceId,
        span: SpanId,
        route: Route,
    },
    Held(Held<P>),
}

/// What holds a slot, or carries something besides ids.
pub(crate) struct Held<P: Platform> {
    pub(crate) carried: P::Carried,
    pub(crate) by: Holder,
}

pub(crate) enum Holder {
    /// A span that is recorded, with the one handle of its slot.
    Span(Live),
    /// The ids of what is not recorded; `carried` knows the trace.
    Ids { span: SpanId, route: Route },
}

impl<P: Platform> State<P> {
    /// Neither span nor context.
    pub(crate) const NOTHING: Self =
        State::Plain { trace: TraceId::INVALID, span: SpanId::INVALID, route: Route::NOTHING };
    /// A context without span.
    pub(crate) const EMPTY: Self =
        State::Plain { trace: TraceId::INVALID, span: SpanId::INVALID, route: Route::NONE };

    /// A span that is recorded.
    #[inline(always)]
    pub(crate) fn recorded(live: Live, carried: P::Carried) -> Self {
        State::Held(Held { carried, by: Holder::Span(live) })
    }

    /// A context of these ids; its flags are in the route too.
    #[inline]
    pub(crate) fn unrecorded(
        trace: TraceId,
        span: SpanId,
        route: Route,
        carried: P::Carried,
    ) -> Self {
        if carried.is_empty() {
            State::Plain { trace, span, route }
        } else {
            let carried = carried.bound_to(trace);
            State::Held(Held { carried, by: Holder::Ids { span, route } })
        }
    }

    /// The same ids, flags and pipeline, not recorded by this one.
    #[inline]
    pub(crate) fn capture(&self) -> Self {
        match self {
            State::Plain { trace, span, route } => {
                State::Plain { trace: *trace, span: *span, route: *route }
            }
            State::Held(held) => held.capture(),
        }
    }

    /// As [`capture`](Self::capture), of what most contexts are captured from: a recorded
    /// span with nothing carried.
    #[inline(always)]
    pub(crate) fn capture_plain(&self) -> Option<Self> {
        match self {
            State::Held(Held { carried, by: Holder::Span(live) }) if carried.is_empty() => {
                let (trace, span, route) = (live.trace_id(), live.span_id(), route_below(live));
                Some(State::Plain { trace, span, route })
            }
            _ => None,
        }
    }

    /// The identity of the span, if there is one.
    #[inline]
    pub(crate) fn span_context(&self) -> SpanContext {
        match self {
            State::Plain { route, .. }
            | State::Held(Held { by: Holder::Ids { route, .. }, .. })
                if route.is_linked() =>
            {
                SpanContext::INVALID
            }
            _ => self.ids(),
        }
    }

    /// The identity of the span to which roots below link, if they do.
    pub(crate) fn link(&self) -> Option<SpanContext> {
        self.route().is_linked().then(|| self.ids())
    }

    /// The ids, of whatever they are.
    #[inline]
    pub(crate) fn ids(&self) -> SpanContext {
        let (trace, span, route) = match self {
            State::Plain { trace, span, route } => (*trace, *span, *route),
            State::Held(Held { by: Holder::Span(live), .. }) => return live.context(),
            State::Held(Held { carried, by: Holder::Ids { span, route } }) => {
                (carried.trace_id(), *span, *route)
            }
        };
        SpanContext::of(trace, span, route.flags(), route.is_remote())
    }

    #[inline]
    pub(crate) fn route(&self) -> Route {
        match self {
            State::Plain { route, .. }
            | State::Held(Held { by: Holder::Ids { route, .. }, .. }) => *route,
            State::Held(Held { by: Holder::Span(live), .. }) => route_below(live),
        }
    }

    #[inline]
    pub(crate) fn carried(&self) -> &P::Carried {
        match self {
            State::Plain { .. } => P::Carried::EMPTY,
            State::Held(held) => &held.carried,
        }
    }

    /// The slot of the span, if it is recorded.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn live(&self) -> Option<&Live> {
        match self {
            State::Held(Held { by: Holder::Span(live), .. }) => Some(live),
            _ => None,
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn live_mut(&mut self) -> Option<&mut Live> {
        match self {
            State::Held(Held { by: Holder::Span(live), .. }) => Some(live),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, State::Plain { route, .. } if route.is_nothing())
    }
}

impl<P: Platform> Held<P> {
    fn capture(&self) -> State<P> {
        match &self.by {
            Holder::Ids { span, route } => {
                let (span, route) = (*span, *route);
                let carried = self.carried.clone();
                State::Held(Held { carried, by: Holder::Ids { span, route } })
            }
            Holder::Span(live) => {
                let carried = self.carried.clone();
                State::unrecorded(live.trace_id(), live.span_id(), route_below(live), carried)
            }
        }
    }
}

/// The route of spans below one that is recorded.
#[inline]
fn route_below(live: &Live) -> Route {
    let (flags, slot) = live.slot().trace_flags_and_slot();
    Route::of_slot(slot, flags)
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Nowhere {}

    impl Platform for Nowhere {
        type Carried = ();

        fn ticks() -> u64 {
            0
        }

        fn with_local<R>(use_it: impl FnOnce(&crate::Local<Self>) -> R) -> R {
            use_it(&crate::Local::new())
        }

        fn default_pipeline() -> Option<&'static crate::Pipeline> {
            None
        }

        fn seed() -> crate::Seed {
            crate::Seed { ids: 1, shard: 0 }
        }
    }

    #[test]
    fn a_state_is_four_words() {
        assert_eq!(size_of::<State<Nowhere>>(), 32);
    }
}
