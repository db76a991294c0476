//! The quickstarts run as a user would run them, and print the spans that they
//! promise.

#![cfg(unix)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn start(program: &str, argument: &str) -> Child {
    let mut command = Command::new(program);
    command.arg(argument).stdout(Stdio::piped());
    command.env("OTEL_TRACES_EXPORTER", "console").env("OTEL_SERVICE_NAME", "shop");
    command.spawn().expect("it starts")
}

fn output(child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What comes after `name` in the line that begins with it, the lines' drawing aside.
fn line<'a>(output: &'a str, name: &str) -> &'a str {
    let rest = |line: &'a str| line.trim_start_matches([' ', '├', '└', '│']).strip_prefix(name);
    output.lines().find_map(rest).unwrap_or_else(|| panic!("no `{name}` in:\n{output}"))
}

#[test]
fn axum_and_reqwest_show_a_request_from_both_ends() {
    // A port of which nobody else gets hold meanwhile.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let server = start(env!("CARGO_BIN_EXE_axum"), &address.to_string());
    while TcpStream::connect(address).is_err() {
        std::thread::yield_now();
    }
    let client = start(env!("CARGO_BIN_EXE_reqwest"), &format!("http://{address}/orders/7"));
    let client = output(client);
    assert!(client.contains("order 7\n"), "{client}");
    assert!(line(&client, "customer").contains("ms") || line(&client, "customer").contains("µs"));
    assert!(line(&client, "GET ").contains("client"), "{client}");

    let pid = Pid::from_raw(i32::try_from(server.id()).expect("a process id"));
    kill(pid, Signal::SIGINT).expect("it runs");
    let server = output(server);
    assert!(line(&server, "GET /orders/{id}").contains("server"), "{server}");
    line(&server, "load");
}

#[test]
fn hyper_shows_each_request_of_a_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let server = start(env!("CARGO_BIN_EXE_hyper"), &address.to_string());
    let mut stream = loop {
        // The first connection is the one that it serves.
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) => std::thread::yield_now(),
        }
    };
    let requests = "GET /7 HTTP/1.1\r\nHost: shop\r\n\r\nGET /8 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
    stream.write_all(requests.as_bytes()).expect("it reads");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("answers");
    assert!(answers.contains("hello /7\n") && answers.contains("hello /8\n"), "{answers}");
    let out = output(server);
    assert!(line(&out, "GET ").contains("server"), "{out}");
    assert_eq!(out.matches("greet").count(), 2, "{out}");
}

#[test]
fn tonic_shows_a_call_from_both_ends() {
    let out = output(start(env!("CARGO_BIN_EXE_tonic"), ""));
    assert!(out.contains("Serving\n"), "{out}");
    line(&out, "probe");
    let method = "grpc.health.v1.Health/Check";
    assert_eq!(out.matches(method).count(), 2, "client and server:\n{out}");
}

#[test]
fn a_quickstart_has_25_lines_at_most() {
    for source in [
        include_str!("../src/bin/axum.rs"),
        include_str!("../src/bin/hyper.rs"),
        include_str!("../src/bin/reqwest.rs"),
        include_str!("../src/bin/tonic.rs"),
    ] {
        assert!(source.lines().count() <= 25, "{source}");
    }
}
