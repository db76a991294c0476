//! The memory in which frames wait: small cells of one size, chained.

use crate::Scope;
use crate::wire;

/// Memory for waiting frames: 16 cells of 128 bytes.
///
/// A frame takes as many cells as it needs; those of a trace are one chain, so
/// that dropping a trace is one step however many spans it has. The links are
/// beside each other, apart from the frames: to follow them takes a fraction of the
/// processor's cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Unit {
    links: [u32; Unit::CELLS],
    cells: [Cell; Unit::CELLS],
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Cell {
    /// Whose span this is; in the first cell of a frame.
    scope: &'static Scope,
    /// The length of the frame, in its first cell.
    len: u32,
    bytes: [u8; PAYLOAD],
}

impl Unit {
    /// The cells of a unit.
    pub const CELLS: usize = 16;
    /// The bytes of a cell, of which a frame takes a whole number.
    pub const CELL_BYTES: usize = size_of::<Cell>();

    /// A unit with nothing in it.
    pub const EMPTY: Unit = Unit {
        links: [NONE; Unit::CELLS],
        cells: [Cell { scope: &Scope::new("", ""), len: 0, bytes: [0; PAYLOAD] }; Unit::CELLS],
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
    pub(super) cells: u32,
}

impl Chain {
    /// A chain without frames.
    pub const EMPTY: Chain = Chain { first: NONE, last: NONE, frames: 0, cells: 0 };
}

impl Default for Chain {
    fn default() -> Self {
        Chain::EMPTY
    }
}

/// The cells of a buffer, free or in a chain.
#[derive(Debug)]
pub(super) struct Units<U> {
    memory: U,
    /// The chain of those that were used and are free again.
    free: u32,
    /// Those from here on were never used.
    fresh: usize,
    used: usize,
}

impl<U: AsRef<[Unit]> + AsMut<[Unit]>> Units<U> {
    pub(super) fn new(memory: U) -> Self {
        Units { memory, free: NONE, fresh: 0, used: 0 }
    }

    /// The number of cells.
    pub(super) fn capacity(&self) -> usize {
        (self.memory.as_ref().len() * Unit::CELLS).min(NONE as usize)
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
        let needed = cells_of(frame.len());
        if needed > self.free() {
            return false;
        }
        let (mut len, mut rest) = (frame.len() as u32, frame);
        loop {
            let (part, after) = rest.split_at(rest.len().min(PAYLOAD));
            let Some(index) = self.take() else { return false };
            if let Some(cell) = self.cell_mut(index) {
                (cell.scope, cell.len) = (scope, len);
                match part.first_chunk() {
                    // Without a call.
                    Some(whole) => cell.bytes = *whole,
                    None => wire::copy(cell.bytes.get_mut(..part.len()).unwrap_or_default(), part),
                }
            }
            match self.link_mut(chain.last) {
                Some(link) => *link = index,
                None => chain.first = index,
            }
            chain.last = index;
            (len, rest) = (0, after);
            if rest.is_empty() {
                break;
            }
        }
        chain.frames += 1;
        chain.cells += needed as u32;
        true
    }

    /// The length of the first frame of a chain, and its scope.
    pub(super) fn first(&self, chain: &Chain) -> Option<(usize, &'static Scope)> {
        let unit = self.memory.as_ref().get(chain.first as usize / Unit::CELLS)?;
        let cell = unit.cells.get(chain.first as usize % Unit::CELLS)?;
        Some((cell.len as usize, cell.scope))
    }

    /// Moves the first frame of a chain into this memory, which is as long.
    pub(super) fn take_first(&mut self, chain: &mut Chain, to: &mut [u8]) {
        let needed = cells_of(to.len());
        let mut rest = to;
        for _ in 0..needed {
            let (index, free) = (chain.first, self.free);
            let Some(cell) = self.cell_mut(index) else { return };
            let (part, after) = rest.split_at_mut(rest.len().min(PAYLOAD));
            wire::copy(part, cell.bytes.get(..part.len()).unwrap_or_default());
            rest = after;
            let Some(link) = self.link_mut(index) else { return };
            chain.first = core::mem::replace(link, free);
            self.free = index;
        }
        self.used -= needed;
        chain.frames -= 1;
        chain.cells -= needed as u32;
        if chain.frames == 0 {
            *chain = Chain::EMPTY;
        }
    }

    /// Frees all cells of a chain. Returns how many frames they were.
    pub(super) fn clear(&mut self, chain: &mut Chain) -> usize {
        let Chain { first, last, frames, cells } = core::mem::take(chain);
        let free = self.free;
        if let Some(link) = self.link_mut(last) {
            *link = free;
            self.free = first;
            self.used -= cells as usize;
        }
        frames as usize
    }

    fn take(&mut self) -> Option<u32> {
        let index = self.free;
        if let Some(link) = self.link_mut(index) {
            self.free = *link;
        } else if self.fresh < self.capacity() {
            self.fresh += 1;
            self.used += 1;
            let index = self.fresh as u32 - 1;
            return Some(index);
        } else {
            return None;
        }
        self.used += 1;
        Some(index)
    }

    #[inline]
    fn link_mut(&mut self, index: u32) -> Option<&mut u32> {
        let unit = self.memory.as_mut().get_mut(index as usize / Unit::CELLS)?;
        unit.links.get_mut(index as usize % Unit::CELLS)
    }

    #[inline]
    fn cell_mut(&mut self, index: u32) -> Option<&mut Cell> {
        let unit = self.memory.as_mut().get_mut(index as usize / Unit::CELLS)?;
        unit.cells.get_mut(index as usize % Unit::CELLS)
    }
}

/// The cells of a frame.
pub(super) const fn cells_of(len: usize) -> usize {
    if len == 0 { 1 } else { len.div_ceil(PAYLOAD) }
}

/// No cell.
const NONE: u32 = u32::MAX;
const PAYLOAD: usize = 128 - size_of::<&Scope>() - 4;

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    static SCOPE: Scope = Scope::new("units", "");

    #[test]
    fn a_cell_is_two_cache_lines_and_its_link_four_bytes() {
        assert_eq!((Unit::CELL_BYTES, size_of::<Unit>()), (128, 16 * 132));
    }

    #[test]
    fn frames_of_any_length_come_back_in_order_from_chains_that_share_the_memory() {
        let mut units = Units::new(vec![Unit::EMPTY; 4]);
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
            let used: u32 = chains.iter().map(|chain| chain.cells).sum();
            assert_eq!(units.free() + used as usize, 64);
        }
    }

    #[test]
    fn a_frame_without_room_leaves_everything_as_it_was() {
        let mut units = Units::new(vec![Unit::EMPTY; 1]);
        let mut chain = Chain::EMPTY;
        assert!(!units.append(&mut chain, &[1; 17 * PAYLOAD], &SCOPE));
        assert!(units.append(&mut chain, &[2; 16 * PAYLOAD], &SCOPE));
        assert!(!units.append(&mut chain, &[], &SCOPE));
        assert_eq!((chain.frames, units.free()), (1, 0));
        assert_eq!((units.clear(&mut chain), units.free()), (1, 16));
    }
}
