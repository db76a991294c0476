//! A receiver that does to each request what its script says, byte by byte.

use core::future::{Future, pending};
use core::net::SocketAddr;
use core::pin::Pin;
use std::collections::BTreeMap;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What to do once a request has come.
pub(crate) enum Step {
    /// Write this and wait for the next request on the same connection.
    Answer(Vec<u8>),
    /// Write this and close the connection.
    AnswerAndClose(Vec<u8>),
    /// Do nothing, and keep the connection.
    Hang,
}

/// What carries a connection, which may be encrypted.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Makes of a socket what carries the connection, unless it fails.
pub(crate) type Accept = Box<
    dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = Option<Box<dyn Stream>>> + Send>>
        + Send
        + Sync,
>;

/// A request as it came over the wire.
#[derive(Debug)]
pub(crate) struct Request {
    /// Which connection brought it, from 1 on.
    pub(crate) connection: usize,
    pub(crate) line: String,
    /// With names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Event>,
}

enum Event {
    Request(Request),
    Closed,
}

impl Receiver {
    pub(crate) async fn start(steps: impl IntoIterator<Item = Step>) -> Receiver {
        let plain: Accept = Box::new(|stream| Box::pin(async { Some(Box::new(stream) as _) }));
        Self::start_behind(steps, plain).await
    }

    /// One that does something to each connection first.
    pub(crate) async fn start_behind(
        steps: impl IntoIterator<Item = Step>,
        accept: Accept,
    ) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let steps: Vec<Step> = steps.into_iter().collect();
        tokio::spawn(serve(listener, accept, steps, sender));
        Receiver { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Request {
        loop {
            if let Event::Request(request) = self.requests.recv().await.unwrap() {
                return request;
            }
        }
    }

    /// Waits until the exporter has closed a connection.
    pub(crate) async fn closed(&mut self) {
        while !matches!(self.requests.recv().await.unwrap(), Event::Closed) {}
    }

    /// Whether any request has come that nobody took.
    pub(crate) fn has_request(&mut self) -> bool {
        matches!(self.requests.try_recv(), Ok(Event::Request(_)))
    }
}

/// An answer of HTTP/1.1 with its length.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n").into_bytes();
    answer.extend(body);
    answer
}

async fn serve(
    listener: TcpListener,
    accept: Accept,
    steps: Vec<Step>,
    events: mpsc::UnboundedSender<Event>,
) {
    let mut steps = steps.into_iter();
    for connection in 1.. {
        let (stream, _) = listener.accept().await.unwrap();
        let Some(stream) = accept(stream).await else {
            continue;
        };
        let mut stream = BufReader::new(stream);
        loop {
            let Some(request) = read(&mut stream, connection).await else {
                let _ = events.send(Event::Closed);
                break;
            };
            let _ = events.send(Event::Request(request));
            match steps.next().expect("a step for each request") {
                Step::Answer(bytes) => {
                    stream.write_all(&bytes).await.unwrap();
                    stream.flush().await.unwrap();
                }
                Step::AnswerAndClose(bytes) => {
                    stream.write_all(&bytes).await.unwrap();
                    let _ = stream.shutdown().await;
                    break;
                }
                Step::Hang => {
                    let mut byte = [0];
                    match stream.read(&mut byte).await {
                        Ok(0) | Err(_) => {
                            let _ = events.send(Event::Closed);
                            break;
                        }
                        Ok(_) => pending().await,
                    }
                }
            }
        }
    }
}

async fn read(stream: &mut BufReader<Box<dyn Stream>>, connection: usize) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<_, _> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { connection, line, headers, body })
}
