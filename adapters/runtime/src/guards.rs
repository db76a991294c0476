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

mod board;

use core::cell::RefCell;
use core::fmt::Debug;
use std::sync::Arc;

use throughline_core::{Platform, Pushed, Token};

use self::board::Board;
pub(crate) use self::board::entered;
use crate::{Context, Span, Std};

/// Who keeps the spans that guards enter, to add to the current one. Keepers are known
/// once they are [registered](Registered). None of them runs foreign code here.
///
/// A key may be another span's, later. So each span has a version with its key, and that of
/// the next span with this key is higher, with wrapping.
pub trait Keeper: Debug + Sync {
    /// The context of the span of this key, if its version is not higher than this.
    fn context(&self, key: u64, version: u32) -> Option<Context>;

    /// Hands that span to the closure, which runs no foreign code. Returns what that
    /// returns, and nothing where there is no such span.
    fn with_span(
        &self,
        key: u64,
        version: u32,
        write: &mut dyn FnMut(&mut Span) -> bool,
    ) -> Option<bool>;
}

/// A keeper that is known, and whose spans are shown as [running](crate::LiveState::Running)
/// while guards are in them.
#[derive(Clone, Copy, Debug)]
pub struct Registered(&'static Registration);

#[derive(Debug)]
struct Registration {
    keeper: &'static dyn Keeper,
    number: u32,
}

impl Registered {
    /// Makes a keeper known. It stays for ever: a program has one or a few.
    pub fn new(keeper: &'static dyn Keeper) -> Self {
        let number = board::register(keeper);
        Registered(Box::leak(Box::new(Registration { keeper, number })))
    }
}

/// Makes the span that the keeper has by this key current on this thread until [`leave`],
/// or until the scope, future or stream ends in which this is called. If it has none, this
/// changes nothing.
///
/// The keeper is asked when somebody wants to know what is current. On a thread that has
/// ended that far that it has no locals left, nothing is entered.
///
/// Of what is entered at once on a thread, the outermost 32 are shown as running.
#[inline]
pub fn enter(keeper: Registered, key: u64, version: u32) {
    let _ = LIST.try_with(|list| list.try_borrow_mut().ok()?.enter(keeper, key, version));
}

/// Leaves what was [entered](enter) last of all that has this keeper and key, on this
/// thread. Returns whether there was something.
#[inline]
pub fn leave(keeper: Registered, key: u64) -> bool {
    let leave = |list: &RefCell<List>| list.try_borrow_mut().ok()?.leave(keeper, key);
    LIST.try_with(leave).ok().flatten().is_some()
}

/// The key and the version of what is current, if a guard entered it, and this keeper has
/// it. Not where a bridge to another API has to be asked what is current.
#[inline]
pub fn current(keeper: Registered) -> Option<(u64, u32)> {
    if Std::bridge().is_some() {
        return None;
    }
    let token = Context::token()?;
    let current = |list: &RefCell<List>| {
        let list = list.try_borrow().ok()?;
        let each = list.entered.iter().rfind(|each| each.pushed.token() == token)?;
        each.is_of(keeper).then_some((each.key, each.version))
    };
    LIST.try_with(current).ok().flatten()
}

pub(crate) fn guarded(token: Token) -> Option<Context> {
    let context = LIST.try_with(|list| {
        let mut list = list.try_borrow_mut().ok()?;
        let context = list.find(token)?.context();
        if context.is_some() {
            return context;
        }
        list.pass_over_unknown(token);
        drop(list);
        Some(Context::current())
    });
    context.ok().flatten()
}

pub(crate) fn with_guarded_span(token: Token, write: &mut dyn FnMut(&mut Span) -> bool) -> bool {
    let keeper = LIST.try_with(|list| {
        let mut list = list.try_borrow_mut().ok()?;
        let each = list.find(token)?;
        if each.is_left {
            list.pass_over();
            return None;
        }
        Some((each.keeper.0.keeper, each.key, each.version))
    });
    let Some((keeper, key, version)) = keeper.ok().flatten() else { return false };
    let result = keeper.with_span(key, version, write);
    if result.is_none() {
        let _ = LIST.try_with(|list| {
            list.try_borrow_mut().ok()?.pass_over_unknown(token);
            Some(())
        });
    }
    result.unwrap_or(false)
}

/// What the guards of a thread entered.
struct List {
    /// The innermost last.
    entered: Vec<Entered>,
    /// How many of them were left.
    left: usize,
    /// Shows them to others, once something was entered.
    board: Option<Arc<Board>>,
}

struct Entered {
    pushed: Pushed<Std>,
    keeper: Registered,
    key: u64,
    version: u32,
    /// Its guard is gone, and what hid it then may not be.
    is_left: bool,
    /// Once somebody has asked.
    context: Option<Context>,
}

impl List {
    const fn new() -> Self {
        List { entered: Vec::new(), left: 0, board: None }
    }

    #[inline]
    fn enter(&mut self, keeper: Registered, key: u64, version: u32) -> Option<()> {
        if self.left > 0 {
            self.pass_over();
        }
        let entered =
            |pushed, context| Entered { pushed, keeper, key, version, is_left: false, context };
        let Some(pushed) = Context::push_later() else {
            let context = keeper.0.keeper.context(key, version)?;
            let pushed = context.push()?;
            self.forget_left_below(&pushed);
            self.show(keeper, key, version);
            self.entered.push(entered(pushed, Some(context)));
            return Some(());
        };
        self.forget_left_below(&pushed);
        self.show(keeper, key, version);
        // In two ways, so that this one needs no memory but that where it stays.
        self.entered.push(entered(pushed, None));
        Some(())
    }

    #[inline]
    fn forget_left_below(&mut self, pushed: &Pushed<Std>) {
        // Below the outermost there is nothing to pass over.
        if self.left > 0 && (pushed.is_outermost() || self.entered.len() >= MANY) {
            self.forget_left();
        }
    }

    #[inline]
    fn find(&mut self, token: Token) -> Option<&mut Entered> {
        self.entered.iter_mut().rfind(|each| each.pushed.token() == token)
    }

    #[inline]
    fn leave(&mut self, keeper: Registered, key: u64) -> Option<()> {
        // Mostly it is the innermost.
        let last = self.entered.last()?;
        if last.key == key && last.is_of(keeper) && last.pushed.pop() {
            self.entered.pop();
            if let Some(board) = &self.board {
                board.clear(self.entered.len());
            }
            return Some(());
        }
        self.leave_inner(keeper, key)
    }

    #[cold]
    fn leave_inner(&mut self, keeper: Registered, key: u64) -> Option<()> {
        let is_it = |each: &Entered| each.key == key && each.is_of(keeper);
        let place = self.entered.iter().rposition(is_it)?;
        let each = self.entered.get_mut(place)?;
        if each.pushed.pop() {
            self.entered.remove(place);
        } else {
            each.is_left = true;
            self.left += 1;
        }
        self.show_all();
        Some(())
    }

    /// Shows what is about to be entered.
    #[inline]
    fn show(&mut self, keeper: Registered, key: u64, version: u32) {
        let depth = self.entered.len();
        self.board.get_or_insert_with(Board::new).show(depth, keeper, key, version);
    }

    /// Shows all anew, since some have moved.
    #[cold]
    fn show_all(&self) {
        let Some(board) = &self.board else { return };
        for depth in Board::depths() {
            match self.entered.get(depth).filter(|each| !each.is_left) {
                Some(each) => board.show(depth, each.keeper, each.key, each.version),
                None => board.clear(depth),
            }
        }
    }

    #[cold]
    fn forget_left(&mut self) {
        self.entered.retain(|each| !each.is_left);
        self.left = 0;
        self.show_all();
    }

    /// Pops what is current and was left.
    #[cold]
    fn pass_over(&mut self) {
        while let Some(token) = Context::token()
            && let Some(place) = self.entered.iter().rposition(|each| each.pushed.token() == token)
            && self.entered.get(place).is_some_and(|each| each.is_left && each.pushed.pop())
        {
            self.entered.remove(place);
            self.left -= 1;
            self.show_all();
        }
    }

    /// Leaves what this token stands for, if it was not left, and its keeper knows nothing
    /// of it; then passes over what was.
    #[cold]
    fn pass_over_unknown(&mut self, token: Token) {
        if let Some(each) = self.find(token)
            && each.context.is_none()
            && !each.is_left
        {
            each.is_left = true;
            self.left += 1;
        }
        self.pass_over();
    }
}

impl Entered {
    /// Whether it is this keeper's, and was not left.
    #[inline]
    fn is_of(&self, keeper: Registered) -> bool {
        !self.is_left && core::ptr::eq(self.keeper.0, keeper.0)
    }

    /// The context, unless it was left, or there is none.
    fn context(&mut self) -> Option<Context> {
        if self.context.is_none() && !self.is_left {
            self.context = self.keeper.0.keeper.context(self.key, self.version);
        }
        self.context.clone().filter(|_| !self.is_left)
    }
}

thread_local! {
    static LIST: RefCell<List> = const { RefCell::new(List::new()) };
}

/// So many in the list are a sign of guards that are dropped in scopes in which they were
/// not made, time and again, within one scope that lasts. Those that are gone are
/// forgotten then; where one of them would be passed over later, there is no context.
const MANY: usize = 1024;

#[cfg(test)]
mod tests {
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

    static KEEPER: LazyLock<Registered> =
        LazyLock::new(|| Registered::new(&Contexts("the keeper")));
    static OTHER: LazyLock<Registered> =
        LazyLock::new(|| Registered::new(&Contexts("the other one")));

    fn context(number: u64) -> Context {
        let (trace, span) =
            (TraceId::from_bytes([1; 16]), SpanId::from_bytes(number.to_be_bytes()));
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
        LIST.with_borrow(|list| list.entered.is_empty() && list.left == 0)
            && Context::token().is_none()
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
}
