//! What the core asks of the place it runs in.

use core::fmt::Debug;

use crate::w3c::{Baggage, TraceState};
use crate::{Local, Pipeline};

/// A clock, a thread-local place, and the type of what contexts carry.
///
/// One type implements it per platform: the standard library's threads in
/// `throughline-runtime`, a board in a firmware. It is never instantiated.
pub trait Platform: Sized + Debug + 'static {
    /// What a context carries besides ids.
    type Carried: Carry;

    /// The clock, in ticks of any constant length. Monotonic; bit 63 is zero.
    fn ticks() -> u64;

    /// Uses what belongs to the current thread (or, on bare metal, to the
    /// current priority level). `None` while the thread is being torn down.
    fn with_local<R>(use_it: impl FnOnce(&Local<Self>) -> R) -> Option<R>;

    /// The pipeline of spans whose context names none.
    fn default_pipeline() -> Option<&'static Pipeline>;

    /// Whether the current thread unwinds from a panic.
    fn is_panicking() -> bool {
        false
    }
}

/// What a context carries besides ids: the trace state and the baggage.
///
/// On servers it is an optional `Arc`, empty in most contexts; without an
/// allocator it is `()`. Cloned when a context is captured, moved when a
/// context is entered.
pub trait Carry: Clone + Default + Debug + Send + Sync + 'static {
    /// The trace state, empty if there is none.
    fn trace_state(&self) -> TraceState<'_>;

    /// The baggage, empty if there is none.
    fn baggage(&self) -> Baggage<'_>;
}

impl Carry for () {
    fn trace_state(&self) -> TraceState<'_> {
        TraceState::default()
    }

    fn baggage(&self) -> Baggage<'_> {
        Baggage::default()
    }
}
