//! The ring: several producers, one consumer, frames of any length.
//!
//! A frame is claimed, written and committed; the consumer releases it.
//!
//! ```text
//!            tail                      head
//!             │   committed   writing   │
//!   ──────────┼────────────┬────────────┼──────────
//!     free    │  A  B  C   │   D    E   │   free
//!   ──────────┴────────────┴────────────┴──────────
//! ```
//!
//! `head` is moved by producers (one compare-exchange each), `tail` by the
//! consumer alone. Each frame begins on a [`UNIT`] of 64 bytes, and each unit has
//! a head of its own beside the bytes, in which the producer commits the length
//! of the frame that begins there. A frame never wraps: what is left at the end
//! of the memory is committed as a skip.
//!
//! Positions count units and laps, not bytes since the beginning, so that any
//! number of units is a capacity and a 32-bit target never runs out of them:
//!
//! ```text
//!   high half: lap (its top bit: closed) │ low half: unit
//! ```
//!
//! Producers never wait: a full ring refuses at once. The consumer takes frames
//! in the order of their claims, so **spans behind a preempted producer wait for
//! it**; a producer runs no foreign code between claim and commit.
//!
//! Neither side looks at a word that the other writes for each frame: the consumer moves
//! `tail` past many frames at once, and producers note where they last saw it.

use core::fmt;
use core::mem::MaybeUninit;

use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Ordering, Region, UnsafeCell, const_fn};

/// The bytes of the unit in which a ring is divided: a cache line.
pub const UNIT: usize = 64;

/// A fixed-capacity queue of frames, each with a tag of type `T`.
#[derive(Debug)]
#[repr(align(64))]
pub struct Ring<T: 'static> {
    /// Where the next claim begins. Moved by producers; its top bit is set once,
    /// by [`close`](Self::close).
    head: AtomicUsize,
    /// Where a producer last saw `tail`. What is free by this is free; only when nothing is
    /// do producers look at `tail` itself, on the consumer's cache line.
    #[cfg(not(target_os = "none"))]
    seen: AtomicUsize,
    units: &'static [Unit<T>],
    bytes: Region,
    max_frame_len: usize,
    consumed: Consumed,
}

/// The consumer's side, on a cache line that producers only read.
#[derive(Debug)]
#[repr(align(64))]
struct Consumed {
    /// What is before this is free. Moved by the consumer.
    tail: AtomicUsize,
    /// Whether a [`Consumer`] exists.
    taken: AtomicBool,
}

/// The head of one unit.
#[derive(Debug)]
pub struct Unit<T> {
    /// 0: nothing is committed here. Otherwise [`COMMITTED`] and the frame's
    /// length in bytes, or [`SKIP`] and the number of units to pass over. Set by
    /// the producer that claimed the unit, cleared by the consumer.
    commit: AtomicU32,
    tag: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the tag is written by the producer that claimed the unit and moved out
// by the consumer that saw the commit; between the two the `commit` word hands
// it over, so it crosses threads by value only.
unsafe impl<T: Send> Sync for Unit<T> {}
// SAFETY: a unit owns at most one tag.
unsafe impl<T: Send> Send for Unit<T> {}

impl<T> Unit<T> {
    const_fn! {
        /// A unit with nothing in it.
        pub fn new() -> Self {
            Unit { commit: AtomicU32::new(0), tag: UnsafeCell::new(MaybeUninit::uninit()) }
        }
    }
}

impl<T> Default for Unit<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send> Ring<T> {
    const_fn! {
        /// A ring over this memory.
        ///
        /// Its capacity is the smaller of `units.len()` and the whole
        /// [units](UNIT) in `bytes`, at most [`MAX_UNITS`].
        ///
        /// Both are borrowed mutably, for ever, so that no other ring can use
        /// them: each relies on being the only one that moves their states.
        pub fn new(units: &'static mut [Unit<T>], bytes: &'static mut [u8]) -> Self {
            let whole = bytes.len() / UNIT;
            let capacity = if units.len() < whole { units.len() } else { whole };
            let capacity = if capacity < MAX_UNITS { capacity } else { MAX_UNITS };
            let half = (capacity - capacity / 2) * UNIT;
            Ring {
                head: AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))]
                seen: AtomicUsize::new(0),
                max_frame_len: if half < MAX_FRAME_LEN { half } else { MAX_FRAME_LEN },
                units: units.split_at_mut(capacity).0,
                bytes: Region::new(bytes, UNIT),
                consumed: Consumed { tail: AtomicUsize::new(0), taken: AtomicBool::new(false) },
            }
        }
    }

    /// The number of units.
    pub fn capacity(&self) -> usize {
        self.units.len()
    }

    /// The length of the longest frame that is accepted, in bytes: half the
    /// ring, since a longer one might not fit even when the ring is empty, on
    /// either side of where the last frame ended.
    pub fn max_frame_len(&self) -> usize {
        self.max_frame_len
    }

    /// Claims room for a frame of `len` bytes, has it written, commits it.
    ///
    /// `write` must fill the whole slice: it holds bytes of earlier frames. If it
    /// panics, there is no frame.
    ///
    /// # Errors
    ///
    /// The frame is refused, and its tag given back, when the ring is
    /// [full](Refusal::Full), [closed](Refusal::Closed), or when the frame is
    /// [longer](Refusal::TooLong) than [`max_frame_len`](Self::max_frame_len).
    #[inline]
    pub fn submit(
        &self,
        tag: T,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<(), Refused<T>> {
        match self.reserve(len) {
            Ok(mut room) => {
                let pass_over = PassOver { unit: room.unit, units: units_of(len) };
                write(room.bytes().get_mut(..len).unwrap_or_default());
                core::mem::forget(pass_over);
                room.commit(tag);
                Ok(())
            }
            Err(why) => Err(Refused { tag, why }),
        }
    }

    /// Claims room for a frame of `len` bytes. It has to be [committed](Room::commit) at
    /// once: the consumer waits for it.
    #[inline(always)]
    pub(crate) fn reserve(&self, len: usize) -> Result<Room<'_, T>, Refusal> {
        if len > self.max_frame_len() {
            return Err(Refusal::TooLong);
        }
        let (begin, unit) = self.claim(units_of(len))?;
        Ok(Room { unit, bytes: &self.bytes, len, begin })
    }

    /// Refuses every frame from now on. What is claimed already is still drained.
    pub fn close(&self) {
        // Ordering: Relaxed, no value is read through it: a claim is either
        // before this in the order of `head`, and drained, or sees the bit.
        self.head.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        // Ordering: Relaxed, no value is read through it.
        self.head.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// The units in use, as a moment's estimate for display.
    pub fn used(&self) -> usize {
        // Ordering: Relaxed, no value is read through it.
        let tail = self.consumed.tail.load(Ordering::Relaxed);
        let head = self.head.load(Ordering::Relaxed);
        self.distance(tail, head).unwrap_or(0)
    }

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

    /// Takes units that are next to each other, and tells the first.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn claim(&self, units: usize) -> Result<(usize, &Unit<T>), Refusal> {
        // Where code is dearer than calls, one way is enough.
        #[cfg(not(target_os = "none"))]
        if let Some(claimed) = self.claim_next(units) {
            return Ok(claimed);
        }
        let begin = self.claim_anywhere(units)?;
        self.units.get(begin).map(|unit| (begin, unit)).ok_or(Refusal::Full)
    }

    /// As [`claim_anywhere`](Self::claim_anywhere), where the memory does not end here,
    /// nobody else claims, and the units were seen to be free.
    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    fn claim_next(&self, units: usize) -> Option<(usize, &Unit<T>)> {
        // Ordering: Relaxed, as there.
        let head = self.head.load(Ordering::Relaxed);
        // Ordering: Acquire synchronizes with the producer that saw this.
        let tail = self.seen.load(Ordering::Acquire);
        let (capacity, unit) = (self.units.len(), head & UNIT_MASK);
        // As in `distance`, of positions that are not old.
        let ahead = head.wrapping_sub(tail);
        let used = if ahead > capacity { ahead.wrapping_sub(LAP - capacity) } else { ahead };
        let is_free = head & CLOSED == 0 && unit + units < capacity && used <= capacity - units;
        let first = self.units.get(unit).filter(|_| is_free)?;
        let next = head + units;
        // Ordering: Relaxed, as there.
        let claim = self.head.compare_exchange(head, next, Ordering::Relaxed, Ordering::Relaxed);
        claim.is_ok().then_some((unit, first))
    }

    /// Takes them in every case.
    #[inline(never)]
    fn claim_anywhere(&self, units: usize) -> Result<usize, Refusal> {
        // Ordering: Relaxed; the compare-exchange validates it, and nothing is
        // read through it.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            // Ordering: Acquire synchronizes with the consumer's release of
            // `tail`: it has finished with all units before it, and cleared
            // their commits.
            let tail = self.consumed.tail.load(Ordering::Acquire);
            // Ordering: Release hands what was acquired on to producers that rely on it. One
            // who is late puts an older position there, by which less is free.
            #[cfg(not(target_os = "none"))]
            self.seen.store(tail, Ordering::Release);
            let (capacity, unit) = (self.units.len(), head & UNIT_MASK);
            let left = capacity.wrapping_sub(unit);
            let skipped = if units <= left { 0 } else { left };
            // `None`: `tail` is ahead of a stale `head`, whose exchange then fails
            // and reloads it.
            let used = self.distance(tail, head).unwrap_or(0);
            if used + skipped + units > capacity {
                return Err(Refusal::Full);
            }
            let next = self.advance(head, skipped + units);
            // Ordering: Relaxed; units are handed over by `tail` and `commit`.
            match self.head.compare_exchange(head, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if skipped == 0 => return Ok(unit),
                Ok(_) => return Ok(self.skip(unit, skipped)),
                Err(current) => head = current,
            }
        }
    }

    /// Marks claimed units at the end as passed over; the claim begins at 0.
    #[cold]
    #[inline(never)]
    fn skip(&self, unit: usize, skipped: usize) -> usize {
        if let Some(unit) = self.units.get(unit) {
            // Ordering: Relaxed, nothing is read through it: the skipped units
            // hold nothing of the frame, whose own commit comes later.
            unit.commit.store(SKIP | skipped as u32, Ordering::Relaxed);
        }
        0
    }

    /// The position `units` further; at most one lap.
    #[inline]
    fn advance(&self, position: usize, units: usize) -> usize {
        let unit = (position & UNIT_MASK) + units;
        let lap = position & LAP_MASK;
        if unit < self.units.len() {
            lap | unit
        } else {
            (lap.wrapping_add(LAP) & LAP_MASK) | (unit - self.units.len())
        }
    }

    /// The units from `tail` to `head`; `None` when `tail` is not behind.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn distance(&self, tail: usize, head: usize) -> Option<usize> {
        let capacity = self.units.len();
        // In one lap the difference is that of the units. In the next one it is a
        // lap more, and too small by the capacity; that it is more than the capacity,
        // `MAX_UNITS` sees to.
        let ahead = head.wrapping_sub(tail) & !CLOSED;
        let ahead = if ahead > capacity { ahead.wrapping_sub(LAP - capacity) } else { ahead };
        if ahead <= capacity { Some(ahead) } else { self.stale_distance(tail, head) }
    }

    /// One of the two positions is old.
    #[cold]
    #[inline(never)]
    fn stale_distance(&self, tail: usize, head: usize) -> Option<usize> {
        let laps = (head & LAP_MASK).wrapping_sub(tail & LAP_MASK) & LAP_MASK;
        // A whole lap or more ahead of a stale `tail`: nothing is known to be free.
        (laps != 0 && laps <= LAP_MASK / 2).then_some(self.units.len())
    }
}

/// Claimed room for a frame.
pub(crate) struct Room<'a, T> {
    unit: &'a Unit<T>,
    /// Those of the ring. No borrow of what is claimed: it would last until `commit` has
    /// returned, and the consumer reads before.
    bytes: &'a Region,
    len: usize,
    begin: usize,
}

impl<T> Room<'_, T> {
    /// The whole units that the frame is in. They hold bytes of earlier frames.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the claim gave these units to this room alone: `head` passed
        // over them once, and `tail` comes past only after the commit, which
        // takes the room. They lie inside, since a claim never wraps.
        unsafe { self.bytes.write(self.begin * UNIT, units_of(self.len) * UNIT) }
    }

    /// Hands the frame to the consumer.
    #[inline(always)]
    pub(crate) fn commit(self, tag: T) -> Committed {
        self.unit.tag.with_mut(|slot| {
            // SAFETY: the unit belongs to this room; the slot is empty, the consumer
            // moved out what was in it before it released the unit.
            unsafe { (*slot).write(tag) };
        });
        // Ordering: Release publishes the bytes and the tag to the consumer's
        // Acquire load of the same word.
        self.unit.commit.store(COMMITTED | self.len as u32, Ordering::Release);
        Committed { begin: self.begin, end: self.begin + units_of(self.len) }
    }
}

/// A frame that is being written by foreign code. Dropped, it is passed over.
struct PassOver<'a, T> {
    unit: &'a Unit<T>,
    units: usize,
}

impl<T> Drop for PassOver<'_, T> {
    fn drop(&mut self) {
        // Ordering: Release; the next producer writes the same bytes.
        self.unit.commit.store(SKIP | self.units as u32, Ordering::Release);
    }
}

/// Where a frame was put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    begin: usize,
    end: usize,
}

impl Committed {
    /// Whether the frame holds the last of `mask + 1` units (a power of two),
    /// counted from the beginning of the memory: true once for each such run, and
    /// once per lap at least, without a counter that all producers would share.
    #[inline]
    pub(crate) fn completes(&self, mask: usize) -> bool {
        self.begin == 0 || (self.begin ^ self.end) & !mask != 0
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
        if self.kept * SHARES >= self.ring.capacity() {
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

    /// The bytes of the frame behind this one, if it is committed.
    #[inline]
    pub(crate) fn next_bytes(&self) -> Option<&[u8]> {
        let Consumer { ring, position, .. } = *self.consumer;
        let unit = ring.advance(position, units_of(self.len)) & UNIT_MASK;
        // Ordering: Acquire, as in `peek`.
        let commit = ring.units.get(unit)?.commit.load(Ordering::Acquire);
        if commit & (SKIP | COMMITTED) != COMMITTED {
            return None;
        }
        // SAFETY: as in `bytes`; it is behind this frame, and is not released before.
        Some(unsafe { ring.bytes.read(unit * UNIT, (commit & !COMMITTED) as usize) })
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

/// A frame that was not accepted, with its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<T> {
    /// The tag of the refused frame.
    pub tag: T,
    /// Why it was refused.
    pub why: Refusal,
}

/// Why a ring refused a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room before the consumer takes something.
    Full,
    /// The ring is closed for good.
    Closed,
    /// The frame is longer than half the ring.
    TooLong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Full => "the ring is full",
            Refusal::Closed => "the ring is closed",
            Refusal::TooLong => "the frame is longer than half the ring",
        })
    }
}

impl core::error::Error for Refusal {}

/// The units of a frame. An empty frame has one too: its commit and its tag need
/// a place that nobody else has.
#[inline]
const fn units_of(len: usize) -> usize {
    let len = if len == 0 { 1 } else { len };
    (len - 1) / UNIT + 1
}

/// The largest capacity of a ring, in units: half of what a lap could count, so that the
/// distance of two positions tells whether they are in one lap. On 32-bit targets a ring
/// has 2 MiB at most.
pub const MAX_UNITS: usize = LAP / 2;

const HALF: u32 = usize::BITS / 2;
const UNIT_MASK: usize = (1 << HALF) - 1;
const CLOSED: usize = 1 << (usize::BITS - 1);
const LAP: usize = 1 << HALF;
const LAP_MASK: usize = !UNIT_MASK & !CLOSED;

// In the next lap the difference of two positions is more than any capacity.
const _: () = assert!(LAP - (MAX_UNITS - 1) > MAX_UNITS);

/// A ring is freed in so many parts. In models it is a single one.
const SHARES: usize = if cfg!(throughline_loom) { 1 } else { 8 };

const SKIP: u32 = 1 << 31;
const COMMITTED: u32 = 1 << 30;
const MAX_FRAME_LEN: usize = COMMITTED as usize - 1;

#[cfg(all(test, not(throughline_loom)))]
mod tests;
