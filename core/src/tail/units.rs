//! The memory in which frames wait: units of one size, chained, in which the frames of a
//! trace lie one behind the other.
//!
//! ```text
//!   chain ─▶ unit 7              unit 3                    free ─▶ unit 4 ─▶ unit 0
//!            │ A │ B │ C begins ─▶ C ends │ D │     │
//!              ▲ read from here               ▲ written here
//! ```

use crate::prefetch::prefetch;
use crate::{Scope, UNIT, wire};

/// Memory for waiting frames: 960 bytes, of which frames take 856.
///
/// Those of a trace lie one behind the other, in as many units as they need, which are
/// chained: dropping a trace is one step however many spans it has. A trace that waits
/// has one unit at least.
///
/// Of a frame only the span's message waits: its header tells a length, which changes when
/// the span is marked.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Unit {
    /// The next unit of its chain.
    next: u32,
    /// The lengths of the frames that begin in it, and REMARKABLE.
    lens: [u32; Unit::FRAMES],
    /// Whose spans they are.
    scopes: [&'static Scope; Unit::FRAMES],
    bytes: [u8; Unit::BYTES],
}

impl Unit {
    /// The most frames that begin in a unit.
    const FRAMES: usize = 8;
    /// What frames take of it: of 15 cache lines, since of a power of two all units would share
    /// a few lines of a cache, less what is told of them and where the next one is.
    const BYTES: usize = 15 * 64 - 12 * Unit::FRAMES - 8;

    /// A unit with nothing in it.
    pub const EMPTY: Unit = Unit {
        next: NONE,
        lens: [0; Unit::FRAMES],
        scopes: [&Scope::new("", ""); Unit::FRAMES],
        bytes: [0; Unit::BYTES],
    };
}

impl Default for Unit {
    fn default() -> Self {
        Unit::EMPTY
    }
}

/// The waiting frames of one trace.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    first: u32,
    last: u32,
    pub(super) frames: u32,
    pub(super) units: u32,
    /// Where the first frame begins.
    front: Place,
    /// Where the next one will.
    back: Place,
}

/// A place in a unit: so many bytes and frames are before it.
#[derive(Clone, Copy, Debug)]
struct Place {
    bytes: u16,
    frames: u16,
}

impl Place {
    const BEGIN: Place = Place { bytes: 0, frames: 0 };

    /// Whether a frame may begin here.
    fn is_inside(self) -> bool {
        usize::from(self.bytes) < Unit::BYTES && usize::from(self.frames) < Unit::FRAMES
    }
}

impl Chain {
    /// A chain without frames.
    pub const EMPTY: Chain = Chain {
        first: NONE,
        last: NONE,
        frames: 0,
        units: 0,
        front: Place::BEGIN,
        back: Place::BEGIN,
    };

    /// The bytes that are left in its last unit for a frame that begins now.
    fn left(&self) -> usize {
        let is_usable = self.last != NONE && self.back.is_inside();
        if is_usable { Unit::BYTES - usize::from(self.back.bytes) } else { 0 }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Chain::EMPTY
    }
}

/// The units of a buffer, free or in a chain.
#[derive(Debug)]
pub(super) struct Units<U> {
    memory: U,
    /// The chain of those that are free, and how many they are.
    first_free: u32,
    free: usize,
}

impl<U: AsRef<[Unit]> + AsMut<[Unit]>> Units<U> {
    /// Chains all units, as free.
    pub(super) fn new(mut memory: U) -> Self {
        let all = memory.as_mut().iter_mut().zip(1..NONE);
        let free = all.map(|(unit, next)| unit.next = next).count();
        let mut units = Units { memory, first_free: if free == 0 { NONE } else { 0 }, free };
        if let Some(last) = units.unit_mut((free as u32).wrapping_sub(1)) {
            last.next = NONE;
        }
        units
    }

    /// The number of units.
    pub(super) fn capacity(&self) -> usize {
        self.memory.as_ref().len().min(NONE as usize - 1)
    }

    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// Whether a chain has room for a frame of this length, with what is free.
    #[inline]
    pub(super) fn has_room(&self, chain: &Chain, len: usize) -> bool {
        len / Unit::BYTES < self.free || units_for(chain, len) <= self.free
    }

    /// Puts a frame, which is not empty, at the end of a chain; whether there was room.
    #[inline]
    pub(super) fn append(
        &mut self,
        chain: &mut Chain,
        frame: &[u8],
        scope: &'static Scope,
        is_remarkable: bool,
    ) -> bool {
        let len = frame.len() as u32 | if is_remarkable { REMARKABLE } else { 0 };
        let (begin, nth) = (usize::from(chain.back.bytes), usize::from(chain.back.frames));
        // Most fit into the last unit.
        if let Some(unit) = self.memory.as_mut().get_mut(chain.last as usize)
            && let Some(place) = unit.bytes.get_mut(begin..begin + frame.len())
            && let Some(head) = unit.lens.get_mut(nth).zip(unit.scopes.get_mut(nth))
        {
            wire::copy(place, frame);
            (*head.0, *head.1) = (len, scope);
            chain.back.bytes += frame.len() as u16;
            chain.back.frames += 1;
            chain.frames += 1;
            return true;
        }
        self.append_in_parts(chain, frame, len, scope)
    }

    /// The same, of what ends in another unit.
    #[inline(never)]
    fn append_in_parts(
        &mut self,
        chain: &mut Chain,
        frame: &[u8],
        len: u32,
        scope: &'static Scope,
    ) -> bool {
        if units_for(chain, frame.len()) > self.free {
            return false;
        }
        if chain.left() == 0 {
            self.add_unit(chain);
        }
        let nth = usize::from(chain.back.frames);
        if let Some(unit) = self.unit_mut(chain.last)
            && let Some(head) = unit.lens.get_mut(nth).zip(unit.scopes.get_mut(nth))
        {
            (*head.0, *head.1) = (len, scope);
        }
        chain.back.frames += 1;
        let mut rest = frame;
        while let Some(unit) = self.unit_mut(chain.last) {
            let place = unit.bytes.get_mut(usize::from(chain.back.bytes)..).unwrap_or_default();
            let (part, after) = rest.split_at(rest.len().min(place.len()));
            wire::copy(place.get_mut(..part.len()).unwrap_or_default(), part);
            chain.back.bytes += part.len() as u16;
            rest = after;
            if rest.is_empty() {
                break;
            }
            self.add_unit(chain);
        }
        chain.frames += 1;
        true
    }

    /// Chains a free unit, if there is one, behind the last one.
    fn add_unit(&mut self, chain: &mut Chain) {
        let added = self.first_free;
        let Some(unit) = self.unit_mut(added) else { return };
        self.first_free = unit.next;
        self.free -= 1;
        match self.unit_mut(chain.last) {
            Some(last) => last.next = added,
            None => chain.first = added,
        }
        (chain.last, chain.back) = (added, Place::BEGIN);
        chain.units += 1;
        // The one that is added next was not used since long.
        self.expect_unit(self.first_free);
    }

    /// Says that all of a unit is asked for soon.
    #[inline]
    fn expect_unit(&self, index: u32) {
        if let Some(unit) = self.memory.as_ref().get(index as usize) {
            prefetch(&unit.next);
            unit.bytes.iter().step_by(UNIT).for_each(prefetch);
        }
    }

    /// The length of the first frame of a chain, whether it is remarkable, and its
    /// scope.
    pub(super) fn first(&self, chain: &Chain) -> Option<(usize, bool, &'static Scope)> {
        let (unit, nth) = (chain.first as usize, usize::from(chain.front.frames));
        let unit = self.memory.as_ref().get(unit).filter(|_| chain.frames > 0)?;
        let (len, scope) = (unit.lens.get(nth)?, unit.scopes.get(nth)?);
        Some(((len & !REMARKABLE) as usize, len & REMARKABLE != 0, scope))
    }

    /// Moves the first frame of a chain into this memory, which is as long.
    #[inline]
    pub(super) fn take_first(&mut self, chain: &mut Chain, to: &mut [u8]) {
        let begin = usize::from(chain.front.bytes);
        // Most are in one unit, and followed by another frame there.
        if chain.frames > 1
            && usize::from(chain.front.frames) + 1 < Unit::FRAMES
            && begin + to.len() < Unit::BYTES
            && let Some(unit) = self.memory.as_ref().get(chain.first as usize)
            && let Some(frame) = unit.bytes.get(begin..begin + to.len())
        {
            wire::copy(to, frame);
            chain.front.bytes += to.len() as u16;
            chain.front.frames += 1;
            chain.frames -= 1;
            return;
        }
        self.take_first_in_parts(chain, to);
    }

    /// The same, of what ends in another unit, or is the last frame of one.
    #[inline(never)]
    fn take_first_in_parts(&mut self, chain: &mut Chain, to: &mut [u8]) {
        chain.front.frames += 1;
        let mut rest = to;
        while let Some(unit) = self.unit_mut(chain.first) {
            let bytes = unit.bytes.get(usize::from(chain.front.bytes)..).unwrap_or_default();
            let (part, after) = rest.split_at_mut(rest.len().min(bytes.len()));
            wire::copy(part, bytes.get(..part.len()).unwrap_or_default());
            chain.front.bytes += part.len() as u16;
            rest = after;
            if rest.is_empty() {
                break;
            }
            self.free_first(chain);
        }
        chain.frames -= 1;
        if chain.frames == 0 {
            self.clear(chain);
        } else if !chain.front.is_inside() {
            self.free_first(chain);
        }
    }

    /// Frees the first unit of a chain, which has another one.
    fn free_first(&mut self, chain: &mut Chain) {
        let (freed, free) = (chain.first, self.first_free);
        let Some(unit) = self.unit_mut(freed) else { return };
        chain.first = core::mem::replace(&mut unit.next, free);
        chain.front = Place::BEGIN;
        chain.units -= 1;
        self.first_free = freed;
        self.free += 1;
        // While this one is read the one behind it comes near.
        if let Some(unit) = self.memory.as_ref().get(chain.first as usize) {
            self.expect_unit(unit.next);
        }
    }

    /// Says that a chain is emptied soon, and whether its frames are read.
    #[inline]
    pub(super) fn expect(&self, chain: &Chain, is_read: bool) {
        if is_read {
            self.expect_unit(chain.first);
        } else if let Some(unit) = self.memory.as_ref().get(chain.last as usize) {
            prefetch(&unit.next);
        }
    }

    /// Frees all units of a chain. Returns how many frames were in it.
    pub(super) fn clear(&mut self, chain: &mut Chain) -> usize {
        let Chain { first, last, frames, units, .. } = core::mem::take(chain);
        let free = self.first_free;
        if let Some(last) = self.unit_mut(last) {
            last.next = free;
            self.first_free = first;
            self.free += units as usize;
        }
        frames as usize
    }

    #[inline]
    fn unit_mut(&mut self, index: u32) -> Option<&mut Unit> {
        self.memory.as_mut().get_mut(index as usize)
    }
}

/// How many units have to be added to a chain for a frame of this length.
pub(super) fn units_for(chain: &Chain, len: usize) -> usize {
    len.saturating_sub(chain.left()).div_ceil(Unit::BYTES)
}

/// No frame is so long.
const REMARKABLE: u32 = 1 << 31;
/// No unit.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    static SCOPES: [Scope; 2] = [Scope::new("units", ""), Scope::new("others", "")];

    /// A power of two would have all units share a few lines of a cache.
    #[test]
    fn a_unit_is_an_odd_number_of_cache_lines() {
        assert_eq!(size_of::<Unit>(), 15 * 64);
    }

    /// A frame's length, a scope, and whether it is remarkable.
    type Said = (usize, usize, bool);

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize, Said),
        TakeFirst(usize),
        Clear(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let len = prop_oneof![6 => 1usize..300, 2 => 700usize..900, 1 => 1usize..4_000];
        let said = (len, 0usize..2, any::<bool>());
        prop_oneof![
            8 => (0usize..3, said).prop_map(|(chain, said)| Step::Append(chain, said)),
            6 => (0usize..3).prop_map(Step::TakeFirst),
            1 => (0usize..3).prop_map(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn frames_of_any_length_come_back_in_order_from_chains_that_share_the_memory(
            steps in prop::collection::vec(step(), 1..300),
        ) {
            let mut units = Units::new(vec![Unit::EMPTY; 12]);
            let mut chains = [Chain::EMPTY; 3];
            let mut expected: [VecDeque<(Vec<u8>, Said)>; 3] = Default::default();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Append(chain, said) => {
                        let (len, scope, is_remarkable) = said;
                        let frame: Vec<u8> = (0..len).map(|i| (i + number) as u8).collect();
                        let has_room = units.has_room(&chains[chain], len);
                        let scope = &SCOPES[scope];
                        let is_put = units.append(&mut chains[chain], &frame, scope, is_remarkable);
                        prop_assert_eq!(is_put, has_room);
                        if is_put {
                            expected[chain].push_back((frame, said));
                        }
                    }
                    Step::TakeFirst(chain) => match expected[chain].pop_front() {
                        None => prop_assert!(units.first(&chains[chain]).is_none()),
                        Some((frame, (len, scope, is_remarkable))) => {
                            let first = units.first(&chains[chain]);
                            prop_assert_eq!(first, Some((len, is_remarkable, &SCOPES[scope])));
                            let mut bytes = vec![0; len];
                            units.take_first(&mut chains[chain], &mut bytes);
                            prop_assert_eq!(bytes, frame);
                        }
                    },
                    Step::Clear(chain) => {
                        let frames = units.clear(&mut chains[chain]);
                        prop_assert_eq!(frames, expected[chain].drain(..).count());
                    }
                }
                let used: u32 = chains.iter().map(|chain| chain.units).sum();
                prop_assert_eq!(units.free() + used as usize, 12);
                for (chain, expected) in chains.iter().zip(&expected) {
                    prop_assert_eq!(chain.frames as usize, expected.len());
                    prop_assert_eq!(chain.units == 0, expected.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_frame_without_room_leaves_everything_as_it_was() {
        let mut units = Units::new(vec![Unit::EMPTY; 2]);
        let mut chain = Chain::EMPTY;
        let scope = &SCOPES[0];
        assert!(!units.append(&mut chain, &[1; 2 * Unit::BYTES + 1], scope, false));
        assert!(units.append(&mut chain, &[2; 2 * Unit::BYTES - 1], scope, false));
        assert!(!units.append(&mut chain, &[3, 3], scope, false));
        assert!(units.append(&mut chain, &[4], scope, false));
        assert!(!units.append(&mut chain, &[5], scope, false));
        assert_eq!((chain.frames, units.free()), (2, 0));
        assert_eq!((units.clear(&mut chain), units.free()), (2, 2));
    }

    #[test]
    fn without_memory_there_is_no_room() {
        let mut units = Units::new(vec![]);
        assert!(!units.has_room(&Chain::EMPTY, 1));
        let mut chain = Chain::EMPTY;
        assert!(!units.append(&mut chain, &[1], &SCOPES[0], false));
    }
}
