//! Contexts that guards enter.
//!
//! Our own API enters contexts by closures, which end in the order in which they
//! began. Guards of other APIs (`tracing`'s) are dropped in any order, or never, inside
//! of closures or after them. So what a guard enters is not pointed to: a number takes
//! the place of the pointer, and whoever handed the context in finds it by the number.
//!
//! ```text
//!   current ──▶ frame     of a closure: a pointer, which it puts back itself
//!               17        of a guard: a number, popped only while it is current
//!               frame     …
//! ```
//!
//! Why a popped number leads to a frame that is still there: no number is given out
//! twice, so what is current is always the top of a stack of frames and numbers. A frame
//! that ends takes with it the numbers above it (the frames there have ended, since they
//! nest), and puts back what is right below. A number that is popped is the top, and
//! what it puts back is right below it too. What is in the stack has not ended.

use core::cell::Cell;
use core::fmt;
use core::num::NonZero;
use core::ptr::NonNull;

use crate::local::Outer;
use crate::route::Route;
use crate::state::State;
use crate::{Context, Local, Platform, SpanId, TraceId};

/// The number that stands for a context which a guard entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(NonZero<usize>);

/// A context that was entered on this thread until [`pop`](Self::pop); the platform keeps
/// the context itself, and [hands](Platform::guarded) it out. Forgetting this is
/// harmless: the closure in which it was entered leaves it too.
pub struct Pushed<P: Platform> {
    token: Token,
    /// Which [`Local`] of the process it is of.
    owner: usize,
    outer: Outer<P>,
}

impl<P: Platform> Context<P> {
    /// Makes the context current, which the platform keeps and shows by
    /// [`Platform::guarded`]; it is asked by the token.
    ///
    /// None when the platform has no such contexts (bare targets), or the thread has
    /// no numbers left: on targets of 32 bits it has 2³¹.
    pub fn push(&self) -> Option<Pushed<P>> {
        P::with_local(|local| local.push(self))
    }

    /// As [`push`](Self::push) of a context that is found out when somebody asks for it:
    /// none may. None, too, where there is a [bridge](Platform::bridge), which asks at once.
    #[inline]
    pub fn push_later() -> Option<Pushed<P>> {
        if P::bridge().is_some() {
            return None;
        }
        P::with_local(|local| local.push(&Context { state: State::EMPTY }))
    }

    /// The token of what was entered last, if a guard entered it.
    pub fn token() -> Option<Token> {
        P::with_local(Local::token)
    }
}

impl<P: Platform> Pushed<P> {
    /// What stands for the context.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Whether nothing else was entered on the thread before.
    pub fn is_outermost(&self) -> bool {
        self.outer.current.is_none() && self.outer.bridged.is_none()
    }

    /// Leaves the context, and what was current before is current again, if nothing
    /// was entered in between that is still there. Otherwise does nothing and returns
    /// false: what hides the context now will leave it current when it ends, and then
    /// this works; or it has taken the context with it.
    #[inline]
    pub fn pop(&self) -> bool {
        P::with_local(|local| local.pop(self))
    }
}

impl<P: Platform> Local<P> {
    #[inline]
    fn push(&self, context: &Context<P>) -> Option<Pushed<P>> {
        let (owner, token) = self.numbers().next()?;
        let outer = self.push_token(token.in_place_of_a_state(), context);
        Some(Pushed { token, owner, outer })
    }

    #[inline]
    fn pop(&self, pushed: &Pushed<P>) -> bool {
        let is_own = self.numbers().owner.get() == pushed.owner;
        let is_current = is_own && self.token() == Some(pushed.token);
        if is_current {
            self.put_back(&pushed.outer);
        } else if is_own {
            self.numbers().forget(pushed.token);
        }
        is_current
    }
}

impl Token {
    /// States lie at even addresses.
    fn in_place_of_a_state<T>(self) -> NonNull<T> {
        NonNull::without_provenance(self.0)
    }

    /// The token, if this is not the address of a state.
    #[inline(always)]
    pub(crate) fn of<T>(current: NonNull<T>) -> Option<Self> {
        let is_token = HAS_GUARDS && current.addr().get() & 1 != 0;
        is_token.then_some(Token(current.addr()))
    }
}

/// The numbers that a [`Local`] gives out: odd ones.
pub(crate) struct Numbers {
    /// Which of all that give out numbers this is; 0 before the first one. What was
    /// pushed elsewhere is not popped here.
    owner: Cell<usize>,
    /// 0 when there is none left.
    next: Cell<usize>,
    /// What a number stands for, which many spans begin below. A guard that goes while it
    /// is current is current no more, and that number never again; if another one goes,
    /// this is forgotten.
    #[cfg(not(target_os = "none"))]
    known: Cell<Option<(Token, Parent)>>,
}

/// A context that carries nothing.
pub(crate) type Parent = (TraceId, SpanId, Route);

impl Numbers {
    pub(crate) const fn new() -> Self {
        Numbers {
            owner: Cell::new(0),
            next: Cell::new(1),
            #[cfg(not(target_os = "none"))]
            known: Cell::new(None),
        }
    }

    /// The context of this token, if it is known.
    #[inline]
    pub(crate) fn known(&self, token: Token) -> Option<Parent> {
        #[cfg(not(target_os = "none"))]
        if let Some((known, parent)) = self.known.get()
            && known == token
        {
            return Some(parent);
        }
        let _ = token;
        None
    }

    pub(crate) fn know(&self, token: Token, parent: Parent) {
        #[cfg(not(target_os = "none"))]
        self.known.set(Some((token, parent)));
        let _ = (token, parent);
    }

    fn forget(&self, token: Token) {
        #[cfg(not(target_os = "none"))]
        if self.known(token).is_some() {
            self.known.set(None);
        }
        let _ = token;
    }

    #[inline]
    fn next(&self) -> Option<(usize, Token)> {
        if self.owner.get() == 0 {
            self.owner.set(new_owner()?);
        }
        let token = NonZero::new(self.next.get())?;
        self.next.set(token.get().checked_add(2).unwrap_or(0));
        Some((self.owner.get(), Token(token)))
    }
}

#[cfg(not(any(target_os = "none", throughline_loom)))]
fn new_owner() -> Option<usize> {
    use crate::sync::{AtomicUsize, Ordering};

    static OWNERS: AtomicUsize = AtomicUsize::new(1);
    // Ordering: Relaxed, no value is read through it.
    let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
    OWNERS.fetch_update(set, fetch, |owners| owners.checked_add(1)).ok()
}

/// Bare targets have no guards, and the models need none.
#[cfg(any(target_os = "none", throughline_loom))]
fn new_owner() -> Option<usize> {
    None
}

const HAS_GUARDS: bool = cfg!(not(any(target_os = "none", throughline_loom)));

impl<P: Platform> fmt::Debug for Pushed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pushed").field(&self.token).finish()
    }
}
