//! Futures and streams in spans and contexts.

use throughline_runtime::{Context, InSpan, Span, WithContext};

/// Puts futures and streams into spans and contexts.
///
/// It is there for every type; the wrappers are futures or streams when what is
/// wrapped is one.
pub trait InSpanExt: Sized {
    /// Polls, and in the end drops, this inside the span.
    ///
    /// The span ends with the future or stream: completed when it is ready or
    /// exhausted, cancelled when it is dropped before, panicked when it panics.
    ///
    /// ```
    /// use throughline::{InSpanExt, span};
    ///
    /// let answer = async { 42 }.in_span(span!("answer"));
    /// # fn is_future<T>(future: impl Future<Output = T>) {}
    /// # is_future(answer);
    /// ```
    #[must_use = "futures and streams do nothing unless they are polled"]
    fn in_span(self, span: Span) -> InSpan<Self> {
        InSpan::new(self, span)
    }

    /// Polls, and in the end drops, this inside a context that was captured
    /// elsewhere.
    #[must_use = "futures and streams do nothing unless they are polled"]
    fn with_context(self, context: Context) -> WithContext<Self> {
        WithContext::new(self, context)
    }
}

impl<T> InSpanExt for T {}
