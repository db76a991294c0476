//! Log lines with the ids of the span in which they are written: area 33 of what
//! OpenTelemetry asks, and what becomes of lines that cannot be written.

use core::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use log::Log;
use serde_json::{Value as Json, json};
use throughline::exporters::Memory;
use throughline::log::{Line, Lines, Logger, Output, Shape, TraceFields};
use throughline::tracing::{LogFormat, TracingLayer};
use throughline::{
    AlwaysOff, AlwaysRecord, Carried, Context, DropReason, SpanContext, SpanId, StatusCode,
    Telemetry, Thread, TraceFlags, TraceId, Value, builder, span,
};
use throughline_tests::conformance::DEADLINE;
use throughline_tests::logs::{Caught, assert_in, assert_outside};
use tracing::dispatcher::{self, Dispatch};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

fn telemetry() -> (Telemetry, Memory) {
    let memory = Memory::new();
    let thread = Thread::start().expect("the system gives a thread");
    (builder().start(thread, memory.clone()), memory)
}

/// A logger that is nobody's but the test's.
fn logger(adapt: impl FnOnce(Lines) -> Lines) -> (Logger, Caught) {
    let caught = Caught::default();
    (Logger::new(adapt(Lines::json().to(caught.output()))), caught)
}

/// Logs as the macros do, with a logger of one's own.
macro_rules! log {
    ($logger:expr, $level:ident, $message:expr $(, $key:literal: $value:expr)*) => {
        $logger.log(
            &log::Record::builder()
                .level(log::Level::$level)
                .target("shop::orders")
                .args(format_args!("{}", $message))
                .key_values(&(&[$(($key, log::kv::Value::from($value))),*] as &[(&str, log::kv::Value<'_>)]))
                .build(),
        )
    };
}

fn context(flags: TraceFlags) -> Context {
    let (trace, span) = (TraceId::from_bytes([0xab; 16]), SpanId::from_bytes([0xcd; 8]));
    Context::remote(SpanContext::new(trace, span, flags), Carried::default())
}

/// LOG-1: `trace_id` and `span_id` in lower-case hexadecimal digits, `trace_flags` in two;
/// LOG-2: on the top level of a JSON object.
/// ([Trace context in logs](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/))
#[test]
fn a_json_line_has_the_ids_on_its_top_level() {
    let (logger, caught) = logger(|lines| lines);
    context(TraceFlags::SAMPLED).scope(|| {
        log!(logger, Warn, "with \"quotes\"\nand lines", "count": 3u64, "part": 0.5, "whole": true,
            "text": "a\tb", "none": log::kv::Value::null(), "count": -3i64);
    });
    let text = caught.text();
    assert!(text.ends_with("\"}\n") && text.matches('\n').count() == 1, "{text}");
    let mut line = caught.lines().remove(0);
    let time = line["timestamp"].take();
    let time = time.as_str().expect("it is text");
    assert!(time.len() == 27 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert_eq!(
        line,
        json!({
            "timestamp": null,
            "level": "WARN",
            "target": "shop::orders",
            "message": "with \"quotes\"\nand lines",
            "fields": { "count": -3, "part": 0.5, "whole": true, "text": "a\tb", "none": null },
            "trace_id": "abababababababababababababababab",
            "span_id": "cdcdcdcdcdcdcdcd",
            "trace_flags": "01",
        })
    );
}

/// LOG-2: in plain text as fields like the others, LTSV as labels.
/// ([Plain text](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/#other-structured-formats))
#[test]
fn a_text_line_has_the_ids_among_its_fields() {
    let caught = Caught::default();
    let lines = Lines::new(Shape::Text, caught.output());
    let mut line = Line {
        time: UNIX_EPOCH,
        level: log::Level::Info,
        target: "shop",
        message: "stored\x1b[31m\n",
        fields: &[
            ("order", Value::I64(7)),
            ("who", Value::Str("a b")),
            ("how", Value::Str("fast")),
        ],
        span: context(TraceFlags::NONE).span_context(),
    };
    lines.write(&line);
    line.span = SpanContext::INVALID;
    lines.write(&line);
    let head =
        "1970-01-01T00:00:00.000000Z INFO  shop: stored\\u{1b}[31m\\n order=7 who=\"a b\" how=fast";
    let ids = "trace_id=abababababababababababababababab span_id=cdcdcdcdcdcdcdcd trace_flags=00";
    assert_eq!(caught.text(), format!("{head} {ids}\n{head}\n"));
    let ltsv = TraceFields::of(&context(TraceFlags::NONE).span_context()).ltsv().to_string();
    assert_eq!(ltsv, ids.replace('=', ":").replace(' ', "\t"));
}

#[test]
fn text_is_coloured_only_if_one_wishes_or_on_a_terminal() {
    let (plain, coloured) = (Caught::default(), Caught::default());
    let line = Line {
        time: UNIX_EPOCH,
        level: log::Level::Error,
        target: "shop",
        message: "refused",
        fields: &[("order", Value::I64(7))],
        span: SpanContext::INVALID,
    };
    Lines::new(Shape::Text, plain.output()).write(&line);
    Lines::new(Shape::Text, coloured.output()).colour(true).write(&line);
    assert!(!plain.text().contains('\x1b'));
    assert!(coloured.text().contains("\x1b[31mERROR\x1b[0m"));
    let mut bare = coloured.text();
    for code in ["\x1b[2m", "\x1b[31m", "\x1b[0m"] {
        bare = bare.replace(code, "");
    }
    assert_eq!(bare, plain.text());
}

/// LOG-3: structured data of syslog.
/// ([Syslog](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/#syslog-rfc5424))
#[test]
fn syslog_has_the_ids_as_structured_data() {
    let ids = TraceFields::of(&context(TraceFlags::SAMPLED).span_context());
    assert_eq!(
        ids.syslog().to_string(),
        "[opentelemetry trace_id=\"abababababababababababababababab\" \
         span_id=\"cdcdcdcdcdcdcdcd\" trace_flags=\"01\"]"
    );
    assert_eq!(TraceFields::of(&SpanContext::INVALID).syslog().to_string(), "-");
}

/// LOG-4: never a span id without a trace id.
/// ([Trace context fields](https://opentelemetry.io/docs/specs/otel/logs/data-model/#trace-context-fields))
#[test]
fn outside_of_any_span_there_are_no_ids_or_zeros() {
    let half = SpanContext::new(TraceId::INVALID, SpanId::from_bytes([1; 8]), TraceFlags::SAMPLED);
    let half = Context::remote(half, Carried::default());
    let (absent, absent_lines) = logger(|lines| lines);
    let (zeros, zeros_lines) = logger(Lines::zeros_outside_spans);
    for context in [Context::empty(), half] {
        context.scope(|| {
            log!(absent, Info, "outside");
            log!(zeros, Info, "outside");
        });
    }
    absent_lines.lines().iter().for_each(assert_outside);
    for line in zeros_lines.lines() {
        assert_eq!(line["trace_id"], "0".repeat(32));
        assert_eq!(line["span_id"], "0".repeat(16));
        assert_eq!(line["trace_flags"], "00");
    }
    assert_eq!((absent_lines.lines().len(), zeros_lines.lines().len()), (2, 2));
}

/// LOG-5: of the context that is given, else of the current one when the record is made.
/// ([Log record](https://opentelemetry.io/docs/specs/otel/logs/sdk/#readablelogrecord))
#[test]
fn the_ids_are_those_of_the_context_that_is_given_or_else_current() {
    let (telemetry, _) = telemetry();
    let (layer, caught) = (TracingLayer::new(), Caught::default());
    let logs = LogFormat::new(Lines::json().to(caught.output())).of(&layer).layer();
    let dispatch = Dispatch::new(registry().with(layer).with(logs));
    let (given, current) = dispatcher::with_default(&dispatch, || {
        telemetry.context().scope(|| {
            let given = tracing::info_span!("given");
            let current = tracing::info_span!("current").in_scope(|| {
                tracing::info!(parent: &given, "given");
                tracing::info!(parent: None, "none");
                tracing::info!("current");
                Context::current().span_context()
            });
            span!("ours").in_scope(|| tracing::info!("in ours"));
            tracing::info!("outside");
            (given.in_scope(|| Context::current().span_context()), current)
        })
    });
    let lines = caught.lines();
    assert_in(&lines[0], given.trace_id(), given.span_id());
    assert_outside(&lines[1]);
    assert_in(&lines[2], current.trace_id(), current.span_id());
    assert!(lines[3]["trace_id"].is_string());
    assert_outside(&lines[4]);
}

/// LOG-6: what belongs to an unsampled span is dropped if one wishes; what is outside of
/// any passes. ([LoggerConfig](https://opentelemetry.io/docs/specs/otel/logs/sdk/#loggerconfig))
#[test]
fn lines_in_unsampled_spans_are_left_out_if_one_wishes() {
    let (all, all_lines) = logger(|lines| lines);
    let (sampled, sampled_lines) = logger(Lines::trace_based);
    let log = || {
        log!(all, Info, "line");
        log!(sampled, Info, "line");
    };
    log();
    context(TraceFlags::NONE).scope(log);
    context(TraceFlags::SAMPLED).scope(log);
    assert_eq!(all_lines.lines().len(), 3);
    let flags: Vec<_> =
        sampled_lines.lines().iter().map(|line| line["trace_flags"].clone()).collect();
    assert_eq!(flags, [Json::Null, json!("01")]);

    let caught = Caught::default();
    let logs = LogFormat::new(Lines::json().trace_based().to(caught.output())).layer();
    let thread = Thread::start().expect("the system gives a thread");
    let telemetry = builder().sampler(AlwaysOff).start(thread, Memory::new());
    let dispatch = Dispatch::new(registry().with(TracingLayer::new()).with(logs));
    dispatcher::with_default(&dispatch, || {
        tracing::info!("outside");
        telemetry.context().scope(|| tracing::info_span!("span").in_scope(|| tracing::info!("in")));
    });
    assert_eq!(caught.lines().len(), 1);
}

/// SMP-2: what is recorded and not sampled is in the logs, with its ids, and says so.
/// ([ShouldSample](https://opentelemetry.io/docs/specs/otel/trace/sdk/#shouldsample))
#[test]
fn a_span_that_is_only_recorded_is_in_the_logs_and_not_at_the_exporter() {
    let memory = Memory::new();
    let thread = Thread::start().expect("the system gives a thread");
    let sampler = AlwaysRecord::new(AlwaysOff);
    let telemetry = builder().sampler(sampler).start(thread, memory.clone());
    let (logger, caught) = logger(|lines| lines);
    let seen = telemetry.context().scope(|| {
        span!("only recorded").in_scope(|| {
            log!(logger, Info, "line");
            Context::current().span_context()
        })
    });
    let lines = caught.lines();
    let ids = (seen.trace_id().to_string(), seen.span_id().to_string());
    assert_eq!(lines[0]["trace_id"], ids.0.as_str(), "{lines:?}");
    assert_eq!(lines[0]["span_id"], ids.1.as_str(), "{lines:?}");
    assert_eq!(lines[0]["trace_flags"], "02", "{lines:?}");
    assert!(telemetry.shutdown_blocking(DEADLINE).is_complete());
    assert!(memory.spans().is_empty());
    assert_eq!(telemetry.ledger().dropped(DropReason::RecordOnly), 1);
}

/// EXC-6: a record becomes one event of the current span that is recorded, with all
/// attributes, and stays a line.
/// ([Event to span event bridge](https://opentelemetry.io/docs/specs/otel/logs/sdk/#event-to-span-event-bridge))
#[test]
fn records_become_span_events_if_one_wishes() {
    let (telemetry, memory) = telemetry();
    let (logger, caught) = logger(|lines| lines);
    let logger = logger.span_events();
    let layer = TracingLayer::new();
    let dispatch = Dispatch::new(registry().with(layer));
    dispatcher::with_default(&dispatch, || {
        telemetry.context().scope(|| {
            log!(logger, Info, "outside");
            span!("ours").in_scope(|| log!(logger, Info, "stored", "order": 7));
            tracing::info_span!("theirs").in_scope(|| {
                log!(logger, Error, "refused", "event.name": "order.refused");
                log!(logger, Debug, "below the level");
            });
        });
    });
    assert!(telemetry.shutdown_blocking(DEADLINE).is_complete());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let ours = memory.span("ours");
    let attributes =
        vec![pair("level", "INFO"), pair("target", "shop::orders"), pair("order", "7")];
    assert_eq!(ours.events, [("stored".to_owned(), attributes)]);
    let theirs = memory.span("theirs");
    assert_eq!(theirs.events[0].0, "order.refused");
    assert!(theirs.events[0].1.contains(&pair("message", "refused")));
    assert_eq!((theirs.events.len(), theirs.status.0), (1, StatusCode::Unset));
    assert_eq!(caught.lines().len(), 3);
}

/// EXC-5: an error in a log record is a log record with the attributes of an exception.
/// ([Exceptions in logs](https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-logs/))
#[test]
fn an_error_in_an_event_is_described_in_its_line() {
    #[derive(Debug)]
    struct Refused(io::Error);

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("not stored")
        }
    }

    impl core::error::Error for Refused {
        fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let caught = Caught::default();
    let logs = LogFormat::new(Lines::json().to(caught.output())).layer();
    dispatcher::with_default(&Dispatch::new(registry().with(logs)), || {
        let error = Refused(io::Error::other("full"));
        tracing::error!(cause = &error as &(dyn core::error::Error + 'static), order = 7, "failed");
    });
    let line = caught.lines().remove(0);
    assert_eq!((line["level"].as_str(), line["message"].as_str()), (Some("ERROR"), Some("failed")));
    assert_eq!(
        line["fields"],
        json!({
            "cause": "not stored",
            "order": 7,
            "exception.message": "not stored",
            "exception.stacktrace": "not stored\nCaused by: full",
        })
    );
}

#[test]
fn levels_are_those_of_the_longest_target_that_fits() {
    let (logger, caught) = logger(|lines| lines);
    let logger = logger
        .level(log::LevelFilter::Warn)
        .level_of("shop", log::LevelFilter::Off)
        .level_of("shop::orders", log::LevelFilter::Debug);
    let enabled = |target: &'static str, level| {
        logger.enabled(&log::Metadata::builder().target(target).level(level).build())
    };
    assert!(enabled("shop::orders", log::Level::Debug));
    assert!(enabled("shop::orders::late", log::Level::Debug));
    assert!(!enabled("shop::orders", log::Level::Trace));
    assert!(!enabled("shop", log::Level::Error) && !enabled("shop::stock", log::Level::Error));
    assert!(enabled("shopping", log::Level::Warn) && !enabled("shopping", log::Level::Info));
    log!(logger, Debug, "written");
    log!(logger, Trace, "left out");
    assert_eq!(caught.lines().len(), 1);
}

#[test]
fn lines_of_many_threads_are_written_whole() {
    let (logger, caught) = logger(|lines| lines);
    let long = "x".repeat(5_000);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| log!(logger, Info, long)));
        }
    });
    let lines = caught.lines();
    assert_eq!(lines.len(), 800);
    assert!(lines.iter().all(|line| line["message"] == long.as_str()));
}

/// Takes so many bytes, and no more until it has room again.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

impl Disk {
    fn free(&self, bytes: usize) {
        self.0.lock().expect("no panic").1 += bytes;
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (taken, room) = &mut *self.0.lock().expect("no panic");
        let count = bytes.len().min(*room);
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        taken.extend_from_slice(&bytes[..count]);
        *room -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_that_did_not_fit_is_counted_and_does_not_spoil_the_next_one() {
    let disk = Disk::default();
    let output = Output::new(disk.clone());
    disk.free(8);
    output.write(b"first\n");
    output.write(b"second\n");
    output.write(b"third\n");
    disk.free(100);
    output.write(b"fourth\n");
    assert_eq!(disk.0.lock().expect("no panic").0, b"first\nse\nfourth\n");
    assert_eq!(output.lost(), 2);
}

#[cfg(unix)]
#[test]
fn a_full_disk_and_a_broken_pipe_are_counted() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("this is Linux");
    let (reader, broken) = io::pipe().expect("the system gives a pipe");
    drop(reader);
    for output in [Output::new(full), Output::new(broken)] {
        let logger = Logger::new(Lines::json().to(output));
        log!(logger, Error, "nobody reads it");
        log!(logger, Error, "nor this");
        assert_eq!(logger.lines().lost(), 2);
    }
}

/// A program whose standard streams take nothing goes on, says nothing, and knows how
/// much was lost.
#[cfg(unix)]
#[test]
fn a_program_whose_streams_take_nothing_goes_on() {
    let full =
        || Stdio::from(OpenOptions::new().write(true).open("/dev/full").expect("this is Linux"));
    let broken = || {
        let (reader, writer) = io::pipe().expect("the system gives a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    for stream in ["stdout", "stderr"] {
        for take in [full as fn() -> Stdio, broken as fn() -> Stdio] {
            let mut program = Command::new(env!("CARGO_BIN_EXE_logging"));
            program.arg(stream).stdin(Stdio::null());
            let output = match stream {
                "stdout" => program.stdout(take()).stderr(Stdio::piped()).output(),
                _ => program.stderr(take()).stdout(Stdio::piped()).output(),
            };
            let output = output.expect("the program starts");
            assert!(output.status.success(), "{stream}: {}", output.status);
            assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        }
    }
}
