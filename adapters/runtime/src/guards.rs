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
pub use self::board::entered;
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
            // First: who looks shall see no key with another one's version.
            board.clear(depth);
            if let Some(each) = self.entered.get(depth).filter(|each| !each.is_left) {
                board.show(depth, each.keeper, each.key, each.version);
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
mod tests;
