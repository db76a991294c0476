//! The processor's cycle counter, for platforms that tell time by it.
//!
//! The core itself has no clock. The instruction stands here because reading it
//! is `unsafe` in the language, and a call of a function that reads it costs a
//! span as much as writing its frame does.

/// The processor's counter, where it can be read without a system call.
///
/// Whether it counts at a constant rate, and the same on all cores, is for the
/// caller to find out.
#[inline(always)]
pub fn cycles() -> Option<u64> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // SAFETY: every x86-64 processor has the instruction, and it touches no
        // memory. Operating systems may forbid it; none that Rust supports does.
        Some(unsafe { core::arch::x86_64::_rdtsc() })
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    None
}
