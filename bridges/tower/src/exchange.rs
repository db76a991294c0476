//! One request and its answer, from the call to the last byte of the body.
//!
//! ```text
//!            head                    end
//!   calling ──────▶ sending ──────────────────▶ done
//!      │               │   error                  ▲
//!      └───────────────┴──────────────────────────┘
//! ```
//!
//! It is a stream, so that what puts streams in a span does all the rest: the span
//! is current at each poll, and a drop before the end is a cancellation.

use core::fmt::Display;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, ready};

use futures_core::Stream;
use http::response::Parts;
use http::{Response, StatusCode, header};
use http_body::{Body, Frame};
use pin_project::pin_project;

use crate::outcome::Outcome;

/// A future of a response, and then the response's body.
#[pin_project(project = Projected)]
#[derive(Debug)]
pub(crate) struct Exchange<F, B> {
    #[pin]
    stage: Stage<F, B>,
    outcome: Outcome,
}

#[pin_project(project = StageProjected)]
#[derive(Debug)]
enum Stage<F, B> {
    Calling(#[pin] F),
    Sending {
        #[pin]
        body: B,
        /// What is still to come, if the response says how much that is: a server
        /// may not ask for the end of a body whose last byte it has.
        left: Option<u64>,
    },
    Done,
}

/// What an exchange gives.
#[derive(Debug)]
pub(crate) enum Step<D, BodyError, CallError> {
    Head(Result<Parts, CallError>),
    Frame(Result<Frame<D>, BodyError>),
}

impl<F, B> Exchange<F, B> {
    pub(crate) fn new(call: F, outcome: Outcome) -> Self {
        Exchange { stage: Stage::Calling(call), outcome }
    }

    /// The body, while it is under way.
    pub(crate) fn body(&self) -> Option<&B> {
        match &self.stage {
            Stage::Sending { body, .. } => Some(body),
            _ => None,
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }
}

impl<F, B, E> Stream for Exchange<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    B::Error: Display,
    E: Display,
{
    type Item = Step<B::Data, B::Error, E>;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let Projected { mut stage, outcome } = self.project();
        let step = match stage.as_mut().project() {
            StageProjected::Calling(call) => match ready!(call.poll(task)) {
                Ok(response) => {
                    let (parts, body) = response.into_parts();
                    outcome.head(&parts);
                    let left = expected(&parts, &body, outcome);
                    stage.set(Stage::Sending { body, left });
                    Step::Head(Ok(parts))
                }
                Err(error) => {
                    outcome.error(&error);
                    stage.set(Stage::Done);
                    return Poll::Ready(Some(Step::Head(Err(error))));
                }
            },
            StageProjected::Sending { body, left } => match ready!(body.poll_frame(task)) {
                Some(Ok(frame)) => {
                    if let (Some(left), Some(data)) = (left, frame.data_ref()) {
                        *left = left.saturating_sub(bytes::Buf::remaining(data) as u64);
                    }
                    if let Some(trailers) = frame.trailers_ref() {
                        outcome.trailers(trailers);
                    }
                    Step::Frame(Ok(frame))
                }
                Some(Err(error)) => {
                    outcome.error(&error);
                    stage.set(Stage::Done);
                    return Poll::Ready(Some(Step::Frame(Err(error))));
                }
                None => {
                    outcome.end();
                    stage.set(Stage::Done);
                    return Poll::Ready(None);
                }
            },
            StageProjected::Done => return Poll::Ready(None),
        };
        if let StageProjected::Sending { body, left } = stage.as_mut().project()
            && (body.is_end_stream() || *left == Some(0))
        {
            outcome.end();
            stage.set(Stage::Done);
        }
        Poll::Ready(Some(step))
    }
}

/// How many bytes the body has that anybody will read, if that is known.
/// ([Message body length](https://www.rfc-editor.org/rfc/rfc9112#section-6.3))
fn expected<B: Body>(parts: &Parts, body: &B, outcome: &Outcome) -> Option<u64> {
    let is_bare = parts.status.is_informational()
        || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if outcome.is_head || is_bare {
        return Some(0);
    }
    if outcome.is_grpc {
        // What matters comes after the last byte.
        return None;
    }
    let header = parts.headers.get(header::CONTENT_LENGTH);
    let header = header.and_then(|length| length.to_str().ok()?.parse().ok());
    header.or_else(|| body.size_hint().exact())
}
