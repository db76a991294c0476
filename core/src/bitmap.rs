//! Which of a fixed number of places are taken.

use crate::sync::{AtomicUsize, Ordering, const_fn};

/// A set of indices below a fixed length, claimed and released by any thread.
///
/// A claim is one read-modify-write of the word that holds a free bit; nobody
/// waits, and there is no list whose head all threads fight for: each begins
/// its search at a word of its own.
#[derive(Debug)]
pub(crate) struct Bitmap {
    /// Bit `i % BITS` of word `i / BITS` is set while `i` is taken.
    words: &'static [TakenWord],
    len: usize,
}

/// Says of `usize::BITS` places each whether it is taken.
///
/// The bits are out of others' reach, since whoever could clear one could give a
/// place a second owner. Words shared by two pipelines are useless but harmless:
/// what one has taken, the other cannot take.
#[derive(Debug)]
pub struct TakenWord(AtomicUsize);

impl TakenWord {
    const_fn! {
        /// A word whose places are free where `taken` has a zero. The others are
        /// never given out.
        pub fn new(taken: usize) -> Self {
            TakenWord(AtomicUsize::new(taken))
        }
    }
}

impl Bitmap {
    const_fn! {
        /// At most `len` places, as far as the words reach.
        pub(crate) fn new(words: &'static [TakenWord], len: usize) -> Self {
            let reach = words.len() * BITS;
            Bitmap { words, len: if len < reach { len } else { reach } }
        }
    }

    /// Takes a place, if any is free: the hinted one, or one near it.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn claim(&self, hint: usize) -> Option<usize> {
        if hint < self.len
            && let Some(word) = self.words.get(hint / BITS)
        {
            let bit = 1 << (hint % BITS);
            // Ordering: Acquire synchronizes with the Release of the place's
            // former owner, whose last writes thus come before ours. A bit that
            // was set stays so.
            if word.0.fetch_or(bit, Ordering::Acquire) & bit == 0 {
                return Some(hint);
            }
        }
        self.search(hint / BITS)
    }

    #[cold]
    fn search(&self, hint: usize) -> Option<usize> {
        let words = self.len.div_ceil(BITS);
        let first = hint.checked_rem(words)?;
        (first..first + words).find_map(|word| self.claim_in(word % words))
    }

    /// Takes a place in one of these words, if any is free: in the first one, at its lowest.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn claim_among(&self, words: core::ops::Range<usize>) -> Option<usize> {
        words.into_iter().find_map(|word| self.claim_in(word))
    }

    /// The number of words with places.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn words(&self) -> usize {
        self.len.div_ceil(BITS)
    }

    fn claim_in(&self, word: usize) -> Option<usize> {
        let begin = word.checked_mul(BITS)?;
        let places = self.len.checked_sub(begin)?;
        let cell = &self.words.get(word)?.0;
        // Ordering: Relaxed; the exchange validates it.
        let mut taken = cell.load(Ordering::Relaxed);
        loop {
            let bit = (!taken).trailing_zeros() as usize;
            if bit >= places.min(BITS) {
                return None;
            }
            // Ordering: Acquire, as in `claim`.
            match cell.compare_exchange(
                taken,
                taken | 1 << bit,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(begin + bit),
                Err(current) => taken = current,
            }
        }
    }

    /// Gives a place back.
    #[inline]
    pub(crate) fn release(&self, index: usize) {
        if let Some(word) = self.words.get(index / BITS) {
            // Ordering: Release hands the place to the Acquire of its next owner.
            word.0.fetch_and(!(1 << (index % BITS)), Ordering::Release);
        }
    }

    /// Calls back for each taken place, having announced it beside those near it. Words without
    /// any cost a load.
    pub(crate) fn each_taken(&self, mut announce: impl FnMut(usize), mut visit: impl FnMut(usize)) {
        for (number, word) in self.words.iter().enumerate() {
            // Ordering: Acquire synchronizes with the Release of the places that
            // are free.
            let taken = word.0.load(Ordering::Acquire);
            each_bit(taken, |bit| announce(number * BITS + bit));
            each_bit(taken, |bit| visit(number * BITS + bit));
        }
    }

    /// The number of places.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[inline]
fn each_bit(mut bits: usize, mut visit: impl FnMut(usize)) {
    while bits != 0 {
        visit(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// The places of a word.
pub(crate) const BITS: usize = usize::BITS as usize;
