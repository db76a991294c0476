//! HTTP/1.1 byte by byte, since what is sent here no library would send.

use core::net::SocketAddr;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A message as it came: header lines in order, names in their letter case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) first_line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    /// Reads one message; `None` where the other end is gone.
    pub(crate) fn read(from: &mut impl BufRead) -> Option<Self> {
        let first_line = line(from)?;
        let mut headers = Vec::new();
        loop {
            let line = line(from)?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut message = Received { first_line, headers, body: String::new() };
        let length = message
            .values("content-length")
            .first()
            .map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        from.read_exact(&mut body).ok()?;
        message.body = String::from_utf8(body).expect("text");
        Some(message)
    }

    /// The values of all lines of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let is_named = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_named).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
    }
}

fn line(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (from.read_line(&mut line).ok()? > 0).then(|| line.trim_end_matches("\r\n").to_owned())
}

/// Sends a request, whose header lines are sent as they are.
pub(crate) fn send(
    to: SocketAddr,
    request_line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> TcpStream {
    let mut text = format!("{request_line}\r\nHost: {to}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}:{value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    let mut stream = TcpStream::connect(to).expect("it listens");
    stream.write_all(text.as_bytes()).expect("it reads");
    stream
}

pub(crate) fn answer(stream: &TcpStream) -> Received {
    Received::read(&mut BufReader::new(stream)).expect("an answer")
}
