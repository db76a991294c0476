//! What the relay forwards to: it records requests, and answers as their path says.

use core::net::SocketAddr;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::http::Received;

pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    received: Receiver<Received>,
}

impl Target {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, received) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || serve(stream, &sender));
            }
        });
        Target { address, received }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request, which comes.
    pub(crate) fn next(&self) -> Received {
        self.received.recv().expect("the target runs")
    }

    /// The requests that came and were not asked for yet.
    pub(crate) fn rest(&self) -> Vec<Received> {
        self.received.try_iter().collect()
    }
}

fn serve(mut stream: TcpStream, sender: &Sender<Received>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let Some(request) = Received::read(&mut reader) else { return };
    let path = request.first_line.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
    if sender.send(request).is_err() {
        return;
    }
    match path.strip_prefix("/status/") {
        _ if path == "/hang" => {
            // Until the other end has given up.
            let _ = reader.read(&mut [0]);
        }
        _ if path == "/close" => {}
        Some(status) => {
            let _ = write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\nok");
        }
        None => {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }
}
