//! The console as an exporter of the pipeline.

use core::future::{Ready, ready};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use throughline_core::{Accepted, Batch, ExportError, Failure, SpanExporter};
use throughline_runtime::{Exporter, Runtime};

use crate::still_running::still_running;
use crate::{Colour, FinishedSpan, Options, Trace, json_line, waterfall};

/// Prints finished spans: a waterfall per trace for people, or a JSON object per
/// line for programs. For debugging; its waterfall is no stable format.
///
/// A trace is printed with the spans of one batch; spans that end much later
/// form a waterfall of their own. The record of a span that has not ended (a
/// heartbeat) is a line, and no trace; in JSON it is a span that has the attribute
/// [`HEARTBEAT_ATTRIBUTE`](crate::HEARTBEAT_ATTRIBUTE). A stream that is closed or full takes nothing
/// down: the batch is counted as failed.
#[derive(Clone)]
pub struct Console {
    out: Arc<Mutex<dyn Write + Send>>,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Waterfall(Options),
    Json,
}

impl Console {
    /// Waterfalls on stdout, in colour when it is a terminal.
    pub fn stdout() -> Self {
        let colour = Colour::auto(&io::stdout());
        Self::waterfalls(io::stdout(), Options { colour, ..Options::default() })
    }

    /// Waterfalls on stderr, in colour when it is a terminal.
    pub fn stderr() -> Self {
        let colour = Colour::auto(&io::stderr());
        Self::waterfalls(io::stderr(), Options { colour, ..Options::default() })
    }

    /// Waterfalls on any writer.
    pub fn waterfalls(out: impl Write + Send + 'static, options: Options) -> Self {
        Console { out: Arc::new(Mutex::new(out)), form: Form::Waterfall(options) }
    }

    /// A JSON object per span and line, on any writer.
    pub fn json(out: impl Write + Send + 'static) -> Self {
        Console { out: Arc::new(Mutex::new(out)), form: Form::Json }
    }

    fn print(&self, spans: Vec<FinishedSpan>) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        match self.form {
            Form::Json => spans.iter().try_for_each(|span| json_line(span).write_to(&mut *out))?,
            Form::Waterfall(options) => {
                let (running, spans): (Vec<_>, Vec<_>) =
                    spans.into_iter().partition(FinishedSpan::is_heartbeat);
                for span in &running {
                    writeln!(out, "{}", still_running(span, options))?;
                }
                for trace in Trace::group(spans) {
                    writeln!(out, "{}", waterfall(&trace, options))?;
                }
            }
        }
        out.flush()
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("form", &self.form).finish_non_exhaustive()
    }
}

impl<R: Runtime> Exporter<R> for Console {
    type Connection = Console;

    fn connect(&self, _: &R) -> Console {
        self.clone()
    }

    /// Lines come in the order of the spans.
    fn max_concurrent_exports(&self) -> usize {
        1
    }

    /// A pipe that nobody reads.
    fn may_block(&self) -> bool {
        true
    }
}

impl SpanExporter for Console {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, batch: &Batch<'_>) -> Self::Sending {
        let service = batch.resource().attribute("service.name");
        let service: Arc<str> = service.and_then(|name| name.as_str()).unwrap_or("").into();
        let mut scopes: HashMap<&str, Arc<str>> = HashMap::new();
        let spans = batch.spans().map(|(scope, span)| {
            let scope = scopes.entry(scope.name()).or_insert_with(|| scope.name().into());
            FinishedSpan::from_view(&span, scope.clone(), service.clone())
        });
        let spans = spans.collect();
        ready(match self.print(spans) {
            Ok(()) => Ok(Accepted::default()),
            Err(_) => Err(ExportError::Permanent(Failure::Write)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HEARTBEAT_ATTRIBUTE, Value};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_heartbeat_is_a_line_and_neither_a_trace_nor_a_part_of_one() {
        let span = |name: &str, id: u8, attributes| FinishedSpan {
            trace_id: [7; 16],
            span_id: [id; 8],
            name: name.to_owned(),
            attributes,
            ..FinishedSpan::default()
        };
        let mark = vec![(HEARTBEAT_ATTRIBUTE.to_owned(), Value::from(true))];
        let written = Written::default();
        let console = Console::waterfalls(written.clone(), Options::default());
        console.print(vec![span("long", 1, mark), span("short", 2, Vec::new())]).unwrap();
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("still running: long  "), "{text}");
        assert!(lines[1].starts_with("trace 0707") && lines[1].contains("1 span"), "{text}");
        assert_eq!(text.matches("trace 0707").count(), 2, "{text}");
        assert!(lines[2].starts_with("short"), "{text}");
    }

    /// NON-4 ([Standard output](https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/stdout/)).
    #[test]
    fn the_console_says_that_it_is_for_debugging_and_not_stable() {
        let source = include_str!("exporter.rs");
        let docs = source.split("pub struct Console").next().unwrap_or_default();
        assert!(docs.contains("For debugging; its waterfall is no stable format"), "{docs}");
    }
}
