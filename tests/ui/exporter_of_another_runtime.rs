//! An exporter that needs tokio's reactor cannot be paired with smol.

use std::future::{Ready, ready};

use throughline::{Exporter, Smol, Thread, Tokio};
use throughline_core::{Accepted, Batch, ExportError, SpanExporter};

#[derive(Clone)]
struct NeedsTokio;

struct Connection;

impl SpanExporter for Connection {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
        ready(Ok(Accepted::default()))
    }
}

impl Exporter<Tokio> for NeedsTokio {
    type Connection = Connection;

    fn connect(&self, _: &Tokio) -> Connection {
        Connection
    }
}

impl Exporter<Thread> for NeedsTokio {
    type Connection = Connection;

    fn connect(&self, _: &Thread) -> Connection {
        Connection
    }
}

fn main() {
    let _ = throughline::builder().start(Tokio::current().unwrap(), NeedsTokio);
    let _ = throughline::builder().start(Smol::global(), NeedsTokio);
}
