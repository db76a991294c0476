//! Where the spans of a context go and a few truths about it, in one word.

use core::num::NonZero;
use core::ptr::NonNull;

use crate::live::Slot;
use crate::{Pipeline, TraceFlags};

/// A pipeline, if one is named, by itself or by the slot of the span that it is
/// below, and bits: both move with every context, so they
/// share a word.
///
/// The bits take the place of those that the pipeline's alignment leaves zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route(NonNull<Pipeline>);

// SAFETY: it is a `&'static Pipeline` or `&'static Slot` and numbers; both are `Sync`.
unsafe impl Send for Route {}
// SAFETY: as above.
unsafe impl Sync for Route {}

impl Route {
    /// No pipeline, no flag.
    pub(crate) const NONE: Route = Route::of_bits(0);
    /// What [`Span::none`](crate::Span::none) has: not even a context.
    pub(crate) const NOTHING: Route = Route::of_bits(NOTHING);

    const fn of_bits(bits: usize) -> Self {
        match NonZero::new(bits | PRESENT) {
            Some(address) => Route(NonNull::without_provenance(address)),
            None => unreachable!(),
        }
    }

    /// The same flags to another pipeline.
    #[inline]
    pub(crate) fn with_pipeline(self, pipeline: Option<&'static Pipeline>) -> Self {
        let bits = self.bits() & !(NOTHING | SLOT);
        match pipeline {
            Some(pipeline) => Route(NonNull::from(pipeline).map_addr(|address| address | bits)),
            None => Route::of_bits(bits),
        }
    }

    /// Below the span in this slot, which has begun and has these flags.
    #[inline(always)]
    pub(crate) fn of_slot(slot: &'static Slot, flags: TraceFlags) -> Self {
        if !HAS_SLOTS {
            return Route::NONE.with_pipeline(Some(slot.pipeline())).with_flags(flags, false);
        }
        let bits = PRESENT | SLOT | flags.to_bits() as usize;
        Route(NonNull::from(slot).cast().map_addr(|address| address | bits))
    }

    #[cold]
    fn pipeline_of_slot(self) -> Option<&'static Pipeline> {
        self.slot().map(Slot::pipeline)
    }

    /// The slot of the span that it was below, which may be another's by now.
    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn slot(self) -> Option<&'static Slot> {
        if !HAS_SLOTS || self.bits() & SLOT == 0 {
            return None;
        }
        let pointer = self.0.as_ptr().map_addr(|address| address & !ALL).cast::<Slot>();
        // SAFETY: it is that of the `&'static Slot` that `of_slot` was given.
        unsafe { pointer.as_ref() }
    }

    /// The same with these trace flags.
    #[inline]
    pub(crate) fn with_flags(self, flags: TraceFlags, is_remote: bool) -> Self {
        let bits = flags.to_bits() as usize | if is_remote { REMOTE } else { 0 };
        let cleared = !(FLAGS | REMOTE | NOTHING | LINKED);
        // PRESENT stays, so the address is never zero.
        Route(self.0.map_addr(|address| {
            NonZero::new(address.get() & cleared).map_or(address, |kept| kept | bits)
        }))
    }

    /// The same pipeline and suppression with the flags of a span that is in no slot.
    #[inline]
    pub(crate) fn of_other_trace(self, flags: TraceFlags, is_remote: bool) -> Self {
        let route =
            if self.bits() & SLOT == 0 { self } else { self.with_pipeline(self.pipeline()) };
        route.with_flags(flags, is_remote)
    }

    /// The same, below which nothing is recorded.
    pub(crate) fn suppressed(self) -> Self {
        let bits = self.bits() & !(NOTHING | SLOT) | SUPPRESSED;
        Route::of_bits(bits).with_pipeline(self.pipeline())
    }

    /// The same for a context whose ids are not those of the parent of spans below,
    /// but those of a span to which they link.
    pub(crate) fn linked(self) -> Self {
        let bits = self.bits() & !(NOTHING | SLOT) | LINKED;
        Route::of_bits(bits).with_pipeline(self.pipeline())
    }

    #[inline]
    fn bits(self) -> usize {
        self.0.addr().get() & ALL
    }

    /// The pipeline, if one is named.
    #[inline]
    pub(crate) fn pipeline(self) -> Option<&'static Pipeline> {
        if HAS_SLOTS && self.bits() & SLOT != 0 {
            return self.pipeline_of_slot();
        }
        let pointer = self.0.as_ptr().map_addr(|address| address & !ALL);
        // SAFETY: without its bits the pointer is null, or it is that of the
        // `&'static Pipeline` that `with_pipeline` was given.
        unsafe { pointer.as_ref() }
    }

    #[inline]
    pub(crate) fn flags(self) -> TraceFlags {
        TraceFlags::from_bits(self.bits() as u8)
    }

    #[inline]
    pub(crate) fn is_remote(self) -> bool {
        self.bits() & REMOTE != 0
    }

    #[inline]
    pub(crate) fn is_suppressed(self) -> bool {
        self.bits() & SUPPRESSED != 0
    }

    #[inline]
    pub(crate) fn is_linked(self) -> bool {
        self.bits() & LINKED != 0
    }

    #[inline]
    pub(crate) fn is_nothing(self) -> bool {
        self.bits() & NOTHING != 0
    }

    /// Whether it is that of an unsampled span of this process below which
    /// spans are decided about: the plain case, tested at once.
    #[inline]
    pub(crate) fn is_local_unsampled(self) -> bool {
        let other = REMOTE | SUPPRESSED | NOTHING | LINKED;
        self.bits() & (TraceFlags::SAMPLED.to_bits() as usize | other) == 0
    }

    /// The slot of a sampled span of this process below which spans are decided about: the
    /// plain case, tested at once.
    #[inline]
    pub(crate) fn slot_of_sampled(self) -> Option<&'static Slot> {
        let sampled = TraceFlags::SAMPLED.to_bits() as usize;
        let other = REMOTE | SUPPRESSED | NOTHING | LINKED;
        if self.bits() & (sampled | other) == sampled { self.slot() } else { None }
    }
}

const FLAGS: usize = 0b11;
const REMOTE: usize = 1 << 2;
const SUPPRESSED: usize = 1 << 3;
const NOTHING: usize = 1 << 4;
/// Always set, so that the word is never zero.
const PRESENT: usize = 1 << 5;
const LINKED: usize = 1 << 6;
/// The pointer is that of a slot, and not of a pipeline.
const SLOT: usize = 1 << 7;
const ALL: usize = (1 << 8) - 1;

/// Where there are no budgets, nobody asks for slots.
const HAS_SLOTS: bool = crate::flood::SUPPORTED;

const _: () =
    assert!(align_of::<Pipeline>() > ALL && TraceFlags::from_bits(0xff).to_bits() == 0b11);
const _: () = assert!(!HAS_SLOTS || align_of::<Slot>() > ALL);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_kept_apart() {
        let flags = TraceFlags::SAMPLED | TraceFlags::RANDOM;
        let route = Route::NONE.with_flags(flags, true).suppressed();
        assert_eq!(route.flags(), flags);
        assert!(route.is_remote() && route.is_suppressed() && !route.is_nothing());
        assert!(route.pipeline().is_none());
        let route = route.with_flags(TraceFlags::NONE, false);
        assert_eq!(route.flags(), TraceFlags::NONE);
        assert!(route.is_suppressed() && !route.is_remote() && !route.is_local_unsampled());
        assert!(route.linked().is_linked() && route.linked().is_suppressed());
        assert!(!route.linked().with_flags(flags, false).is_linked());
        assert!(Route::NOTHING.is_nothing() && !Route::NOTHING.with_pipeline(None).is_nothing());
    }
}
