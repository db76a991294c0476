//! Endings that need a process of their own: signals, panics, forks.

#![cfg(unix)]

use std::collections::HashSet;
use std::io::{BufRead, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use throughline::exporters::Protocol;
use throughline_tests::faulty::{Fault, Receiver};
use throughline_tests::places::{SPANS, watched};

#[test]
fn a_signal_to_end_shuts_down_and_then_ends_the_process() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let receiver = Receiver::start(Protocol::HttpProtobuf, [Fault::Nothing]);
        let mut child = start("signal", &receiver);
        until_ready(&mut child);
        send(&child, signal);
        let status = ended(child);
        assert_eq!(status.signal(), Some(signal as i32), "{status}");
        assert_eq!(receiver.spans().len() as u64, SPANS, "{signal}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_collector() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, [Fault::Hangs]);
    let mut child = start("signal", &receiver);
    until_ready(&mut child);
    send(&child, Signal::SIGTERM);
    // It is in the middle of its shutdown.
    let receiver = watched("the request", move || {
        while receiver.requests() == 0 {
            std::thread::yield_now();
        }
        receiver
    });
    send(&child, Signal::SIGINT);
    let status = ended(child);
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32), "{status}");
    drop(receiver);
}

#[test]
fn a_panic_flushes_after_the_hook_that_was_there() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, [Fault::Nothing]);
    let child = start("panic", &receiver);
    let (output, child) = read(child);
    assert_eq!(ended(child).code(), Some(101));
    assert_eq!(output, "the former hook\n");
    assert_eq!(receiver.spans().len() as u64, SPANS);
}

#[test]
fn a_signal_shows_what_is_live_and_so_does_a_panic_and_the_program_goes_on() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, [Fault::Nothing]);
    let mut child = command("dump", &receiver)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    until_ready(&mut child);
    let mut errors = std::io::BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut line = move || errors.next().expect("a line").expect("text");
    send(&child, Signal::SIGUSR1);
    let (shown, mut line) = watched("the table", move || ([line(), line(), line()], line));
    assert_eq!(shown[0], "throughline: 1 live span");
    assert!(shown[1].starts_with("      age  state"), "{shown:?}");
    assert!(shown[2].ends_with(" hangs"), "{shown:?}");
    writeln!(child.stdin.as_mut().expect("piped"), "go on").expect("it listens");
    let shown = watched("the second table", move || {
        // What the hook that was there says comes first.
        while line() != "throughline: 1 live span" {}
        [line(), line()]
    });
    assert!(shown[1].ends_with(" panics"), "{shown:?}");
    assert!(ended(child).success());
}

#[test]
fn a_shutdown_tells_once_which_spans_it_leaves_behind() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, [Fault::Nothing]);
    let child = command("leak", &receiver).stderr(Stdio::piped()).spawn().expect("it starts");
    let output = watched("the child", move || child.wait_with_output().expect("it ends"));
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    let [title, _, row] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!(title, "throughline: 1 span still live at shutdown");
    assert!(row.ends_with(" leaked"), "{row}");
}

#[test]
fn a_forked_child_neither_hangs_nor_sends_the_parents_spans_nor_takes_its_ids() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, [Fault::Nothing]);
    let child = start("fork", &receiver);
    let (output, child) = read(child);
    assert!(ended(child).success());
    assert_eq!(output, "ready\n");
    // Those of the parent before and after the fork, and those of the child's own
    // pipeline, each once.
    let spans = receiver.spans();
    let distinct: HashSet<_> = spans.iter().collect();
    assert_eq!((spans.len(), distinct.len()), (3 * SPANS as usize, 3 * SPANS as usize));
}

/// ENV-16, OTLP-14: all of the list
/// ([Exporter selection](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#exporter-selection)).
#[test]
fn a_list_of_exporters_sends_to_all_of_them() {
    let receiver = Receiver::start(Protocol::HttpProtobuf, [Fault::Nothing]);
    let mut command = command("list", &receiver);
    command.env("OTEL_TRACES_EXPORTER", "otlp,console");
    command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.url());
    let (output, child) = read(command.spawn().expect("it starts"));
    assert!(ended(child).success(), "{output}");
    assert_eq!(receiver.spans().len() as u64, SPANS, "{output}");
    assert!(output.starts_with("exporter=otlp,console (OTEL_TRACES_EXPORTER)\n"), "{output}");
    // A waterfall per trace.
    assert_eq!(output.matches("work").count() as u64, SPANS, "{output}");
}

fn start(mode: &str, receiver: &Receiver) -> Child {
    command(mode, receiver).spawn().expect("it starts")
}

fn command(mode: &str, receiver: &Receiver) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ending"));
    command.args([mode, &receiver.url()]).stdout(Stdio::piped());
    command
}

fn until_ready(child: &mut Child) {
    let mut ready = [0; 6];
    child.stdout.as_mut().expect("piped").read_exact(&mut ready).expect("it says something");
    assert_eq!(&ready, b"ready\n");
}

fn read(mut child: Child) -> (String, Child) {
    watched("what the child says", move || {
        let mut output = String::new();
        child.stdout.as_mut().expect("piped").read_to_string(&mut output).expect("text");
        (output, child)
    })
}

fn ended(mut child: Child) -> ExitStatus {
    watched("the child", move || child.wait().expect("it ends"))
}

fn send(child: &Child, signal: Signal) {
    let child = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    kill(child, signal).expect("it runs");
}
