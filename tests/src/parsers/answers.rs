//! What a receiver answers the exporter.

use core::future::{Future, pending};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use futures::io::{AsyncRead, AsyncWrite};
use throughline::exporters::Otlp;
use throughline::{Exporter, Runtime};
use throughline_core::Accepted;

/// The bytes are the answer over HTTP/1.1: after a first byte that chooses they
/// are its body, or all of it.
pub fn http_answer(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let length = rest.len();
    let head = match choice % 6 {
        0 => String::new(),
        1 => format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"),
        2 => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\
             content-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
        ),
        3 => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        4 => "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nretry-after: ".to_owned(),
        _ => "HTTP/1.1 429 Slow\r\ncontent-length: 0\r\ndate: ".to_owned(),
    };
    let tail: &[u8] = if choice % 6 > 3 { b"\r\n\r\n" } else { b"" };
    answered(&Otlp::http(), [head.as_bytes(), rest, tail].concat());
}

/// The bytes are, after a first one that chooses, the message of an answer over
/// HTTP/2, its trailers, the details of its status, or all frames of it.
pub fn grpc_answer(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let ok = ("content-type", &b"application/grpc"[..]);
    let status = |value: &'static [u8]| ("grpc-status", value);
    let frames = match choice % 6 {
        0 => rest.to_vec(),
        1 => {
            let length = u32::try_from(rest.len()).expect("it is short").to_be_bytes();
            let message = [&[0], &length[..], rest].concat();
            [headers(&[ok], true), frame(DATA, 0, 1, &message), headers(&[status(b"0")], false)]
                .concat()
        }
        2 => [headers(&[ok], true), frame(DATA, 0, 1, rest), headers(&[status(b"0")], false)]
            .concat(),
        3 => {
            let details = base64::engine::general_purpose::STANDARD.encode(rest);
            let details = ("grpc-status-details-bin", details.as_bytes());
            headers_only(&[ok, status(b"8"), details])
        }
        4 => headers_only(&[ok, ("grpc-status", rest)]),
        _ => headers_only(&[ok, status(b"8"), ("grpc-message", rest)]),
    };
    // Settings of the server's, and that it has read ours.
    let preface = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat();
    answered(&Otlp::grpc(), [preface, frames].concat());
}

/// Sends a request that is answered so. It ends, whatever the answer.
fn answered(otlp: &Otlp, answer: Vec<u8>) {
    let script = Script { answer, tasks: Vec::new() };
    let runtime = Scripted(Arc::new(Mutex::new(script)));
    let mut connection = Exporter::<Scripted>::connect(otlp, &runtime);
    let sending = connection.send(REQUEST);
    let verdict = runtime.run(sending).expect("the stream ends, so the transmission does");
    if let Ok(Accepted { rejected }) = verdict {
        assert!(i64::try_from(rejected).is_ok(), "the count is an int64");
    }
}

const REQUEST: &[u8] = b"\x0a\x0ethe request it";

/// A runtime without timers, whose connections give an answer.
#[derive(Clone)]
struct Scripted(Arc<Mutex<Script>>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Script {
    answer: Vec<u8>,
    tasks: Vec<Task>,
}

impl Scripted {
    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls all there is until the future is ready; `None` if it never is.
    fn run<F: Future + Unpin>(&self, mut future: F) -> Option<F::Output> {
        let mut context = Context::from_waker(Waker::noop());
        // Nothing here waits for time, so progress takes a bounded number of
        // polls: one for each few bytes.
        let rounds = 10_000 + self.lock().answer.len();
        for _ in 0..rounds {
            if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
                return Some(output);
            }
            let mut tasks = core::mem::take(&mut self.lock().tasks);
            tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
            self.lock().tasks.append(&mut tasks);
        }
        None
    }
}

impl Runtime for Scripted {
    type Stream = Stream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.lock().tasks.push(Box::pin(task));
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }

    fn connect(
        &self,
        _: &str,
        _: u16,
    ) -> impl Future<Output = io::Result<Stream>> + Send + 'static {
        let answer = self.lock().answer.clone();
        core::future::ready(Ok(Stream { answer, read: 0, written: Vec::new() }))
    }
}

/// A stream on which the answer comes when the request has gone, and then ends.
struct Stream {
    answer: Vec<u8>,
    read: usize,
    written: Vec<u8>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !self.written.windows(REQUEST.len()).any(|written| written == REQUEST) {
            return Poll::Pending;
        }
        let count = buffer.len().min(self.answer.len() - self.read);
        buffer[..count].copy_from_slice(&self.answer[self.read..][..count]);
        self.read += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // What follows the request is of no interest.
        if self.written.len() < 1 << 16 {
            self.written.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The head of an answer with status 200, or trailers after one.
fn headers(pairs: &[(&str, &[u8])], is_head: bool) -> Vec<u8> {
    let flags = if is_head { END_HEADERS } else { END_HEADERS | END_STREAM };
    frame(HEADERS, flags, 1, &block(pairs, is_head))
}

fn headers_only(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(pairs, true))
}

/// Header fields in literal form, which needs no table.
/// ([RFC 7541](https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2))
fn block(pairs: &[(&str, &[u8])], is_head: bool) -> Vec<u8> {
    // `:status: 200` is entry 8 of the static table.
    let mut block = if is_head { vec![0x88] } else { vec![] };
    for (name, value) in pairs {
        block.push(0);
        string(&mut block, name.as_bytes());
        string(&mut block, value);
    }
    block
}

/// A length of seven bits, or more in groups of seven, and the bytes.
fn string(block: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len().checked_sub(127) {
        None => block.push(bytes.len() as u8),
        Some(mut rest) => {
            block.push(127);
            while rest >= 128 {
                block.push(rest as u8 | 128);
                rest >>= 7;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(bytes);
}

/// ([RFC 9113](https://www.rfc-editor.org/rfc/rfc9113#section-4.1))
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
