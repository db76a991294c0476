use core::cell::Cell;
use std::sync::LazyLock;

use throughline_core::{SpanContext, SpanId, TraceFlags, TraceId};

use super::*;
use crate::{Carried, CurrentSpan};

/// Has all spans of one version. Not empty, so that each has an address of its own.
#[derive(Debug)]
struct Contexts(#[expect(dead_code, reason = "it is shown")] &'static str);

impl Keeper for Contexts {
    fn context(&self, key: u64, version: u32) -> Option<Context> {
        ASKED.set(ASKED.get() + 1);
        (version == KEPT).then(|| context(key))
    }

    fn with_span(
        &self,
        _: u64,
        version: u32,
        _: &mut dyn FnMut(&mut Span) -> bool,
    ) -> Option<bool> {
        (version == KEPT).then_some(true)
    }
}

const KEPT: u32 = 1;

thread_local! {
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

static KEEPER: LazyLock<Registered> = LazyLock::new(|| Registered::new(&Contexts("the keeper")));
static OTHER: LazyLock<Registered> = LazyLock::new(|| Registered::new(&Contexts("the other one")));

fn context(number: u64) -> Context {
    let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes(number.to_be_bytes()));
    Context::remote(SpanContext::new(trace, span, TraceFlags::SAMPLED), Carried::default())
}

fn enter_number(number: u64) {
    enter(*KEEPER, number, KEPT);
}

fn leave_number(number: u64) {
    assert!(leave(*KEEPER, number));
}

/// The number of the context that is current, 0 for none.
fn current() -> u64 {
    u64::from_be_bytes(Context::current().span_context().span_id().to_bytes())
}

fn is_clean() -> bool {
    LIST.with_borrow(|list| list.entered.is_empty() && list.left == 0) && Context::token().is_none()
}

#[test]
fn guards_and_scopes_nest_in_both_directions() {
    enter_number(1);
    context(2).scope(|| {
        assert_eq!(current(), 2);
        enter_number(3);
        assert_eq!(current(), 3);
        context(4).scope(|| assert_eq!(current(), 4));
        assert_eq!(current(), 3);
        leave_number(3);
        assert_eq!(current(), 2);
    });
    assert_eq!(current(), 1);
    leave_number(1);
    assert_eq!(current(), 0);
    assert!(is_clean());
}

#[test]
fn guards_are_dropped_in_any_order() {
    enter_number(1);
    enter_number(2);
    enter_number(3);
    leave_number(2);
    assert_eq!(current(), 3);
    leave_number(1);
    assert_eq!(current(), 3);
    leave_number(3);
    assert_eq!(current(), 0);
    assert!(is_clean());
}

#[test]
fn a_guard_that_is_dropped_in_a_scope_below_it_is_passed_over_afterwards() {
    context(1).scope(|| {
        enter_number(2);
        context(3).scope(|| {
            leave_number(2);
            assert_eq!(current(), 3);
        });
        assert_eq!(current(), 1);
    });
    assert_eq!(current(), 0);
    assert!(is_clean());
}

#[test]
fn a_guard_that_outlives_its_scope_is_current_in_no_other() {
    enter_number(1);
    let scope = context(2);
    scope.scope(|| enter_number(3));
    assert_eq!(current(), 1);
    scope.scope(|| assert_eq!(current(), 2));
    leave_number(3);
    assert_eq!(current(), 1);
    leave_number(1);
    assert_eq!(current(), 0);
}

#[test]
fn the_same_scope_may_be_entered_above_and_below_a_guard() {
    let scope = context(1);
    scope.scope(|| {
        enter_number(2);
        scope.scope(|| assert_eq!(current(), 1));
        assert_eq!(current(), 2);
        leave_number(2);
        assert_eq!(current(), 1);
    });
    assert!(is_clean());
}

#[test]
fn the_same_key_may_be_entered_again_and_by_others() {
    enter_number(1);
    enter_number(2);
    enter_number(1);
    assert!(!leave(*OTHER, 1));
    leave_number(1);
    assert_eq!(current(), 2);
    leave_number(2);
    assert_eq!(current(), 1);
    leave_number(1);
    assert!(!leave(*KEEPER, 1));
    assert!(is_clean());
}

#[test]
fn what_is_left_on_another_thread_stays_where_it_was_entered() {
    enter_number(1);
    std::thread::spawn(|| {
        assert!(!leave(*KEEPER, 1));
        assert_eq!(current(), 0);
    })
    .join()
    .expect("no panic");
    assert_eq!(current(), 1);
    leave_number(1);
}

#[test]
fn guards_that_are_never_dropped_in_their_scopes_take_bounded_room() {
    context(1).scope(|| {
        for round in 1..=3 * MANY as u64 {
            context(round).scope(|| enter_number(round));
            leave_number(round);
        }
        assert!(LIST.with_borrow(|list| list.entered.len()) <= MANY);
        assert_eq!(current(), 1);
    });
    assert_eq!(current(), 0);
}

#[test]
fn a_scope_that_unwinds_leaves_what_was_entered_in_it() {
    let unwound = std::panic::catch_unwind(|| {
        context(1).scope(|| {
            enter_number(2);
            std::panic::resume_unwind(Box::new(()));
        });
    });
    assert!(unwound.is_err());
    assert_eq!(current(), 0);
    leave_number(2);
}

/// Scopes nest at random, and in each of them guards come and go in any order; what
/// is current is what a list of all that is entered says.
#[test]
fn whatever_the_order_what_is_current_is_the_innermost_that_is_still_entered() {
    for seed in 1..200 {
        let mut model = Model { random: seed, entered: Vec::new(), held: Vec::new(), next: 1 };
        model.scope(0);
        for number in core::mem::take(&mut model.held) {
            leave_number(number);
        }
        assert_eq!(current(), 0, "seed {seed}");
        assert!(Context::token().is_none(), "seed {seed}");
    }
}

#[test]
fn the_keeper_is_asked_for_a_context_once_and_only_if_somebody_wants_it() {
    let before = ASKED.get();
    enter_number(1);
    enter_number(2);
    leave_number(2);
    assert_eq!(ASKED.get(), before);
    assert_eq!((current(), current()), (1, 1));
    assert_eq!(ASKED.get(), before + 1);
    leave_number(1);
    assert!(is_clean());
}

#[test]
fn what_the_keeper_does_not_have_hides_nothing() {
    let unknown = |key| enter(*KEEPER, key, KEPT + 1);
    enter_number(1);
    unknown(2);
    unknown(3);
    assert_eq!(current(), 1);
    assert!(!leave(*KEEPER, 3));
    unknown(3);
    assert!(CurrentSpan::is_recording());
    assert_eq!(current(), 1);
    assert!(!leave(*KEEPER, 3) && !leave(*KEEPER, 2));
    // Nobody asks.
    unknown(4);
    leave_number(4);
    context(5).scope(|| {
        unknown(6);
        assert_eq!(current(), 5);
    });
    leave_number(1);
    assert_eq!(current(), 0);
    assert!(is_clean());
}

#[test]
fn others_see_what_guards_of_threads_that_are_there_have_entered() {
    let is_seen = |number| entered().contains(&context(number).span_context());
    let (outer, inner) = (1 << 40, 1 << 41);
    enter_number(outer);
    std::thread::spawn(move || {
        assert!(is_seen(outer) && !is_seen(inner));
        enter_number(inner);
        assert!(is_seen(inner));
    })
    .join()
    .expect("no panic");
    assert!(is_seen(outer) && !is_seen(inner));
    // Twice, and left once.
    enter_number(outer);
    leave_number(outer);
    assert!(is_seen(outer));
    leave_number(outer);
    assert!(!is_seen(outer));
    // What the keeper does not have.
    enter(*KEEPER, inner, KEPT + 1);
    assert!(!is_seen(inner));
    leave_number(inner);
    assert!(is_clean());
}

#[test]
fn nothing_is_kept_of_guards_that_are_gone_once_a_thread_was_idle() {
    enter_number(1);
    context(2).scope(|| leave_number(1));
    enter_number(3);
    assert_eq!(LIST.with_borrow(|list| list.entered.len()), 1);
    leave_number(3);
    assert!(is_clean());
}

struct Model {
    random: u64,
    /// Numbers that are entered, the innermost last; 0 for guards that are gone.
    entered: Vec<u64>,
    /// Guards that are there.
    held: Vec<u64>,
    next: u64,
}

impl Model {
    fn random(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.random >> 33) as usize % below
    }

    fn check(&self) {
        let expected = self.entered.iter().rev().find(|number| **number != 0);
        assert_eq!(current(), expected.copied().unwrap_or(0));
        self.check_board();
    }

    /// Others see the guards that are there.
    fn check_board(&self) {
        let (shown, len) = LIST.with_borrow(|list| {
            let shown = list.board.as_ref().map(|board| board.keys()).unwrap_or_default();
            (shown, list.entered.len())
        });
        assert!(shown.iter().all(|key| self.held.contains(key)), "{shown:?}");
        assert!(len > Board::depths().len() || shown.len() == self.held.len(), "{shown:?}");
    }

    fn scope(&mut self, depth: usize) {
        for _ in 0..8 {
            let number = self.next;
            match self.random(4) {
                0 if depth < 4 => {
                    self.next += 1;
                    let below = self.entered.len();
                    self.entered.push(number);
                    context(number).scope(|| self.scope(depth + 1));
                    self.entered.truncate(below);
                }
                1 if !self.held.is_empty() => {
                    let index = self.random(self.held.len());
                    let gone = self.held.swap_remove(index);
                    leave_number(gone);
                    self.entered
                        .iter_mut()
                        .filter(|each| **each == gone)
                        .for_each(|each| *each = 0);
                }
                _ => {
                    self.next += 1;
                    enter_number(number);
                    self.entered.push(number);
                    self.held.push(number);
                }
            }
            self.check();
        }
    }
}
