//! How spawned work belongs to the span that spawned it.

use crate::{Context, Platform};

/// How spawned work belongs to the span that spawned it.
///
/// Whatever the policy, the work follows the pipeline, the suppression and the
/// baggage of where it was spawned. A spawn through an adapter makes a child; for
/// another policy the work brings a context of its own, in any form of spawning:
///
/// ```text
///   spawn(work)                                               child
///   spawn(work.with_context(Context::current().linked()))     linked
///   spawn_blocking(Context::current().detached().wrap(work))  detached
/// ```
///
/// This type is for places where the spawn is not one's own, and the policy a
/// setting: the task hooks of tokio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SpawnPolicy {
    /// Spans of the work are below the span that spawned it.
    #[default]
    Child,
    /// Spans of the work begin new traces, and link back: see
    /// [`Context::linked`].
    Linked,
    /// Spans of the work begin new traces: see [`Context::detached`].
    Detached,
}

impl SpawnPolicy {
    /// The context of work that is spawned in this one.
    #[must_use]
    pub fn apply<P: Platform>(self, context: Context<P>) -> Context<P> {
        match self {
            SpawnPolicy::Child => context,
            SpawnPolicy::Linked => context.linked(),
            SpawnPolicy::Detached => context.detached(),
        }
    }
}
