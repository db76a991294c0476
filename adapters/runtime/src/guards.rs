//! Contexts that guards of other APIs enter: those of `tracing`'s spans.
//!
//! ```text
//!   enter(context, key) ──▶ the thread's list ──▶ current, above what was entered before
//!   leave(key)          ──▶ the innermost of that key goes, wherever it is in the list
//! ```
//!
//! Guards may be dropped in any order. What is left while something was entered above it
//! stays in the list, and is passed over when that ends. What was entered inside of a
//! scope of ours ends with that scope, whenever the guard is dropped.

use core::cell::RefCell;
use core::fmt::Debug;

use throughline_core::{Pushed, Token};

use crate::{Context, Span, Std};

/// Who keeps the spans that guards enter, to add to the current one. Keepers are told
/// apart by their address.
pub trait Keeper: Debug + Sync {
    /// Hands the span of this key to the closure, which runs no foreign code. Returns
    /// what that returns, and false where there is no such span.
    fn with_span(&self, key: u64, write: &mut dyn FnMut(&mut Span) -> bool) -> bool;
}

/// Makes the context current on this thread until [`leave`], or until the scope, future
/// or stream ends in which this is called.
///
/// [`CurrentSpan`](crate::CurrentSpan) adds to what the keeper has by that key, as long as
/// it is the span of the context. On a thread that has ended that far that it has no
/// locals left, nothing is entered.
pub fn enter(context: Context, keeper: &'static dyn Keeper, key: u64) {
    let _ = ENTERED.try_with(|entered| {
        let Ok(mut entered) = entered.try_borrow_mut() else { return };
        if entered.iter().any(|each| each.is_left) {
            pass_over(&mut entered);
        }
        if let Some(pushed) = context.push() {
            // Below the outermost there is nothing to pass over.
            if !entered.is_empty() && (pushed.is_outermost() || entered.len() >= MANY) {
                entered.retain(|each| !each.is_left);
            }
            entered.push(Entered { pushed, context, keeper, key, is_left: false });
        }
    });
}

/// Leaves what was [entered](enter) last of all that has this keeper and key, on this
/// thread. Returns whether there was something.
pub fn leave(keeper: &'static dyn Keeper, key: u64) -> bool {
    let leave = |entered: &RefCell<Vec<Entered>>| {
        let mut entered = entered.try_borrow_mut().ok()?;
        let is_it = |each: &Entered| each.key == key && !each.is_left && each.is_of(keeper);
        let index = entered.iter().rposition(is_it)?;
        let each = entered.get_mut(index)?;
        if each.pushed.pop() {
            entered.remove(index);
        } else {
            each.is_left = true;
        }
        Some(())
    };
    ENTERED.try_with(leave).ok().flatten().is_some()
}

pub(crate) fn guarded(token: Token) -> Option<Context> {
    let context = ENTERED.try_with(|entered| {
        let list = entered.try_borrow().ok()?;
        let each = list.get(find(&list, token)?)?;
        if !each.is_left {
            return Some(each.context.clone());
        }
        drop(list);
        pass_over(&mut *entered.try_borrow_mut().ok()?);
        Some(Context::current())
    });
    context.ok().flatten()
}

pub(crate) fn with_guarded_span(token: Token, write: &mut dyn FnMut(&mut Span) -> bool) -> bool {
    let keeper = ENTERED.try_with(|entered| {
        let mut entered = entered.try_borrow_mut().ok()?;
        let each = entered.get(find(&entered, token)?)?;
        if each.is_left {
            pass_over(&mut entered);
            return None;
        }
        Some((each.keeper, each.key, each.context.span_context()))
    });
    let Some((keeper, key, id)) = keeper.ok().flatten() else { return false };
    // Keys may be used again, by other spans.
    keeper.with_span(key, &mut |span| span.span_context() == id && write(span))
}

/// Pops what is current and was left.
fn pass_over(entered: &mut Vec<Entered>) {
    while let Some(token) = Context::token()
        && let Some(index) = find(entered, token)
        && entered.get(index).is_some_and(|each| each.is_left && each.pushed.pop())
    {
        entered.remove(index);
    }
}

fn find(entered: &[Entered], token: Token) -> Option<usize> {
    entered.iter().rposition(|each| each.pushed.token() == token)
}

struct Entered {
    pushed: Pushed<Std>,
    context: Context,
    keeper: &'static dyn Keeper,
    key: u64,
    /// Its guard is gone, and what hid it then may not be.
    is_left: bool,
}

impl Entered {
    fn is_of(&self, keeper: &'static dyn Keeper) -> bool {
        core::ptr::addr_eq(self.keeper, keeper)
    }
}

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// So many in the list are a sign of guards that are dropped in scopes in which they were
/// not made, time and again, within one scope that lasts. Those that are gone are
/// forgotten then; where one of them would be passed over later, there is no context.
const MANY: usize = 1024;

#[cfg(test)]
mod tests {
    use throughline_core::{SpanContext, SpanId, TraceFlags, TraceId};

    use super::*;
    use crate::Carried;

    /// Not empty, so that each has an address of its own.
    #[derive(Debug)]
    struct NoSpans(&'static str);

    impl Keeper for NoSpans {
        fn with_span(&self, _: u64, _: &mut dyn FnMut(&mut Span) -> bool) -> bool {
            unreachable!("{} is not asked", self.0)
        }
    }

    static KEEPER: NoSpans = NoSpans("the keeper");
    static OTHER: NoSpans = NoSpans("the other one");

    fn context(number: u64) -> Context {
        let (trace, span) =
            (TraceId::from_bytes([1; 16]), SpanId::from_bytes(number.to_be_bytes()));
        Context::remote(SpanContext::new(trace, span, TraceFlags::SAMPLED), Carried::default())
    }

    fn enter_number(number: u64) {
        enter(context(number), &KEEPER, number);
    }

    fn leave_number(number: u64) {
        assert!(leave(&KEEPER, number));
    }

    /// The number of the context that is current, 0 for none.
    fn current() -> u64 {
        u64::from_be_bytes(Context::current().span_context().span_id().to_bytes())
    }

    fn is_clean() -> bool {
        ENTERED.with_borrow(Vec::is_empty) && Context::token().is_none()
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
        assert!(!leave(&OTHER, 1));
        leave_number(1);
        assert_eq!(current(), 2);
        leave_number(2);
        assert_eq!(current(), 1);
        leave_number(1);
        assert!(!leave(&KEEPER, 1));
        assert!(is_clean());
    }

    #[test]
    fn what_is_left_on_another_thread_stays_where_it_was_entered() {
        enter_number(1);
        std::thread::spawn(|| {
            assert!(!leave(&KEEPER, 1));
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
            assert!(ENTERED.with_borrow(Vec::len) <= MANY);
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
    fn nothing_is_kept_of_guards_that_are_gone_once_a_thread_was_idle() {
        enter_number(1);
        context(2).scope(|| leave_number(1));
        enter_number(3);
        assert_eq!(ENTERED.with_borrow(Vec::len), 1);
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
}
