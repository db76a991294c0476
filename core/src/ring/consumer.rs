//! The consumer's end of a ring.

use core::fmt;

use super::{CLOSED, COMMITTED, Ring, SKIP, UNIT, UNIT_MASK, Unit, units_of};
use crate::sync::Ordering;

impl<T: Send> Ring<T> {
    /// The consuming end, of which there is one at a time.
    pub fn consumer(&'static self) -> Option<Consumer<T>> {
        // Ordering: Acquire synchronizes with the Release of the consumer
        // before this one, whose cursor is in `tail`.
        let taken = &self.consumed.taken;
        taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // Ordering: Relaxed, acquired above.
        let position = self.consumed.tail.load(Ordering::Relaxed);
        Some(Consumer { ring: self, position, kept: 0 })
    }
}

/// The one end of a [`Ring`] from which frames are taken.
#[derive(Debug)]
pub struct Consumer<T: Send + 'static> {
    ring: &'static Ring<T>,
    /// Where the oldest frame begins.
    position: usize,
    /// So many units before it were taken, and are not free yet.
    kept: usize,
}

impl<T: Send> Consumer<T> {
    /// The oldest frame, if it is committed. If none is, all that was taken is free.
    #[inline]
    pub fn peek(&mut self) -> Option<Frame<'_, T>> {
        let ring = self.ring;
        loop {
            let position = self.position;
            let unit = ring.units.get(position & UNIT_MASK)?;
            // Ordering: Acquire synchronizes with the producer's Release: the
            // bytes and the tag are written.
            let commit = unit.commit.load(Ordering::Acquire);
            if commit & SKIP != 0 {
                self.release(unit, (commit & !SKIP) as usize);
            } else if commit & COMMITTED != 0 {
                let len = (commit & !COMMITTED) as usize;
                return Some(Frame { consumer: self, unit, len });
            } else {
                self.give_back();
                return None;
            }
        }
    }

    /// A mark behind everything that is claimed now.
    pub fn mark(&self) -> Mark {
        // Ordering: Relaxed: what the caller knows to have ended happened
        // before, so this load sees its claim or a later one.
        let head = self.ring.head.load(Ordering::Relaxed) & !CLOSED;
        Mark { position: head }
    }

    /// Whether everything before the mark has been taken.
    pub fn has_passed(&self, mark: Mark) -> bool {
        matches!(self.ring.distance(self.position, mark.position), None | Some(0))
    }

    /// The first unit of the frame at the mark, if it is committed and waits, and moves the mark
    /// behind it. A mark that has been passed is where the oldest frame is.
    #[inline(always)]
    pub(crate) fn look_at(&self, mark: &mut Mark) -> Option<&[u8; UNIT]> {
        let ring = self.ring;
        if self.has_passed(*mark) {
            mark.position = self.position;
        }
        let unit = mark.position & UNIT_MASK;
        // Ordering: Acquire, as in `peek`.
        let commit = ring.units.get(unit)?.commit.load(Ordering::Acquire);
        if commit & SKIP != 0 {
            mark.position = ring.advance(mark.position, (commit & !SKIP) as usize);
            return None;
        }
        if commit & COMMITTED == 0 {
            return None;
        }
        mark.position = ring.advance(mark.position, units_of((commit & !COMMITTED) as usize));
        // SAFETY: it is committed, and is not released while the consumer is borrowed.
        Some(unsafe { ring.unit_bytes(unit) })
    }

    /// The units in use, as a moment's estimate.
    pub fn used(&self) -> usize {
        self.ring.used()
    }

    /// Goes past the units of the oldest frame, which begins in `unit`.
    fn release(&mut self, unit: &Unit<T>, units: usize) {
        // Ordering: Relaxed; the store of `tail` releases it.
        unit.commit.store(0, Ordering::Relaxed);
        self.position = self.ring.advance(self.position, units);
        // Where code is dear, each frame is given back by itself.
        if cfg!(target_os = "none") {
            return self.free();
        }
        self.kept += units;
        if self.kept > self.ring.capacity().wrapping_sub(1) / SHARES {
            self.give_back();
        }
    }

    /// Frees all that was taken. By itself this happens to a part of the ring at once, so
    /// that producers are not disturbed for each frame.
    #[inline]
    pub fn give_back(&mut self) {
        if !cfg!(target_os = "none") && self.kept > 0 {
            self.kept = 0;
            self.free();
        }
    }

    fn free(&self) {
        // Ordering: Release hands the units back to producers, whose claims load
        // `tail` with Acquire.
        self.ring.consumed.tail.store(self.position, Ordering::Release);
    }
}

impl<T> Ring<T> {
    /// The bytes of a unit.
    ///
    /// # Safety
    ///
    /// The unit exists, and belongs to a committed frame that is not released while they are
    /// borrowed.
    #[inline(always)]
    unsafe fn unit_bytes(&self, unit: usize) -> &[u8; UNIT] {
        // SAFETY: the caller's.
        let bytes = unsafe { self.bytes.read(unit * UNIT, UNIT) };
        bytes.first_chunk().unwrap_or(&[0; UNIT])
    }
}

impl<T: Send> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.give_back();
        // Ordering: Release, for the Acquire in `Ring::consumer`.
        self.ring.consumed.taken.store(false, Ordering::Release);
    }
}

/// A position in a ring, to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    position: usize,
}

/// The oldest frame of a ring, still in its memory.
pub struct Frame<'a, T: Send + 'static> {
    consumer: &'a mut Consumer<T>,
    /// The unit in which it begins.
    unit: &'static Unit<T>,
    len: usize,
}

impl<T: Send> Frame<'_, T> {
    /// The bytes that the producer wrote.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let unit = self.consumer.position & UNIT_MASK;
        // SAFETY: the frame is committed, so its producer is done with it; it
        // stays until `take` releases it, which ends this borrow.
        unsafe { self.consumer.ring.bytes.read(unit * UNIT, self.len) }
    }

    /// The first unit of the frame. What is behind its [bytes](Self::bytes) means nothing.
    #[inline(always)]
    pub(crate) fn first_unit(&self) -> &[u8; UNIT] {
        let unit = self.consumer.position & UNIT_MASK;
        // SAFETY: as in `bytes`; a frame has whole units.
        unsafe { self.consumer.ring.unit_bytes(unit) }
    }

    /// Takes the frame out of the ring and returns its tag. Its memory is free soon: when an
    /// eighth of the ring was taken, when [nothing is left](Consumer::peek), or when the
    /// consumer [gives it back](Consumer::give_back).
    #[inline]
    pub fn take(self) -> T {
        let tag = self.unit.tag.with(|slot| {
            // SAFETY: the frame is committed, so its tag is written; the frame
            // is consumed by this call and released below, so it is read once.
            unsafe { (*slot).assume_init_read() }
        });
        self.consumer.release(self.unit, units_of(self.len));
        tag
    }
}

impl<'a, T: Send + Copy> Frame<'a, T> {
    /// Its tag, and the frame to be changed where it is. Releases it when that is
    /// dropped, also by a panic.
    #[inline]
    pub(crate) fn hold(self) -> (T, Held<'a, T>) {
        // SAFETY: the frame is committed, so its tag is written; it is plain data, and the
        // unit is released once, by `Held`.
        let tag = self.unit.tag.with(|slot| unsafe { (*slot).assume_init_read() });
        (tag, Held { frame: self })
    }
}

/// A frame that is about to be released, still in its memory.
pub(crate) struct Held<'a, T: Send + 'static> {
    frame: Frame<'a, T>,
}

impl<T: Send> Held<'_, T> {
    /// The bytes that the producer wrote, to be changed.
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let unit = self.frame.consumer.position & UNIT_MASK;
        // SAFETY: the frame is committed, so its producer is done with it, and there is one
        // consumer, which is borrowed; it is released when this borrow is over.
        unsafe { self.frame.consumer.ring.bytes.write(unit * UNIT, self.frame.len) }
    }
}

impl<T: Send> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Frame { consumer, unit, len } = &mut self.frame;
        consumer.release(unit, units_of(*len));
    }
}

impl<T: Send> fmt::Debug for Frame<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A ring is freed in so many parts. In models it is a single one.
const SHARES: usize = if cfg!(throughline_loom) { 1 } else { 8 };
