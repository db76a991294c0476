//! A value that travels with the context in which it was sent.

use core::fmt;

use crate::{Context, Platform};

/// A value that travels with the context in which it was sent: through a channel,
/// a queue, to an actor.
///
/// Who receives it handles it in that context instead of their own, whatever the
/// two are: a message that was sent where no span was current is handled in none,
/// also inside of a receiver's span. Afterwards the receiver's is current again.
///
/// ```text
///   channel.send(Message::new(order))
///   channel.recv().scope(|order| ..)               // where nothing is awaited
///   let (order, context) = channel.recv().into_parts();
///   handle(order).with_context(context).await      // else
/// ```
pub struct Message<T, P: Platform> {
    value: T,
    context: Context<P>,
}

impl<T, P: Platform> Message<T, P> {
    /// The value with the current context.
    pub fn new(value: T) -> Self {
        Self::with_context(value, Context::current())
    }

    /// The value with this context; with a [linked](Context::linked) one, who handles
    /// it begins a new trace.
    pub fn with_context(value: T, context: Context<P>) -> Self {
        Message { value, context }
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The context in which it was sent.
    pub fn context(&self) -> &Context<P> {
        &self.context
    }

    /// Hands the value to the closure, in the context in which it was sent.
    pub fn scope<R>(self, handle: impl FnOnce(T) -> R) -> R {
        let Message { value, context } = self;
        context.scope(|| handle(value))
    }

    /// The value and the context in which it was sent.
    pub fn into_parts(self) -> (T, Context<P>) {
        (self.value, self.context)
    }
}

impl<T: Clone, P: Platform> Clone for Message<T, P> {
    fn clone(&self) -> Self {
        Message { value: self.value.clone(), context: self.context.clone() }
    }
}

impl<T: fmt::Debug, P: Platform> fmt::Debug for Message<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Message { value, context } = self;
        f.debug_struct("Message").field("value", value).field("context", context).finish()
    }
}
