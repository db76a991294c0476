//! Models of the bitmap that gives out slots and spill blocks.
#![cfg(throughline_loom)]

use loom::cell::UnsafeCell;
use loom::thread;
use throughline_core::model::Places;
use throughline_loom_tests::{Preemptions, join, model, words};

/// A bitmap, and a cell per place that its owner alone may touch.
struct Owned {
    places: Places,
    cells: Vec<UnsafeCell<()>>,
}

impl Owned {
    fn new(bits: &[usize], len: usize) -> &'static Self {
        let cells = (0..len).map(|_| UnsafeCell::new(())).collect();
        Box::leak(Box::new(Owned { places: Places::new(words(bits), len), cells }))
    }

    /// Loom reports two touches of which neither comes before the other.
    fn touch(&self, place: usize) {
        self.cells[place].with_mut(|_| ());
    }
}

// Fails when a claim is not one read-modify-write, or when the claim does not
// acquire what the release of the former owner released.
#[test]
fn a_place_has_one_owner_at_a_time() {
    model(Preemptions { quick: 4, full: 6 }, || {
        let owned = Owned::new(&[0], 1);
        let use_one = |owned: &Owned| {
            if let Some(place) = owned.places.claim(0) {
                owned.touch(place);
                owned.places.release(place);
            }
        };
        let threads = [owned; 2].map(|owned| thread::spawn(move || use_one(owned)));
        use_one(owned);
        threads.into_iter().for_each(join);
        assert_eq!(owned.places.taken(), 0);
    });
}

// Fails when a release overwrites its neighbours: a place is then lost, or has
// two owners.
#[test]
fn released_places_come_back() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let owned = Owned::new(&[0], 2);
        let threads = [owned; 2].map(|owned| {
            thread::spawn(move || {
                let place = owned.places.claim(0).expect("two places for two threads");
                owned.touch(place);
                owned.places.release(place);
            })
        });
        threads.into_iter().for_each(join);
        let places = [owned.places.claim(0), owned.places.claim(0)];
        assert_eq!(places, [Some(0), Some(1)]);
        assert_eq!(owned.places.claim(0), None);
        places.into_iter().flatten().for_each(|place| owned.touch(place));
    });
}

// Fails when the search gives up in a full word, or when it goes beyond the last
// place of a word that is not used to its end.
#[test]
fn a_claim_finds_the_free_place_of_another_word() {
    let bits = usize::BITS as usize;
    model(Preemptions { quick: 4, full: 8 }, move || {
        let owned = Owned::new(&[usize::MAX, 0], bits + 2);
        let threads = [0, bits].map(|hint| {
            thread::spawn(move || {
                let place = owned.places.claim(hint)?;
                owned.touch(place);
                Some(place)
            })
        });
        let mut claimed = threads.map(join);
        claimed.sort_unstable();
        assert_eq!(claimed, [Some(bits), Some(bits + 1)]);
        assert_eq!(owned.places.claim(bits), None);
        owned.places.release(3);
        assert_eq!(owned.places.claim(bits), Some(3));
    });
}
