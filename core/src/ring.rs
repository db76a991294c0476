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

mod consumer;

use core::fmt;
use core::mem::MaybeUninit;

pub use consumer::{Consumer, Frame, Mark};

use crate::prefetch::prefetch_to_write;
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
        let committed = Committed { begin: self.begin, end: self.begin + units_of(self.len) };
        self.expect_next(&committed);
        committed
    }

    /// Fetches as much memory as this frame took (no span's fits one unit), some frames behind
    /// it. The consumer had it last, on another processor mostly; without this each claim would
    /// wait until the bytes of the frame before are this processor's.
    #[inline(always)]
    fn expect_next(&self, Committed { begin, end }: &Committed) {
        if cfg!(any(target_os = "none", throughline_loom)) {
            return;
        }
        let ahead = self.bytes.address((begin + AHEAD) * UNIT);
        prefetch_to_write(ahead);
        prefetch_to_write(ahead.wrapping_add(UNIT));
        for unit in 2..end - begin {
            prefetch_to_write(ahead.wrapping_add(unit * UNIT));
        }
        // Their words and tags, of which two share a line.
        let first = core::ptr::from_ref(self.unit).wrapping_add(AHEAD);
        prefetch_to_write(first);
        prefetch_to_write(first.wrapping_add(end - begin - 1));
    }
}

/// So many units ahead, memory is fetched: what other processors have is that far away.
const AHEAD: usize = 16;

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

const SKIP: u32 = 1 << 31;
const COMMITTED: u32 = 1 << 30;
const MAX_FRAME_LEN: usize = COMMITTED as usize - 1;

#[cfg(all(test, not(throughline_loom)))]
mod tests;
