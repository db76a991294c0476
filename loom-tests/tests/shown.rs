//! A model of what a thread shows to others: what guards have entered.
#![cfg(throughline_loom)]

use std::sync::Arc;

use loom::thread;
use throughline_core::Shown;
use throughline_loom_tests::{Preemptions, join, model};

// Fails when a key does not carry with it whose it is, when whose it is does not carry
// with it that the former key is gone, or when the key is not looked at again behind
// whose it is.
#[test]
fn who_looks_sees_a_key_with_its_owner_or_nothing() {
    model(Preemptions { quick: 4, full: 8 }, || {
        let shown = Arc::new(Shown::new());
        let other = shown.clone();
        let reader = thread::spawn(move || {
            let read = other.read();
            assert!([None, Some((1, 10)), Some((2, 20))].contains(&read), "mixed: {read:?}");
        });
        shown.show(1, 10);
        shown.clear();
        shown.show(2, 20);
        join(reader);
        assert_eq!(shown.read(), Some((2, 20)));
        shown.clear();
        assert_eq!(shown.read(), None);
    });
}
