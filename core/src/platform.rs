//! What the core asks of the place it runs in.

use core::fmt::{Debug, Display, Write};

use crate::w3c::{Baggage, TraceState, TraceStateBuf};
use crate::{Bridge, Context, Local, Pipeline, Seed, Span, Token, TraceId};

/// A clock, a thread-local place, and the type of what contexts carry.
///
/// One type implements it per platform: the standard library's threads in
/// `throughline-runtime`, a board in a firmware. It is never instantiated.
pub trait Platform: Sized + Debug + 'static {
    /// What a context carries besides ids.
    type Carried: Carry;

    /// The clock, in ticks of any constant length. Monotonic; bit 63 is zero.
    fn ticks() -> u64;

    /// The clock in nanoseconds, for samplers that limit rates. Monotonic, from
    /// any origin; the ticks, where those are nanoseconds.
    fn monotonic_nanos() -> u64 {
        Self::ticks()
    }

    /// Told when a sampler that keeps a part of the traces decided about a child by its
    /// trace id, though no one says that this is random: neither the random flag nor `rv`.
    /// Counts may be wrong then. Called for each such span, so it is to be quick.
    /// ([Compatibility warnings](https://opentelemetry.io/docs/specs/otel/trace/sdk/#compatibility-warnings-for-probabilitysampler))
    fn on_presumed_randomness() {}

    /// Uses what belongs to the current thread (or, on bare metal, to the
    /// current priority level).
    fn with_local<R>(use_it: impl FnOnce(&Local<Self>) -> R) -> R;

    /// What the current thread begins with. Called once for each [`Local`].
    fn seed() -> Seed;

    /// Has [`Local::give_back`] called when the current thread ends, and returns whether it
    /// can. Asked now and then while spans begin, before the thread has a tally to itself and
    /// keeps the room of a span for the next. Where threads end unseen, none does. Bare targets,
    /// where code is dear, do not ask.
    fn at_thread_end() -> bool {
        false
    }

    /// The pipeline of spans whose context names none.
    fn default_pipeline() -> Option<&'static Pipeline>;

    /// Whether there may be a [bridge](Self::bridge). Where there is none, it costs
    /// nothing.
    const HAS_BRIDGE: bool = false;

    /// The contexts of another API that these are kept in step with. Once there is
    /// one, it stays. None, if not said otherwise.
    #[inline(always)]
    fn bridge() -> Option<&'static dyn Bridge<Self>> {
        None
    }

    /// The context of this token: that which was [pushed](Context::push) for a guard, and
    /// is current. A platform that pushes none is not asked.
    fn guarded(token: Token) -> Option<Context<Self>> {
        let _ = token;
        None
    }

    /// Hands the span of that context to the closure, if it has one that is to be
    /// written to by [`CurrentSpan`](crate::CurrentSpan). The closure runs no foreign
    /// code. Returns what the closure did, or false. If the context was left, the platform
    /// [pops](crate::Pushed::pop) it, and is asked again with what is current then.
    fn with_guarded_span(token: Token, write: &mut dyn FnMut(&mut Span<Self>) -> bool) -> bool {
        let _ = (token, write);
        false
    }

    /// Whether there is a [default pipeline](Self::default_pipeline) or a
    /// [bridge](Self::bridge): all that a span in a program without tracing asks for.
    #[inline(always)]
    fn is_installed() -> bool {
        Self::default_pipeline().is_some() || Self::bridge().is_some()
    }

    /// Whether the current thread unwinds from a panic.
    fn is_panicking() -> bool {
        false
    }

    /// How many nanoseconds so many ticks took that ended by `now`. As many, if not
    /// said otherwise.
    fn nanos_of(ticks: u64, now: u64) -> u64 {
        let _ = now;
        ticks
    }

    /// How many ticks so many nanoseconds take. As many, if not said otherwise.
    fn ticks_of(nanos: u64) -> u64 {
        nanos
    }

    /// Shows the text of a value to the closure. Where nothing else is said, it is
    /// cut after 256 bytes, which lie on the stack.
    fn with_text<R>(value: impl Display, use_it: impl FnOnce(&str) -> R) -> R {
        let mut text = Beginning(heapless::String::new());
        // An error says that the text goes on, or that the value has none.
        let _ = write!(text, "{value}");
        use_it(&text.0)
    }
}

/// Keeps the beginning of a text, up to a whole character.
struct Beginning(heapless::String<256>);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.0.capacity() - self.0.len();
        let kept = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        self.0.push_str(kept).map_err(|_| core::fmt::Error)?;
        if kept.len() < text.len() { Err(core::fmt::Error) } else { Ok(()) }
    }
}

/// What a context carries besides ids: the trace state and the baggage.
///
/// On servers it is an optional `Arc`, empty in most contexts; without an
/// allocator it is `()`. Cloned when a span begins and when a context is
/// captured, and left where it is when a context is entered.
pub trait Carry: Clone + Default + Debug + Send + Sync + 'static {
    /// Nothing.
    const EMPTY: &'static Self;

    /// Whether there is neither trace state nor baggage.
    fn is_empty(&self) -> bool;

    /// The trace that this was [bound to](Self::bound_to).
    fn trace_id(&self) -> TraceId;

    /// The same within a trace, of which all contexts that carry it are: so they
    /// need not hold its id themselves. Called only when there is something.
    #[must_use]
    fn bound_to(self, trace: TraceId) -> Self;

    /// The trace state, empty if there is none.
    fn trace_state(&self) -> TraceState<'_>;

    /// The same with another trace state.
    #[must_use]
    fn with_trace_state(self, trace_state: &TraceStateBuf) -> Self;

    /// The baggage as it is sent, empty if there is none.
    fn baggage(&self) -> Baggage<'_>;
}

impl Carry for () {
    const EMPTY: &'static Self = &();

    fn is_empty(&self) -> bool {
        true
    }

    fn trace_id(&self) -> TraceId {
        TraceId::INVALID
    }

    fn bound_to(self, _: TraceId) -> Self {}

    fn trace_state(&self) -> TraceState<'_> {
        TraceState::default()
    }

    fn with_trace_state(self, _: &TraceStateBuf) -> Self {}

    fn baggage(&self) -> Baggage<'_> {
        Baggage::default()
    }
}
