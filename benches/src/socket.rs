//! What is allocated on a span's whole way, up to the bytes that the kernel has.
//!
//! ```text
//!   this program ──▶ measured: spans ──▶ OTLP over HTTP, on tokio ──▶ loopback ──▶ receiver
//!                    a process of its own                                 another one
//! ```
//!
//! The exporter is the real one, and the receiver a process of its own (this program
//! again), so that nothing that it does counts. A request costs allocations, a span must
//! not: requests of two sizes are compared, and what the larger ones allocate beyond the
//! smaller ones would be the spans'.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use throughline::exporters::Otlp;
use throughline::{Telemetry, Tokio, span};
use tokio::runtime::{Builder, Runtime};

use crate::alloc;
use crate::figures::Figures;
use crate::stopwatch::repeat;
use crate::throughline::Throughline;

/// What requests allocate, in the steady state, all threads counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Socket {
    /// A request of [`FEW`] spans.
    pub(crate) few: f64,
    /// A request of [`MANY`].
    pub(crate) many: f64,
}

impl Socket {
    /// What grows with the spans, for each of them.
    pub(crate) fn per_span(&self) -> f64 {
        (self.many - self.few) / f64::from(MANY - FEW)
    }
}

/// Has both sizes measured, in a process each.
pub(crate) fn run(figures: &mut Figures) {
    figures.socket = measured(FEW)
        .and_then(|few| Ok(Socket { few, many: measured(MANY)? }))
        .inspect_err(|error| eprintln!("socket: {error}"))
        .ok();
}

fn measured(spans: u32) -> Result<f64, Failed> {
    let output =
        Command::new(std::env::current_exe()?).args([MEASURE, &spans.to_string()]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// What the process does that is asked to measure, or to receive; `None` when this is
/// neither.
pub(crate) fn answer(mut arguments: impl Iterator<Item = String>) -> Option<ExitCode> {
    let role = arguments.find(|argument| [MEASURE, RECEIVE].contains(&argument.as_str()))?;
    let done = if role == RECEIVE { receive() } else { measure(arguments.next()) };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// Prints the allocations of a request with so many spans.
fn measure(spans: Option<String>) -> Result<(), Failed> {
    let spans: u32 = spans.ok_or("no number of spans")?.parse()?;
    let receiver = Receiver::start()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let exporter =
        Otlp::http().endpoint(&format!("http://127.0.0.1:{}/v1/traces", receiver.port))?;
    let telemetry = throughline::builder()
        .max_export_batch_size(spans as usize)
        .max_queue_size(2 * REQUESTS as usize * MANY as usize)
        // Requests are full: only their size, and the flush, has them sent.
        .schedule_delay(Duration::from_secs(3600))
        .start(Tokio::new(runtime.handle().clone()), exporter);
    let path = "/orders/1234".to_owned();
    let mut sent = 0;
    let mut send = |requests: u32| {
        sent += u64::from(requests);
        send(&telemetry, &runtime, requests, spans, &path);
    };
    // Buffers grow, and are there afterwards.
    (0..WARM_UP).for_each(|_| send(2 * REQUESTS));
    let mut least = |requests: u32| {
        (0..ROUNDS).map(|_| alloc::count(|| send(requests))).min().unwrap_or_default() as f64
    };
    // What a flush allocates is the same in both.
    let per_request = (least(2 * REQUESTS) - least(REQUESTS)) / f64::from(REQUESTS);
    drop(telemetry);
    let received = receiver.stop()?;
    if received != sent {
        return Err(format!("of {sent} requests the receiver had {received}").into());
    }
    println!("{per_request}");
    Ok(())
}

/// Makes a trace for each request, of as many spans as one has, and waits until the
/// receiver has them.
///
/// # Panics
///
/// If it does not get all of them.
fn send(telemetry: &Telemetry, runtime: &Runtime, requests: u32, spans: u32, path: &String) {
    let child = || Throughline::child_with_attributes(path);
    telemetry.context().scope(|| {
        repeat(requests, || span!("root").in_scope(|| repeat(spans - 1, child)));
    });
    let receipt = runtime.block_on(telemetry.flush(Duration::from_secs(30)));
    let dropped = telemetry.ledger().dropped_total();
    assert!(receipt.is_complete() && dropped == 0, "{receipt}");
}

/// The receiver's process.
struct Receiver {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Receiver {
    fn start() -> Result<Self, Failed> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(RECEIVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let port = number(&mut lines)?;
        Ok(Receiver { child, lines, port: u16::try_from(port)? })
    }

    /// Ends it; how many requests it had.
    fn stop(mut self) -> Result<u64, Failed> {
        drop(self.child.stdin.take());
        let received = number(&mut self.lines)?;
        self.child.wait()?;
        Ok(received)
    }
}

fn number(lines: &mut impl BufRead) -> Result<u64, Failed> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line.trim().parse()?)
}

/// Prints its port, accepts every request until stdin ends, and prints how many there
/// were.
fn receive() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    // Ordering: Relaxed; whoever closes stdin has had all answers.
    println!("{}", RECEIVED.load(Ordering::Relaxed));
    Ok(())
}

/// Answers the requests of one connection, each when it is whole.
fn serve(mut stream: TcpStream) -> Result<(), Failed> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse::<u64>()?);
            }
        }
        let length = length.ok_or("a request without a length")?;
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        // Ordering: Relaxed; the answer comes after it.
        RECEIVED.fetch_add(1, Ordering::Relaxed);
        stream.write_all(ACCEPTED)?;
    }
}

/// The budget that these figures miss, if they do.
pub(crate) fn missed(figures: &Figures) -> Option<String> {
    let per_span = figures.socket?.per_span();
    let sentence = "heap allocations per span, all threads, to the bytes handed to the socket: 0";
    (per_span > TOLERANCE).then(|| format!("{sentence}; it is {per_span:.3}"))
}

/// The figures for programs.
pub(crate) fn json(figures: &Figures) -> Value {
    let Some(socket) = figures.socket else { return Value::Null };
    json!({
        "spans": [FEW, MANY],
        "allocations_per_request": [socket.few, socket.many],
        "allocations_per_span": socket.per_span(),
    })
}

/// The table for BENCHMARKS.md.
pub(crate) fn report(figures: &Value) -> String {
    let socket = &figures["socket"];
    let mut out = "| | allocations |\n|---|---:|\n".to_owned();
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    for place in 0..2 {
        let (spans, allocations) =
            (&socket["spans"][place], &socket["allocations_per_request"][place]);
        out += &format!("| a request of {spans} spans | {:.1} |\n", number(allocations));
    }
    // No negative zero.
    let per_span = number(&socket["allocations_per_span"]).max(0.0);
    out + &format!("| each span more | {per_span:.3} |\n")
}

/// The figures for people.
pub(crate) fn render(figures: &Figures) -> String {
    let Some(socket) = figures.socket else { return String::new() };
    let Socket { few, many } = socket;
    format!(
        "\nallocations up to the socket, OTLP over HTTP on tokio\n  a request of {FEW} spans{few:>10.1}\n  \
         a request of {MANY} spans{many:>9.1}\n  each span more{:>16.3}\n",
        socket.per_span().max(0.0)
    )
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The argument before the spans of a request.
const MEASURE: &str = "--socket-of";
/// The argument of the receiver.
const RECEIVE: &str = "--receiver";
/// Spans of a small request, and of one of the default size.
const FEW: u32 = 64;
const MANY: u32 = 512;
/// Requests by which two runs differ: so many have to cost nothing.
const REQUESTS: u32 = 40;
const WARM_UP: u32 = 3;
const ROUNDS: u32 = 5;
/// As in the other rows of allocations.
const TOLERANCE: f64 = 0.005;

const ACCEPTED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

static RECEIVED: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    fn with(few: f64, many: f64) -> Figures {
        let mut figures = Figures::default();
        figures.socket = Some(Socket { few, many });
        figures
    }

    #[test]
    fn only_what_grows_with_spans_misses_the_budget() {
        assert_eq!(missed(&with(20.0, 20.0)), None);
        assert_eq!(missed(&Figures::default()), None);
        let missed = missed(&with(20.0, 468.0)).expect("a span allocates");
        assert!(missed.ends_with("it is 1.000"), "{missed}");
    }

    #[test]
    fn the_report_says_what_was_measured() {
        let table = report(&json!({ "socket": json(&with(12.0, 12.5)) }));
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| a request of 64 spans | 12.0 |",
                "| a request of 512 spans | 12.5 |",
                "| each span more | 0.001 |",
            ]
        );
    }

    #[test]
    fn arguments_of_others_are_not_for_this() {
        assert!(answer(["bench".to_owned(), "--check".to_owned()].into_iter()).is_none());
    }
}
