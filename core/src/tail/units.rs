//! The memory in which frames wait: small units of one size, chained.

use crate::Scope;
use crate::wire;

/// 128 bytes of memory for waiting frames.
///
/// A frame takes as many as it needs; those of a trace are one chain, so that
/// dropping a trace is one step however many spans it has.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Unit {
    /// Whose spans these are; of the first unit of a frame.
    scope: &'static Scope,
    /// The length of the frame, in its first unit.
    len: u32,
    next: u32,
    bytes: [u8; PAYLOAD],
}

impl Unit {
    /// A unit with nothing in it.
    pub const EMPTY: Unit =
        Unit { scope: &Scope::new("", ""), len: 0, next: NONE, bytes: [0; PAYLOAD] };
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
}

impl Chain {
    /// A chain without frames.
    pub const EMPTY: Chain = Chain { first: NONE, last: NONE, frames: 0, units: 0 };
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
    /// The chain of those that were used and are free again.
    free: u32,
    /// The second of that chain: looked up before it is needed, since it is mostly
    /// far away in memory.
    then_free: u32,
    /// Those from here on were never used.
    fresh: usize,
    used: usize,
}

impl<U: AsRef<[Unit]> + AsMut<[Unit]>> Units<U> {
    pub(super) fn new(memory: U) -> Self {
        Units { memory, free: NONE, then_free: NONE, fresh: 0, used: 0 }
    }

    pub(super) fn capacity(&self) -> usize {
        self.memory.as_ref().len().min(NONE as usize)
    }

    pub(super) fn free(&self) -> usize {
        self.capacity() - self.used
    }

    /// Puts a frame at the end of a chain; whether there was room.
    pub(super) fn append(
        &mut self,
        chain: &mut Chain,
        frame: &[u8],
        scope: &'static Scope,
    ) -> bool {
        let needed = units_of(frame.len());
        if needed > self.free() {
            return false;
        }
        let (mut len, mut rest) = (frame.len() as u32, frame);
        loop {
            let (part, after) = rest.split_at(rest.len().min(PAYLOAD));
            let Some(index) = self.take() else { return false };
            let memory = self.memory.as_mut();
            if let Some(unit) = memory.get_mut(index as usize) {
                (unit.scope, unit.len, unit.next) = (scope, len, NONE);
                match part.first_chunk() {
                    // Without a call.
                    Some(whole) => unit.bytes = *whole,
                    None => wire::copy(unit.bytes.get_mut(..part.len()).unwrap_or_default(), part),
                }
            }
            match memory.get_mut(chain.last as usize) {
                Some(last) => last.next = index,
                None => chain.first = index,
            }
            chain.last = index;
            (len, rest) = (0, after);
            if rest.is_empty() {
                break;
            }
        }
        chain.frames += 1;
        chain.units += needed as u32;
        true
    }

    /// The length of the first frame of a chain, and its scope.
    pub(super) fn first(&self, chain: &Chain) -> Option<(usize, &'static Scope)> {
        let unit = self.memory.as_ref().get(chain.first as usize)?;
        Some((unit.len as usize, unit.scope))
    }

    /// Moves the first frame of a chain into this memory, which is as long.
    pub(super) fn take_first(&mut self, chain: &mut Chain, to: &mut [u8]) {
        let needed = units_of(to.len());
        let mut rest = to;
        for _ in 0..needed {
            let index = chain.first;
            let Some(unit) = self.memory.as_mut().get_mut(index as usize) else { return };
            let (part, after) = rest.split_at_mut(rest.len().min(PAYLOAD));
            wire::copy(part, unit.bytes.get(..part.len()).unwrap_or_default());
            rest = after;
            chain.first = core::mem::replace(&mut unit.next, self.free);
            (self.free, self.then_free) = (index, self.free);
        }
        self.used -= needed;
        chain.frames -= 1;
        chain.units -= needed as u32;
        if chain.frames == 0 {
            *chain = Chain::EMPTY;
        }
    }

    /// Frees all units of a chain. Returns how many frames they were.
    pub(super) fn clear(&mut self, chain: &mut Chain) -> usize {
        let Chain { first, last, frames, units } = core::mem::take(chain);
        if let Some(last) = self.memory.as_mut().get_mut(last as usize) {
            last.next = self.free;
            self.free = first;
            self.used -= units as usize;
            self.then_free = self.next(first);
        }
        frames as usize
    }

    fn take(&mut self) -> Option<u32> {
        let index = if self.free != NONE {
            let index = core::mem::replace(&mut self.free, self.then_free);
            self.then_free = self.next(self.free);
            index
        } else if self.fresh < self.capacity() {
            self.fresh += 1;
            self.fresh as u32 - 1
        } else {
            return None;
        };
        self.used += 1;
        Some(index)
    }

    #[inline]
    fn next(&self, index: u32) -> u32 {
        self.memory.as_ref().get(index as usize).map_or(NONE, |unit| unit.next)
    }
}

/// The units of a frame.
pub(super) const fn units_of(len: usize) -> usize {
    if len == 0 { 1 } else { len.div_ceil(PAYLOAD) }
}

/// No unit.
const NONE: u32 = u32::MAX;
const PAYLOAD: usize = 128 - size_of::<&Scope>() - 8;

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    static SCOPE: Scope = Scope::new("units", "");

    #[test]
    fn a_unit_is_two_cache_lines() {
        assert_eq!(size_of::<Unit>(), 128);
    }

    #[test]
    fn frames_of_any_length_come_back_in_order_from_chains_that_share_the_memory() {
        let mut units = Units::new(vec![Unit::EMPTY; 64]);
        let mut chains = [Chain::EMPTY; 3];
        let mut expected: [std::collections::VecDeque<Vec<u8>>; 3] = Default::default();
        for step in 0..20_000usize {
            let which = step * 7 % 3;
            let frame: Vec<u8> = (0..1 + step * 37 % 700).map(|i| (i + step) as u8).collect();
            if units.append(&mut chains[which], &frame, &SCOPE) {
                expected[which].push_back(frame);
                continue;
            }
            // Full: the one frees a frame, the other all.
            let other = (which + 1) % 3;
            let frames = units.clear(&mut chains[other]);
            assert_eq!(frames, expected[other].drain(..).count());
            while let Some(frame) = expected[which].pop_front() {
                let (len, scope) = units.first(&chains[which]).unwrap();
                assert_eq!((len, scope), (frame.len(), &SCOPE));
                let mut bytes = vec![0; len];
                units.take_first(&mut chains[which], &mut bytes);
                assert_eq!(bytes, frame);
            }
            assert!(units.first(&chains[which]).is_none());
            let used: u32 = chains.iter().map(|chain| chain.units).sum();
            assert_eq!(units.free() + used as usize, 64);
        }
    }

    #[test]
    fn a_frame_without_room_leaves_everything_as_it_was() {
        let mut units = Units::new(vec![Unit::EMPTY; 2]);
        let mut chain = Chain::EMPTY;
        assert!(!units.append(&mut chain, &[1; 3 * PAYLOAD], &SCOPE));
        assert!(units.append(&mut chain, &[2; 2 * PAYLOAD], &SCOPE));
        assert!(!units.append(&mut chain, &[], &SCOPE));
        assert_eq!((chain.frames, units.free()), (1, 0));
        assert_eq!((units.clear(&mut chain), units.free()), (1, 2));
    }
}
