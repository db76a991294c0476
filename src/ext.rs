//! Futures, streams and sinks in spans and contexts.

use throughline_runtime::{Context, EachInSpan, InSpan, Span, TryInSpan, WithContext};

/// Puts futures, streams and sinks into spans and contexts.
///
/// It is there for every type; the wrappers are futures, streams or sinks when
/// what is wrapped is one.
pub trait InSpanExt: Sized {
    /// Polls, and in the end drops, this inside the span.
    ///
    /// The span ends with the future or stream: completed when it is ready or
    /// exhausted, cancelled when it is dropped before, panicked when it panics. That
    /// of a sink ends when it is closed, or fails.
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

    /// As [`in_span`](Self::in_span), for a future of a `Result`, a stream of them,
    /// or a sink: an `Err` is [recorded](Span::record_error), and ends the span.
    ///
    /// ```
    /// use throughline::{InSpanExt, span};
    ///
    /// async fn port(text: &str) -> Result<u16, std::num::ParseIntError> {
    ///     async { text.trim().parse() }.try_in_span(span!("port")).await
    /// }
    /// # drop(port("80"));
    /// ```
    ///
    /// The error is a [`core::error::Error`]. For one that only contains such an
    /// error (a `Box<dyn Error>`, say) see [`CurrentSpan::record_error`], or write
    /// `#[trace(err)]` at a function.
    ///
    /// [`CurrentSpan::record_error`]: crate::CurrentSpan::record_error
    #[must_use = "futures and streams do nothing unless they are polled"]
    fn try_in_span(self, span: Span) -> TryInSpan<Self> {
        TryInSpan::new(self, span)
    }

    /// Each item of this stream or sink in a span of its own, which the closure
    /// begins when the item is first waited for: see [`EachInSpan`].
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use throughline::{InSpanExt, span};
    ///
    /// # futures::executor::block_on(async {
    /// let mut pages = stream::iter([1, 2]).each_in_span(|| span!("page"));
    /// while let Some(page) = pages.next().await {
    ///     println!("{page}");
    /// }
    /// # });
    /// ```
    #[must_use = "streams and sinks do nothing unless they are polled"]
    fn each_in_span<F: FnMut() -> Span>(self, begin: F) -> EachInSpan<Self, F> {
        EachInSpan::new(self, begin)
    }

    /// Polls, and in the end drops, this inside a context that was captured
    /// elsewhere.
    #[must_use = "futures and streams do nothing unless they are polled"]
    fn with_context(self, context: Context) -> WithContext<Self> {
        WithContext::new(self, context)
    }
}

impl<T> InSpanExt for T {}
