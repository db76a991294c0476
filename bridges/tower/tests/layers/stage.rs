//! A pipeline per test, and bodies that give what they are told.

use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use throughline::exporters::Memory;
use throughline::{Builder, Telemetry, Thread, builder};

pub(crate) struct Stage {
    pub(crate) telemetry: Telemetry,
    pub(crate) memory: Memory,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Stage::with(builder())
    }

    pub(crate) fn with(settings: Builder) -> Self {
        let memory = Memory::new();
        let telemetry = settings.start(Thread::start().expect("a thread"), memory.clone());
        Stage { telemetry, memory }
    }

    /// Runs the future in this pipeline.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        use throughline::InSpanExt;
        futures::executor::block_on(work.with_context(self.telemetry.context()))
    }

    /// The spans, all of which have ended.
    pub(crate) fn spans(&self) -> Memory {
        let receipt = self.telemetry.flush_blocking(Duration::from_secs(60));
        assert_eq!(receipt.ledger().in_flight(), 0, "{receipt}");
        self.memory.clone()
    }
}

/// A body of these frames, which does not say how long it is.
#[derive(Debug, Default)]
pub(crate) struct Frames(VecDeque<Result<Frame<Bytes>, &'static str>>);

impl Frames {
    pub(crate) fn data(texts: &[&'static str]) -> Self {
        Frames(
            texts.iter().map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))).collect(),
        )
    }

    pub(crate) fn then(mut self, trailers: HeaderMap) -> Self {
        self.0.push_back(Ok(Frame::trailers(trailers)));
        self
    }

    pub(crate) fn then_fail(mut self, error: &'static str) -> Self {
        self.0.push_back(Err(error));
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.0.pop_front())
    }
}

pub(crate) fn get(url: &str) -> Request<Empty<Bytes>> {
    Request::get(url).body(Empty::new()).expect("a request")
}

pub(crate) fn grpc(url: &str) -> Request<Empty<Bytes>> {
    let request = Request::post(url).header("content-type", "application/grpc+proto");
    request.body(Empty::new()).expect("a request")
}

/// Reads the whole body.
pub(crate) async fn read<B: Body + Unpin>(body: B) -> Result<Bytes, B::Error> {
    body.collect().await.map(|body| body.to_bytes())
}

pub(crate) const PARENT: &str = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01";
