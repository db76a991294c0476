//! What anybody may send to the viewer.

use core::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use throughline_viewer::console::{Options, json_line, waterfall};
use throughline_viewer::{Viewer, ViewerConfig};

/// The bytes are the body of a request, compressed if the first one is odd. It
/// is answered, and whatever is held can be shown.
pub fn viewer_request(data: &[u8]) {
    thread_local! {
        static CLIENT: RefCell<Option<Client>> = const { RefCell::new(None) };
    }
    let Some((choice, body)) = data.split_first() else { return };
    let is_gzip = choice % 2 == 1;
    CLIENT.with_borrow_mut(|client| {
        let client = client.get_or_insert_with(Client::new);
        let status = client.post(body, is_gzip);
        if is_gzip {
            assert!(matches!(status, 200 | 400 | 413), "{status}");
        } else {
            let is_request = ExportTraceServiceRequest::decode(body).is_ok();
            assert_eq!(status, if is_request { 200 } else { 400 });
        }
        let store = client.viewer.store();
        // The latest: the others were looked at before.
        let latest = store.summaries().last().and_then(|latest| store.trace(latest.trace_id));
        if let Some(trace) = latest {
            for span in trace.spans() {
                json_line(span).write_to(std::io::sink()).expect("a sink takes all");
            }
            let _ = waterfall(&trace, Options::default()).to_string();
        }
        let _ = (store.summaries(), store.integrity(), store.slowest(), store.first_error());
        let (stats, limits) = (store.stats(), config().limits);
        assert!(stats.spans_held <= limits.max_spans, "{stats:?}");
    });
}

/// A viewer and a connection to it, which is kept.
struct Client {
    viewer: Viewer,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new() -> Self {
        let viewer = Viewer::bind(config()).expect("a port");
        let stream = TcpStream::connect(viewer.http_addr()).expect("it listens");
        stream.set_nodelay(true).expect("an option of each socket");
        Client { viewer, stream: BufReader::new(stream) }
    }

    fn post(&mut self, body: &[u8], is_gzip: bool) -> u16 {
        let encoding = if is_gzip { "content-encoding: gzip\r\n" } else { "" };
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n{encoding}\
             content-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat()).expect("the viewer reads");
        let mut status = None;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("an answer");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(code) = line.strip_prefix("http/1.1 ") {
                status = code.get(..3).and_then(|code| code.parse().ok());
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).expect("the whole answer");
        status.expect("the viewer answers every request")
    }
}

/// Small, so that much is evicted.
fn config() -> ViewerConfig {
    let mut config = ViewerConfig::any_port();
    config.limits.max_spans = 64;
    config.limits.max_traces = 8;
    config
}
