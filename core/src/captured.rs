//! How a span begins below a context that was captured: of a span that a guard entered, or
//! that lives elsewhere.
//!
//! As below a recorded span that is current, all is known beforehand if that one is
//! sampled, of this process, and carries nothing: neither the sampler nor the options are
//! asked.

use crate::begun::Begins;
use crate::guard::Parent;
use crate::live::{Live, Opening, Slot};
use crate::state::State;
use crate::{Callsite, Local, Platform, Token};

/// Begins a span below what is current, if that is such a context; `None` if it is not so
/// plain a case.
#[inline(always)]
pub(crate) fn child<P: Platform>(local: &Local<P>, callsite: &'static Callsite) -> Option<Live> {
    // Where there is a bridge, it has to be asked first.
    if P::bridge().is_some() {
        return None;
    }
    if let Some(token) = local.token() {
        return below_guard(local, token, callsite);
    }
    local.with_entered(|current| match current? {
        State::Plain { trace, span, route } => {
            let slot = route.slot_of_sampled()?;
            child_of(local, (*trace, *span, *route), slot, callsite)
        }
        State::Held(_) => None,
    })
}

#[inline(never)]
fn below_guard<P: Platform>(
    local: &Local<P>,
    token: Token,
    callsite: &'static Callsite,
) -> Option<Live> {
    let parent = local.numbers().known(token).or_else(|| learn(local, token))?;
    let (_, _, route) = parent;
    begin(local, parent, route.slot_of_sampled()?, callsite)
}

/// Asks the platform for a guard's context, and notes it for the next span.
#[cold]
fn learn<P: Platform>(local: &Local<P>, token: Token) -> Option<Parent> {
    match P::guarded(token)?.state {
        State::Plain { trace, span, route } => {
            let parent = (trace, span, route);
            // It is another one's if the guard is gone.
            if local.token() == Some(token) {
                local.numbers().know(token, parent);
            }
            Some(parent)
        }
        State::Held(_) => None,
    }
}

/// Not inlined where spans begin.
#[inline(never)]
fn child_of<P: Platform>(
    local: &Local<P>,
    parent: Parent,
    slot: &'static Slot,
    callsite: &'static Callsite,
) -> Option<Live> {
    begin(local, parent, slot, callsite)
}

#[inline(always)]
fn begin<P: Platform>(
    local: &Local<P>,
    (trace, parent, route): Parent,
    slot: &'static Slot,
    callsite: &'static Callsite,
) -> Option<Live> {
    let pipeline = slot.pipeline();
    if !pipeline.follows_local_parents() {
        return None;
    }
    // Of a parent that has ended, nobody counts the children.
    if slot.generation_of(parent).is_some() && !slot.take_child() {
        return None;
    }
    let start = P::ticks();
    let (shard, ids) = local.shard_and_ids();
    let span = ids.span_id_at(start);
    let opening = || Opening {
        trace,
        span,
        flags: route.flags(),
        parent,
        remote_parent: false,
        kind: callsite.kind(),
        start,
        callsite,
    };
    let live = pipeline.open(shard, local.place(), opening, None)?;
    local.count(pipeline, Begins::LOCAL_SAMPLED);
    Some(live)
}
