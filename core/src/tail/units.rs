//! The memory in which frames wait: small cells of one size, chained.

use super::prefetch::prefetch;
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
    /// The length of the frame, in its first cell, and REMARKABLE.
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
    /// The chain of those that are free, and how many they are.
    first_free: u32,
    free: usize,
}

impl<U: AsRef<[Unit]> + AsMut<[Unit]>> Units<U> {
    /// Chains all cells, as free.
    pub(super) fn new(mut memory: U) -> Self {
        let links = memory.as_mut().iter_mut().flat_map(|unit| &mut unit.links);
        let count = links.zip(1..NONE).map(|(link, next)| *link = next).count();
        let first_free = if count == 0 { NONE } else { 0 };
        let mut units = Units { memory, first_free, free: count };
        if let Some(link) = units.link_mut((count as u32).wrapping_sub(1)) {
            *link = NONE;
        }
        units
    }

    /// The number of cells.
    pub(super) fn capacity(&self) -> usize {
        (self.memory.as_ref().len() * Unit::CELLS).min(NONE as usize)
    }

    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// Puts a frame, of so many cells, at the end of a chain; whether there was room.
    #[inline]
    pub(super) fn append(
        &mut self,
        chain: &mut Chain,
        needed: usize,
        frame: &[u8],
        scope: &'static Scope,
        is_remarkable: bool,
    ) -> bool {
        let Some(free) = self.free.checked_sub(needed) else { return false };
        let remarkable = if is_remarkable { REMARKABLE } else { 0 };
        let (mut len, mut rest) = (frame.len() as u32 | remarkable, frame);
        let memory = self.memory.as_mut();
        // Free cells are a chain already: what is behind the last one is free.
        let (first, mut index) = (self.first_free, self.first_free);
        let next = loop {
            let (part, after) = rest.split_at(rest.len().min(PAYLOAD));
            let Some((link, cell)) = at(memory, index) else { return false };
            (cell.scope, cell.len) = (scope, len);
            match part.first_chunk() {
                // Without a call.
                Some(whole) => cell.bytes = *whole,
                None => wire::copy(cell.bytes.get_mut(..part.len()).unwrap_or_default(), part),
            }
            (len, rest) = (0, after);
            if rest.is_empty() {
                break *link;
            }
            index = *link;
        };
        match at(memory, chain.last) {
            Some((link, _)) => *link = first,
            None => chain.first = first,
        }
        (chain.last, self.first_free, self.free) = (index, next, free);
        self.prefetch_free(needed);
        chain.frames += 1;
        chain.cells += needed as u32;
        true
    }

    /// The next frame may be as long as the last one, and its cells were not used since
    /// long.
    #[inline]
    fn prefetch_free(&mut self, cells: usize) {
        let mut index = self.first_free;
        for _ in 0..cells {
            let Some((link, cell)) = at(self.memory.as_mut(), index) else { return };
            prefetch(&cell.scope);
            prefetch(&cell.bytes[PAYLOAD / 2]);
            index = *link;
        }
    }

    /// The length of the first frame of a chain, whether it is remarkable, and its
    /// scope.
    pub(super) fn first(&self, chain: &Chain) -> Option<(usize, bool, &'static Scope)> {
        let unit = self.memory.as_ref().get(chain.first as usize / Unit::CELLS)?;
        let cell = unit.cells.get(chain.first as usize % Unit::CELLS)?;
        Some(((cell.len & !REMARKABLE) as usize, cell.len & REMARKABLE != 0, cell.scope))
    }

    /// Moves the first frame of a chain into this memory, which is as long.
    pub(super) fn take_first(&mut self, chain: &mut Chain, to: &mut [u8]) {
        let needed = cells_of(to.len());
        let mut rest = to;
        for _ in 0..needed {
            let (index, free) = (chain.first, self.first_free);
            let Some((link, cell)) = at(self.memory.as_mut(), index) else { return };
            let (part, after) = rest.split_at_mut(rest.len().min(PAYLOAD));
            match part.first_chunk_mut() {
                // Without a call.
                Some(whole) => *whole = cell.bytes,
                None => wire::copy(part, cell.bytes.get(..part.len()).unwrap_or_default()),
            }
            rest = after;
            chain.first = core::mem::replace(link, free);
            self.first_free = index;
        }
        self.free += needed;
        chain.frames -= 1;
        chain.cells -= needed as u32;
        if chain.frames == 0 {
            *chain = Chain::EMPTY;
        }
    }

    /// Frees all cells of a chain. Returns how many frames they were.
    pub(super) fn clear(&mut self, chain: &mut Chain) -> usize {
        let Chain { first, last, frames, cells } = core::mem::take(chain);
        let free = self.first_free;
        if let Some(link) = self.link_mut(last) {
            *link = free;
            self.first_free = first;
            self.free += cells as usize;
        }
        frames as usize
    }

    #[inline]
    fn link_mut(&mut self, index: u32) -> Option<&mut u32> {
        at(self.memory.as_mut(), index).map(|(link, _)| link)
    }
}

/// A cell and its link.
#[inline]
fn at(memory: &mut [Unit], index: u32) -> Option<(&mut u32, &mut Cell)> {
    let Unit { links, cells } = memory.get_mut(index as usize / Unit::CELLS)?;
    let within = index as usize % Unit::CELLS;
    Some((links.get_mut(within)?, cells.get_mut(within)?))
}

/// The cells of a frame.
pub(super) const fn cells_of(len: usize) -> usize {
    if len == 0 { 1 } else { len.div_ceil(PAYLOAD) }
}

/// No frame is so long.
const REMARKABLE: u32 = 1 << 31;
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
        let mut expected: [std::collections::VecDeque<(Vec<u8>, bool)>; 3] = Default::default();
        for step in 0..20_000usize {
            let which = step * 7 % 3;
            let frame: Vec<u8> = (0..1 + step * 37 % 700).map(|i| (i + step) as u8).collect();
            let cells = cells_of(frame.len());
            if units.append(&mut chains[which], cells, &frame, &SCOPE, step % 5 == 0) {
                expected[which].push_back((frame, step % 5 == 0));
                continue;
            }
            // Full: the one frees a frame, the other all.
            let other = (which + 1) % 3;
            let frames = units.clear(&mut chains[other]);
            assert_eq!(frames, expected[other].drain(..).count());
            while let Some((frame, is_remarkable)) = expected[which].pop_front() {
                let (len, said, scope) = units.first(&chains[which]).unwrap();
                assert_eq!((len, said, scope), (frame.len(), is_remarkable, &SCOPE));
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
        assert!(!units.append(&mut chain, 17, &[1; 17 * PAYLOAD], &SCOPE, false));
        assert!(units.append(&mut chain, 16, &[2; 16 * PAYLOAD], &SCOPE, false));
        assert!(!units.append(&mut chain, 1, &[], &SCOPE, false));
        assert_eq!((chain.frames, units.free()), (1, 0));
        assert_eq!((units.clear(&mut chain), units.free()), (1, 16));
    }
}
