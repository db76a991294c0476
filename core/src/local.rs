//! What belongs to one thread.

use core::cell::{Cell, Ref, RefCell};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::begun::Begins;
use crate::guard::{Numbers, Token};
use crate::live::{Live, Place};
use crate::state::State;
use crate::{Bridge, Context, IdGenerator, Pipeline, Platform, SpanContext};

/// What belongs to one thread: which context is current, the id generator, and
/// the shard it uses.
///
/// Entering is the change of one pointer, to the context that waits in the scope,
/// future or stream that is entered:
///
/// ```text
///   current ──▶ inner ┐ each lies in the frame of a call that is below on
///               outer ┘ the thread's stack, and puts the former one back
/// ```
///
/// Where nothing is entered, the thread's ambient context is current, if it has one:
/// see [`Context::replace_ambient`](crate::Context::replace_ambient).
///
/// Instead of a pointer there may be the number of a context that a guard entered: see
/// [`Context::push`](crate::Context::push).
///
/// Where a [`Bridge`] is, nothing is current by the first pointer, and what is entered
/// has one of its own: so to ask what is current costs nothing more elsewhere, and here
/// takes the way of what is not usual, on which the bridge is asked.
pub struct Local<P: Platform> {
    current: Cell<Option<NonNull<State<P>>>>,
    /// What was entered last since there is a bridge.
    bridged: Cell<Option<NonNull<State<P>>>>,
    numbers: Numbers,
    has_ambient: Cell<bool>,
    /// `NOTHING` if there is none. Not dropped with the thread: a thread-local
    /// value with a destructor is gone before others of the thread are.
    ambient: RefCell<ManuallyDrop<State<P>>>,
    ids: IdGenerator,
    /// Which shard of a pipeline the thread uses; `UNSEEDED` before its first span.
    shard: Cell<usize>,
    /// Where in a live-span table the thread finds room.
    place: Place,
}

/// What a thread begins with.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    /// The seed of its ids: no two threads of any two processes should have the
    /// same.
    pub ids: u64,
    /// Which shard of a pipeline it uses; more than there are is as good.
    pub shard: usize,
}

impl<P: Platform> Local<P> {
    /// The state of a thread that has done nothing yet. It has no destructor.
    pub const fn new() -> Self {
        Local {
            current: Cell::new(None),
            bridged: Cell::new(None),
            numbers: Numbers::new(),
            has_ambient: Cell::new(false),
            ambient: RefCell::new(ManuallyDrop::new(State::NOTHING)),
            ids: IdGenerator::new(0),
            shard: Cell::new(UNSEEDED),
            place: Place::new(0),
        }
    }

    /// The identity of the current span.
    #[inline]
    pub fn span_context(&self) -> SpanContext {
        self.with_current(|current| current.map(State::span_context)).unwrap_or_default()
    }

    /// The generator of ids.
    #[inline]
    pub fn ids(&self) -> &IdGenerator {
        self.shard_and_ids().1
    }

    /// The shard of the thread, and its generator, which is seeded.
    #[inline(always)]
    pub(crate) fn shard_and_ids(&self) -> (usize, &IdGenerator) {
        (self.shard(), &self.ids)
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn shard(&self) -> usize {
        match self.shard.get() {
            UNSEEDED => self.seed(),
            shard => shard,
        }
    }

    /// The generator of a thread that is known to be seeded.
    #[inline(always)]
    pub(crate) fn ids_of_seeded(&self) -> &IdGenerator {
        &self.ids
    }

    #[cold]
    fn seed(&self) -> usize {
        let Seed { ids, shard } = P::seed();
        let shard = shard % UNSEEDED;
        self.ids.reseed(ids);
        self.shard.set(shard);
        // Threads begin on cache lines of the bitmap that are apart.
        self.place.look_first_at(shard.wrapping_mul(512));
        shard
    }

    /// Where in a live-span table the thread finds room.
    #[inline]
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Counts a span of this pipeline that begins here. The thread is seeded then.
    #[inline(always)]
    pub(crate) fn count(&self, pipeline: &'static Pipeline, begins: Begins) {
        self.place.count(pipeline, begins, || self.shard(), P::at_thread_end);
    }

    /// Gives back what the thread has of pipelines to itself. Called when the thread ends,
    /// if the platform [can](Platform::at_thread_end).
    #[cfg(not(target_os = "none"))]
    pub fn give_back(&self) {
        self.place.give_back();
    }

    /// Whether nothing was entered on the thread.
    #[inline(always)]
    pub(crate) fn has_entered_nothing(&self) -> bool {
        self.current.get().is_none()
    }

    /// Whether nothing was entered on the thread, and there is no ambient context.
    #[inline(always)]
    pub(crate) fn has_nothing(&self) -> bool {
        self.has_entered_nothing() && !self.has_ambient.get()
    }

    /// Exchanges the ambient context. While somebody looks at it, it stays.
    pub(crate) fn replace_ambient(&self, new: Option<State<P>>) -> Option<State<P>> {
        let Ok(mut ambient) = self.ambient.try_borrow_mut() else { return new };
        let had = self.has_ambient.replace(new.is_some());
        let new = ManuallyDrop::new(new.unwrap_or(State::NOTHING));
        let former = ManuallyDrop::into_inner(core::mem::replace(&mut *ambient, new));
        had.then_some(former)
    }

    /// Shows what is current to the closure.
    #[inline(always)]
    pub(crate) fn with_current<R>(&self, use_it: impl FnOnce(Option<&State<P>>) -> R) -> R {
        if cfg!(target_os = "none") {
            // Neither guards nor a bridge, where code is dear.
            let ambient = self.ambient();
            let ambient = ambient.as_ref().map(|state| &***state);
            return self.with_entered(|entered| use_it(entered.or(ambient)));
        }
        let is_entered = self.current.get().is_some_and(|current| Token::of(current).is_none());
        if is_entered { self.with_entered(use_it) } else { self.with_other(use_it) }
    }

    /// Shows what a closure entered to this one, if that is what is current.
    #[inline(always)]
    pub(crate) fn with_entered<R>(&self, use_it: impl FnOnce(Option<&State<P>>) -> R) -> R {
        let entered = self.current.get().filter(|current| Token::of(*current).is_none());
        // SAFETY: a call of `enter` that is below on this thread's stack (a
        // `Local` is not `Sync`) set the pointer to what it borrows, and puts the
        // former one back before its borrow ends. It can only end after
        // `use_it`. What is borrowed there is never written to while it is
        // entered, apart from what a slot's cell holds. Guards put back only what has
        // not ended (see `guard`).
        use_it(entered.map(|entered| unsafe { entered.as_ref() }))
    }

    /// The token of what was entered here last, if a guard entered it.
    #[inline(always)]
    pub(crate) fn token(&self) -> Option<Token> {
        let top = if P::bridge().is_some() { self.top() } else { self.current.get() };
        top.and_then(Token::of)
    }

    /// The token of what is current, if a guard entered it.
    pub(crate) fn current_token(&self) -> Option<Token> {
        let token = self.token()?;
        let theirs = P::bridge().and_then(Bridge::current);
        let is_current = theirs.is_none_or(|theirs| {
            // The other API may have changed what goes with the span, not the span.
            let ours = P::guarded(token).map(|ours| ours.span_context());
            ours == Some(theirs.span_context())
        });
        is_current.then_some(token)
    }

    /// What was entered last, where there is a bridge.
    fn top(&self) -> Option<NonNull<State<P>>> {
        // What is still in its place was entered before there was one.
        self.current.get().or(self.bridged.get())
    }

    /// Enters what a guard enters. Returns what is put back.
    pub(crate) fn push_token(&self, token: NonNull<State<P>>, context: &Context<P>) -> Outer<P> {
        self.put(token, &context.state, false)
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Shows to the closure what is current where no closure entered it.
    #[cold]
    #[inline(never)]
    fn with_other<R>(&self, use_it: impl FnOnce(Option<&State<P>>) -> R) -> R {
        use_it(self.other().as_ref().map(Other::state))
    }

    /// What is current where no closure entered it, or a bridge has the order of scopes.
    fn other(&self) -> Option<Other<'_, P>> {
        let entered = match P::bridge() {
            None => self.current.get(),
            Some(bridge) => {
                if let Some(theirs) = bridge.current() {
                    return Some(Other::Shown(theirs));
                }
                self.top()
            }
        };
        match entered.map(|entered| (entered, Token::of(entered))) {
            Some((_, Some(token))) => P::guarded(token).map(Other::Shown),
            // SAFETY: as in `with_entered`: `enter` set it, and its `Leave` puts the former
            // one back. The callers use it for the time of a closure.
            Some((entered, None)) => Some(Other::Bridged(unsafe { entered.as_ref() })),
            None => self.ambient().map(Other::Ambient),
        }
    }

    /// The ambient context, if there is one.
    fn ambient(&self) -> Option<Ref<'_, ManuallyDrop<State<P>>>> {
        self.ambient.try_borrow().ok().filter(|_| self.has_ambient.get())
    }

    /// What a closure entered last since there is a bridge, if nothing is above it.
    fn bridged(&self) -> Option<&State<P>> {
        let top = self.top().filter(|top| Token::of(*top).is_none());
        // SAFETY: as in `other`.
        top.map(|bridged| unsafe { bridged.as_ref() })
    }

    /// Shows the span that is current to the closure, if it is recorded.
    #[inline(always)]
    pub(crate) fn with_live<R>(&self, use_it: impl FnOnce(Option<&Live>) -> R) -> R {
        self.with_current(|current| {
            let live = current.and_then(State::live);
            if live.is_some() || P::bridge().is_none() {
                return use_it(live);
            }
            // The other API may have changed what goes with the span, not the span.
            let bridged = self.bridged().and_then(State::live);
            let is_same = |live: &&Live| Some(live.context()) == current.map(State::span_context);
            use_it(bridged.filter(is_same))
        })
    }

    /// Makes this current while the closure runs. What is nothing leaves current what is
    /// (but for bare targets, where the question costs more code than it is worth).
    #[inline(always)]
    pub(crate) fn enter<R>(&self, state: &State<P>, work: impl FnOnce() -> R) -> R {
        if !cfg!(target_os = "none") && state.is_nothing() {
            return work();
        }
        let outer = self.put(NonNull::from(state), state, state.live().is_some());
        let _leave = Leave { local: self, outer };
        work()
    }

    #[inline(always)]
    fn put(&self, entered: NonNull<State<P>>, state: &State<P>, is_recording: bool) -> Outer<P> {
        if P::HAS_BRIDGE {
            return self.put_bridged(entered, state, is_recording);
        }
        let current = self.current.replace(Some(entered));
        Outer { current, bridged: None, depth: 0 }
    }

    /// Puts back what was there before. Both places, whatever the platform says of its
    /// bridge now: neither may point to what has ended.
    #[inline(always)]
    pub(crate) fn put_back(&self, outer: &Outer<P>) {
        if P::HAS_BRIDGE { self.put_back_bridged(outer) } else { self.current.set(outer.current) }
    }

    #[inline(never)]
    fn put_bridged(
        &self,
        entered: NonNull<State<P>>,
        state: &State<P>,
        is_recording: bool,
    ) -> Outer<P> {
        let (current, bridged) = (self.current.get(), self.bridged.get());
        let depth = match P::bridge() {
            None => {
                self.current.set(Some(entered));
                0
            }
            Some(bridge) => {
                let depth = bridge.enter(Context { state: state.capture() }, is_recording);
                self.current.set(None);
                self.bridged.set(Some(entered));
                depth
            }
        };
        Outer { current, bridged, depth }
    }

    #[inline(never)]
    fn put_back_bridged(&self, &Outer { current, bridged, depth }: &Outer<P>) {
        let Some(bridge) = P::bridge() else {
            self.current.set(current);
            return self.bridged.set(bridged);
        };
        // What was entered before there was a bridge is in step for the rest.
        self.current.set(None);
        self.bridged.set(current.or(bridged));
        bridge.leave(depth);
    }
}

/// What is put back.
pub(crate) struct Outer<P: Platform> {
    pub(crate) current: Option<NonNull<State<P>>>,
    pub(crate) bridged: Option<NonNull<State<P>>>,
    /// How many were entered at the bridge before.
    depth: usize,
}

/// What is current where no closure entered it.
enum Other<'a, P: Platform> {
    Ambient(Ref<'a, ManuallyDrop<State<P>>>),
    /// By the platform, for a guard, or by a bridge.
    Shown(Context<P>),
    Bridged(&'a State<P>),
}

impl<P: Platform> Other<'_, P> {
    fn state(&self) -> &State<P> {
        match self {
            Other::Ambient(ambient) => ambient,
            Other::Shown(context) => &context.state,
            Other::Bridged(state) => state,
        }
    }
}

/// Puts back what was current, also when the work panics.
struct Leave<'a, P: Platform> {
    local: &'a Local<P>,
    outer: Outer<P>,
}

impl<P: Platform> Drop for Leave<'_, P> {
    #[inline(always)]
    fn drop(&mut self) {
        self.local.put_back(&self.outer);
    }
}

impl<P: Platform> Default for Local<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform> fmt::Debug for Local<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("span", &self.span_context())
            .field("shard", &self.shard.get())
            .finish_non_exhaustive()
    }
}

const UNSEEDED: usize = usize::MAX;
