//! Hints to the processor's caches.

/// Says that this place is asked for soon, so that it is near by then. Does nothing where
/// the compiler has no name for it.
#[inline(always)]
pub(crate) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it reads nothing and cannot fault, and each x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Says that this place is written soon, so that no other processor has it by then. It may lie
/// anywhere. Does nothing on other processors than x86-64.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: it reads nothing that the program sees and cannot fault; an x86-64 that does not know
    // it has nothing to do there. The compiler has a name for it, and takes it for a read where it
    // does not know the processor.
    unsafe {
        core::arch::asm!(
            "prefetchw [{}]",
            in(reg) place,
            options(readonly, nostack, preserves_flags)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}
