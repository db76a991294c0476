//! Atomics and cells, from the language or from the model checker; atomics from
//! `portable.rs` where the processor cannot exchange.
//!
//! Nothing else in the crate mentions loom. Under `cfg(throughline_loom)` every
//! access below is a step that the models in `loom-tests` interleave; plain
//! `cfg(loom)` is not used because it would reach every dependency too.

#[cfg(throughline_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

#[cfg(all(target_has_atomic = "ptr", not(throughline_loom)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

#[cfg(all(not(target_has_atomic = "ptr"), not(throughline_loom)))]
pub(crate) use crate::portable::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// 64 bits, where there are such atomics.
#[cfg(throughline_loom)]
pub(crate) use loom::sync::atomic::AtomicU64 as Wide;

/// 64 bits, where there are such atomics.
#[cfg(all(target_has_atomic = "64", not(throughline_loom)))]
pub(crate) use core::sync::atomic::AtomicU64 as Wide;

/// Fewer than 64 bits.
#[cfg(all(not(target_has_atomic = "64"), not(throughline_loom)))]
pub(crate) use AtomicUsize as Wide;

/// Declares a function `const` in ordinary builds; loom's types have no `const`
/// constructors.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => {
        #[cfg(not(throughline_loom))]
        $(#[$meta])* $vis const fn $($rest)*
        #[cfg(throughline_loom)]
        $(#[$meta])* $vis fn $($rest)*
    };
}
pub(crate) use const_fn;

/// A cell whose exclusive use is argued for at each access.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T> {
    #[cfg(not(throughline_loom))]
    cell: core::cell::UnsafeCell<T>,
    #[cfg(throughline_loom)]
    cell: loom::cell::UnsafeCell<T>,
}

impl<T> UnsafeCell<T> {
    const_fn! {
        pub(crate) fn new(value: T) -> Self {
            #[cfg(not(throughline_loom))]
            let cell = core::cell::UnsafeCell::new(value);
            #[cfg(throughline_loom)]
            let cell = loom::cell::UnsafeCell::new(value);
            UnsafeCell { cell }
        }
    }

    /// A pointer to the value, to read through.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(throughline_loom))]
        return f(self.cell.get());
        #[cfg(throughline_loom)]
        return self.cell.with(f);
    }

    /// A pointer to the value, to write through.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(throughline_loom))]
        return f(self.cell.get());
        #[cfg(throughline_loom)]
        return self.cell.with_mut(f);
    }
}

/// A reference that is exchanged whole.
#[derive(Debug)]
pub(crate) struct StaticRef<T: 'static> {
    pointer: AtomicPtr<T>,
    /// It is shared between threads as the reference would be.
    kind: core::marker::PhantomData<&'static T>,
}

impl<T> StaticRef<T> {
    const_fn! {
        pub(crate) fn new(value: &'static T) -> Self {
            let pointer = AtomicPtr::new(core::ptr::from_ref(value).cast_mut());
            StaticRef { pointer, kind: core::marker::PhantomData }
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> &'static T {
        // Ordering: Acquire; what was written before the reference was given to
        // `exchange` is read through it.
        // SAFETY: only `&'static T`s are stored, and nobody writes through them.
        unsafe { &*self.pointer.load(Ordering::Acquire) }
    }

    pub(crate) fn exchange(&self, value: &'static T) -> &'static T {
        let pointer = core::ptr::from_ref(value).cast_mut();
        // Ordering: AcqRel; `get` and the next `exchange` read through the new
        // one, the caller through the former one.
        // SAFETY: as in `get`.
        unsafe { &*self.pointer.swap(pointer, Ordering::AcqRel) }
    }
}

/// A 64-bit number that is stored and loaded whole where the target can, and in
/// two halves where it cannot; a reader that must not see a torn one checks a
/// version beside it.
#[derive(Debug)]
pub(crate) struct Word {
    #[cfg(all(target_has_atomic = "64", not(throughline_loom)))]
    whole: core::sync::atomic::AtomicU64,
    #[cfg(any(not(target_has_atomic = "64"), throughline_loom))]
    halves: [AtomicU32; 2],
}

impl Word {
    const_fn! {
        pub(crate) fn new() -> Self {
            Word {
                #[cfg(all(target_has_atomic = "64", not(throughline_loom)))]
                whole: core::sync::atomic::AtomicU64::new(0),
                #[cfg(any(not(target_has_atomic = "64"), throughline_loom))]
                halves: [AtomicU32::new(0), AtomicU32::new(0)],
            }
        }
    }

    #[inline(always)]
    pub(crate) fn load(&self, ordering: Ordering) -> u64 {
        #[cfg(all(target_has_atomic = "64", not(throughline_loom)))]
        return self.whole.load(ordering);
        #[cfg(any(not(target_has_atomic = "64"), throughline_loom))]
        return (self.halves[0].load(ordering) as u64) << 32 | self.halves[1].load(ordering) as u64;
    }

    #[inline(always)]
    pub(crate) fn store(&self, value: u64, ordering: Ordering) {
        #[cfg(all(target_has_atomic = "64", not(throughline_loom)))]
        self.whole.store(value, ordering);
        #[cfg(any(not(target_has_atomic = "64"), throughline_loom))]
        {
            self.halves[0].store((value >> 32) as u32, ordering);
            self.halves[1].store(value as u32, ordering);
        }
    }
}

/// Bytes that several threads write in turn, each a part of its own.
///
/// Who may touch which part is decided by the protocol around it; the model
/// checker watches one tracker per `grain` bytes.
#[derive(Debug)]
pub(crate) struct Region {
    start: core::ptr::NonNull<u8>,
    len: usize,
    #[cfg(throughline_loom)]
    grain: usize,
    #[cfg(throughline_loom)]
    trackers: std::vec::Vec<loom::cell::UnsafeCell<()>>,
}

// SAFETY: a region owns its bytes (it was made from an exclusive `'static`
// borrow that it keeps for ever); `write` and `read` leave the exclusion of
// overlapping accesses to their callers.
unsafe impl Send for Region {}
// SAFETY: as for `Send`.
unsafe impl Sync for Region {}

impl Region {
    const_fn! {
        pub(crate) fn new(bytes: &'static mut [u8], grain: usize) -> Self {
            #[cfg(not(throughline_loom))]
            let _ = grain;
            Region {
                len: bytes.len(),
                #[cfg(throughline_loom)]
                grain,
                #[cfg(throughline_loom)]
                trackers: (0..bytes.len().div_ceil(grain))
                    .map(|_| loom::cell::UnsafeCell::new(()))
                    .collect(),
                // SAFETY: a slice never begins at null.
                start: unsafe { core::ptr::NonNull::new_unchecked(bytes.as_mut_ptr()) },
            }
        }
    }

    /// Where the byte `offset` is, or would be: not to be read or written by.
    #[inline(always)]
    pub(crate) fn address(&self, offset: usize) -> *const u8 {
        self.start.as_ptr().wrapping_add(offset)
    }

    /// The bytes `offset..offset + len`, to write.
    ///
    /// # Safety
    ///
    /// The range lies inside the region, and nobody else accesses any of it
    /// before the returned borrow ends.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn write(&self, offset: usize, len: usize) -> &mut [u8] {
        debug_assert!(offset + len <= self.len);
        #[cfg(throughline_loom)]
        for tracker in &self.trackers[offset / self.grain..(offset + len).div_ceil(self.grain)] {
            tracker.with_mut(|_| ());
        }
        // SAFETY: the caller keeps the range inside and to itself; the bytes
        // were initialized when the region was made.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr().add(offset), len) }
    }

    /// The bytes `offset..offset + len`, to read.
    ///
    /// # Safety
    ///
    /// The range lies inside the region, and nobody writes any of it before the
    /// returned borrow ends.
    #[inline(always)]
    pub(crate) unsafe fn read(&self, offset: usize, len: usize) -> &[u8] {
        debug_assert!(offset + len <= self.len);
        #[cfg(throughline_loom)]
        for tracker in &self.trackers[offset / self.grain..(offset + len).div_ceil(self.grain)] {
            tracker.with(|_| ());
        }
        // SAFETY: as in `write`, shared.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr().add(offset), len) }
    }
}
