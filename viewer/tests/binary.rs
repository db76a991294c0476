//! The program as a user meets it.

#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline-viewer"));
    command.args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--settle", "0"]);
    command
}

/// The running program; ended when a test fails half-way.
struct Running {
    child: Child,
    grpc: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(arguments: &[&str]) -> Running {
    let mut command = program();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program was built");
    let stderr = child.stderr.take().expect("it is piped");
    let mut line = String::new();
    BufReader::new(stderr).read_line(&mut line).expect("it speaks");
    let addresses = line.strip_prefix("listening on grpc://").expect("it says where");
    let (grpc, http) = addresses.trim().split_once(" http://").expect("two addresses");
    assert!(http.starts_with("127.0.0.1:"));
    let grpc = format!("http://{grpc}");
    Running { child, grpc }
}

/// Sends a trace of one span; answers whether it was accepted.
fn send(url: &str, trace: u8) -> bool {
    let span = Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: "GET /\x1b[2J".into(),
        end_time_unix_nano: 5_000,
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        match TraceServiceClient::connect(url.to_owned()).await {
            Ok(mut client) => client.export(request).await.is_ok(),
            Err(_) => false,
        }
    })
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill is there").success());
}

fn finish(mut command: Command) -> Output {
    command.output().expect("the program was built")
}

#[test]
fn help_names_every_option() {
    let mut command = program();
    command.arg("--help");
    let output = finish(command);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("help is text");
    for option in ["--grpc", "--http", "--json", "--colour", "--max-spans", "127.0.0.1:4317"] {
        assert!(text.contains(option), "{option} is missing:\n{text}");
    }
}

#[test]
fn a_bad_argument_is_named_and_ends_with_2() {
    let mut command = program();
    command.args(["--colour", "pink"]);
    let output = finish(command);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("pink"), "{text}");
}

#[test]
fn an_address_in_use_ends_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = taken.local_addr().expect("it is bound").to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline-viewer"));
    command.args(["--grpc", &addr, "--http", "127.0.0.1:0"]);
    let output = finish(command);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&addr), "{text}");
}

#[cfg(unix)]
#[test]
fn a_completed_trace_is_drawn_plainly_and_ctrl_c_ends_well() {
    let mut running = start(&[]);
    let mut lines = BufReader::new(running.child.stdout.take().expect("it is piped"));
    assert!(send(&running.grpc, 1));
    let mut text = String::new();
    lines.read_line(&mut text).expect("it prints");
    assert!(text.starts_with("trace 01010101010101010101010101010101  5.00µs"), "{text}");
    interrupt(&running.child);
    lines.read_to_string(&mut text).expect("it prints");
    assert!(text.contains("GET /\\u{1b}[2J"), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
    assert!(running.child.wait().expect("it ends").success());
}

#[cfg(unix)]
#[test]
fn json_is_one_line_per_span() {
    let mut running = start(&["--json"]);
    let mut lines = BufReader::new(running.child.stdout.take().expect("it is piped"));
    assert!(send(&running.grpc, 2));
    let mut text = String::new();
    lines.read_line(&mut text).expect("it prints");
    assert!(text.starts_with(r#"{"trace_id":"02020202020202020202020202020202""#), "{text}");
    interrupt(&running.child);
    assert_eq!(lines.read_to_string(&mut text).expect("it ends"), 0);
    assert!(running.child.wait().expect("it ends").success());
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let mut running = start(&[]);
    drop(running.child.stdout.take());
    // It notices when it writes. The first write may still meet a reader: the
    // children that other tests start hold a copy of the pipe until they run.
    for trace in 3.. {
        if !send(&running.grpc, trace) {
            break;
        }
    }
    assert!(running.child.wait().expect("it ends").success());
}
