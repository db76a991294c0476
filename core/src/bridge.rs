//! The contexts of another API, on the same threads.

use crate::{Context, Platform};

/// Keeps what is current in another API in step with what is current here, in both
/// directions, so that spans of both are of one tree.
///
/// ```text
///   a scope of ours  ── enter ──▶ attached there ── current() ──▶ it is ours
///   a guard of theirs ──────────▶ attached there ── current() ──▶ it is theirs
/// ```
///
/// The other API keeps the one order of both: what is entered here is attached there,
/// and whoever asks what is current looks there, where the innermost is on top. It
/// need not call back.
///
/// A platform has one by [`Platform::bridge`]. None of its methods may panic, or ask
/// what is current here.
pub trait Bridge<P: Platform>: Sync {
    /// The context is entered on this thread. `is_recording` says that it is that of
    /// a recorded span, which [`CurrentSpan`](crate::CurrentSpan) adds to. Returns how
    /// many contexts of this thread were entered, and not left, before.
    fn enter(&self, context: Context<P>, is_recording: bool) -> usize;

    /// What was entered on this thread is left, but for the first so many, which may be
    /// all: what was entered before there was a bridge is left too.
    fn leave(&self, depth: usize);

    /// The ambient context of the thread is exchanged.
    fn replace_ambient(&self, ambient: Option<&Context<P>>);

    /// What the other API made current on this thread after what was entered here
    /// last, if it did.
    fn current(&self) -> Option<Context<P>>;
}
