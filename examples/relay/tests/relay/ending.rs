//! How the relay ends, and what it exports.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::channel;

use nix::sys::signal::Signal;

use crate::http::{answer, send};
use crate::process::Relay;
use crate::traceparent::PARENT;

/// A collector that takes one request of OTLP over HTTP and keeps its bytes.
fn collector() -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut chunk).expect("bytes");
            bytes.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
            let head = text.split_once("\r\n\r\n").map(|(head, _)| head.to_owned());
            let length = head.as_deref().and_then(|head| {
                let value = head.split("content-length:").nth(1)?.split("\r\n").next()?;
                Some(head.len() + 4 + value.trim().parse::<usize>().ok()?)
            });
            if read == 0 || length.is_some_and(|length| bytes.len() >= length) {
                break;
            }
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        bytes
    });
    (url, thread)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

pub(crate) fn term_and_int_flush_and_exit_0(runtime: &str) {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (url, collector) = collector();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            // Nothing leaves before it is flushed.
            ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ];
        let relay = Relay::with(runtime, &variables);
        relay.forward(&[("traceparent", PARENT)]);
        assert_eq!(relay.end(signal), Some(0));
        let bytes = collector.join().expect("no panic");
        let names = ["POST /relay", "http.route", "url.full", "server.address"];
        for name in names {
            assert!(contains(&bytes, name), "{name}");
        }
    }
}

pub(crate) fn requests_under_way_are_finished_first(runtime: &str) {
    let relay = Relay::start(runtime);
    let body = format!(r#"[{{"url":"{}","arguments":[]}}]"#, relay.target.url("/hang"));
    let hanging = send(relay.address, "POST /relay HTTP/1.1", &[], &body);
    relay.target.next();
    relay.signal(Signal::SIGTERM);
    assert_eq!(answer(&hanging).status(), 200);
    assert_eq!(relay.end(Signal::SIGTERM), Some(0));
}

/// With the exporter's default endpoint in use by somebody else, or by nobody, it makes
/// no difference: nobody connects.
pub(crate) fn without_an_endpoint_nothing_is_exported(runtime: &str) {
    let (said, silence) = channel();
    // One that is free on this machine, if it is: then whoever connects is heard.
    let default = TcpListener::bind(("127.0.0.1", 4318)).ok();
    if let Some(listener) = default {
        std::thread::spawn(move || {
            let _ = said.send(listener.accept().is_ok());
        });
    }
    let relay = Relay::with(runtime, &[("OTEL_BSP_SCHEDULE_DELAY", "1")]);
    relay.forward(&[("traceparent", PARENT)]);
    assert_eq!(relay.end(Signal::SIGTERM), Some(0));
    assert!(silence.try_recv().is_err(), "it has connected");
}

pub(crate) fn an_address_that_is_taken_is_named(runtime: &str) {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_relay"))
        .args(["--listen", &address, "--runtime", runtime])
        .output()
        .expect("it starts");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&format!("relay: cannot listen on {address}: ")), "{said}");
}
