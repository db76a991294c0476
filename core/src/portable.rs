//! Atomics of processors that cannot exchange, from `portable-atomic`.
//!
//! A load there is a short section without interrupts, out of line, which takes its
//! ordering as an argument and panics at one that no load can have. There is one
//! core, and acquiring costs nothing: all loads acquire, so that the compiler sees
//! the argument, and the panic is gone from the image.

use core::ops::Deref;

pub(crate) use portable_atomic::Ordering;

macro_rules! atomic {
    ($($name:ident $(<$of:ident>)? holds $value:ty;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name$(<$of>)?(portable_atomic::$name$(<$of>)?);

        impl$(<$of>)? $name$(<$of>)? {
            pub(crate) const fn new(value: $value) -> Self {
                $name(portable_atomic::$name::new(value))
            }

            #[inline]
            pub(crate) fn load(&self, _: Ordering) -> $value {
                self.0.load(Ordering::Acquire)
            }
        }

        impl$(<$of>)? Deref for $name$(<$of>)? {
            type Target = portable_atomic::$name$(<$of>)?;

            #[inline]
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
}

atomic! {
    AtomicBool holds bool;
    AtomicU32 holds u32;
    AtomicUsize holds usize;
    AtomicPtr<T> holds *mut T;
}
