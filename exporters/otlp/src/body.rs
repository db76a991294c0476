//! Bodies of requests and answers.

use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::HeaderMap;

/// A request body that is one buffer.
pub(crate) struct Whole(Option<Bytes>);

impl Whole {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// A whole answer.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Why an answer is not whole.
pub(crate) enum Incomplete {
    /// It is larger than the limit.
    TooLarge,
    /// The connection ended before it did.
    Cut,
}

/// Reads an answer to its end, unless it grows over the limit.
pub(crate) async fn receive(mut body: Incoming, max_bytes: usize) -> Result<Received, Incomplete> {
    // Announced, so that nothing of it need be read.
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(Incomplete::TooLarge);
    }
    let mut received = Received::default();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.map_err(|_| Incomplete::Cut)?.into_data() {
            Ok(data) => {
                if data.len() > max_bytes - received.data.len() {
                    return Err(Incomplete::TooLarge);
                }
                received.data.extend_from_slice(&data);
            }
            Err(frame) => received.trailers = frame.into_trailers().ok(),
        }
    }
    Ok(received)
}
