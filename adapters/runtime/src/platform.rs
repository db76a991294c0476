//! The platform of programs with a standard library: threads.

use core::fmt::Display;
use core::future::Future;
use core::hash::{BuildHasher, Hasher};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::collections::hash_map::RandomState;
use std::sync::OnceLock;

#[cfg(feature = "bridge")]
use throughline_core::Bridge;
use throughline_core::{Context, Local, Pipeline, Platform, Seed, Span, Token, WithContext};

use crate::{Carried, clock, guards};

/// Threads of the standard library. It is never instantiated.
#[derive(Debug)]
pub enum Std {}

impl Platform for Std {
    type Carried = Carried;

    const HAS_BRIDGE: bool = cfg!(feature = "bridge");

    #[inline]
    fn ticks() -> u64 {
        clock::ticks()
    }

    fn monotonic_nanos() -> u64 {
        clock::monotonic_nanos()
    }

    // Whoever tells it is a pipeline.
    #[cfg(feature = "pipeline")]
    fn on_presumed_randomness() {
        crate::report::presumed::note();
    }

    #[inline(always)]
    fn with_local<R>(use_it: impl FnOnce(&Local<Self>) -> R) -> R {
        // `with` is not inlined everywhere. It cannot fail: what has no destructor is
        // never gone.
        match LOCAL.try_with(use_it) {
            Ok(result) => result,
            Err(gone) => unreachable!("{gone}"),
        }
    }

    fn seed() -> Seed {
        Seed { ids: random(), shard: next_shard() }
    }

    fn at_thread_end() -> bool {
        AT_END.try_with(|_| ()).is_ok()
    }

    #[inline]
    fn default_pipeline() -> Option<&'static Pipeline> {
        DEFAULT.get().copied()
    }

    #[inline(always)]
    fn is_installed() -> bool {
        // Ordering: Relaxed, no value is read through it; whoever knows of what was
        // installed, sees it.
        INSTALLED.load(Ordering::Relaxed)
    }

    #[cfg(feature = "bridge")]
    #[inline(always)]
    fn bridge() -> Option<&'static dyn Bridge<Self>> {
        BRIDGE.get().copied()
    }

    fn guarded(token: Token) -> Option<Context<Self>> {
        guards::guarded(token)
    }

    fn with_guarded_span(token: Token, write: &mut dyn FnMut(&mut Span<Self>) -> bool) -> bool {
        guards::with_guarded_span(token, write)
    }

    fn is_panicking() -> bool {
        std::thread::panicking()
    }

    #[inline]
    fn nanos_of(ticks: u64, now: u64) -> u64 {
        clock::nanos_of(ticks, now)
    }

    fn ticks_of(nanos: u64) -> u64 {
        clock::ticks_of(nanos)
    }

    fn with_text<R>(value: impl Display, use_it: impl FnOnce(&str) -> R) -> R {
        use_it(&value.to_string())
    }
}

/// The pipeline of spans whose context names none.
pub fn default_pipeline() -> Option<&'static Pipeline> {
    Std::default_pipeline()
}

/// Makes a pipeline the default one, which happens once per process.
///
/// # Errors
///
/// There is a default pipeline already; it stays.
pub fn set_default_pipeline(pipeline: &'static Pipeline) -> Result<(), &'static Pipeline> {
    installed(DEFAULT.set(pipeline))
}

/// Keeps the contexts of another API in step with ours from now on, which happens once
/// per process.
///
/// # Errors
///
/// There is a bridge already; it stays. Two APIs cannot both keep the order of scopes.
#[cfg(feature = "bridge")]
pub fn set_bridge(bridge: &'static dyn Bridge<Std>) -> Result<(), &'static dyn Bridge<Std>> {
    installed(BRIDGE.set(bridge))
}

/// Runs a future so that neither it nor what it spawns through an adapter is
/// traced: exporters and their connections.
pub fn suppressed<F: Future>(work: F) -> impl Future<Output = F::Output> {
    WithContext::new(work, Context::<Std>::empty().suppressed())
}

/// 64 bits from the operating system's source of randomness.
pub(crate) fn random() -> u64 {
    // Each `RandomState` has new keys, seeded by the operating system.
    RandomState::new().build_hasher().finish()
}

thread_local! {
    // Without lazy initialization or destructor: it is there as long as the
    // thread, and costs no check.
    static LOCAL: Local<Std> = const { Local::new() };

    // The one with a destructor, for threads that have something to give back.
    static AT_END: AtEnd = const { AtEnd };
}

struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        LOCAL.with(Local::give_back);
    }
}

#[cfg(feature = "bridge")]
static BRIDGE: OnceLock<&'static dyn Bridge<Std>> = OnceLock::new();

static DEFAULT: OnceLock<&'static Pipeline> = OnceLock::new();

/// Whether one of the two is set.
static INSTALLED: AtomicBool = AtomicBool::new(false);

fn installed<T>(result: Result<(), T>) -> Result<(), T> {
    INSTALLED.store(true, Ordering::Relaxed);
    result
}

/// Threads take the shards in turn.
fn next_shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    // Ordering: Relaxed, no value is read through it.
    THREADS.fetch_add(1, Ordering::Relaxed)
}
