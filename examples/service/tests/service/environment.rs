//! What variables say, and flags over them; and what a loss is.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::Output;

use serde_json::json;

use crate::process::{Report, SERVICES, service};

fn run(variables: &[(&str, &str)], arguments: &[&str]) -> (Output, String) {
    let mut command = service(arguments);
    let output = command.envs(variables.iter().copied()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

/// The line of `--config` about a setting, with one space between its columns.
fn row(said: &str, setting: &str) -> String {
    let line = said.lines().find(|line| line.split_whitespace().next() == Some(setting));
    let line = line.unwrap_or_else(|| panic!("no `{setting}` in:\n{said}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn variables_set_what_no_flag_does_and_bad_ones_are_told_once() {
    let variables = [
        ("OTEL_TRACES_SAMPLER", "foo"),
        ("OTEL_BSP_SCHEDULE_DELAY", "abc"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=blue"),
    ];
    let (output, said) = run(&variables, &["--requests", "3", "--json", "--config"]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for bad in [
        "OTEL_TRACES_SAMPLER=\\\"foo\\\" is none of always_on, ",
        "OTEL_BSP_SCHEDULE_DELAY=\\\"abc\\\" is not a whole number",
        "OTEL_BSP_MAX_QUEUE_SIZE=\\\"0\\\" is out of range 1 to ",
        "OTEL_EXPORTER_OTLP_TIMEOUT=\\\"soon\\\" is not a whole number",
    ] {
        let plain = bad.replace('\\', "");
        let times = said.matches(bad).count() + said.matches(&plain).count();
        assert_eq!(times, 1, "{bad} in:\n{said}");
    }
    assert!(said.contains("ignored; 131072 acts"), "{said}");
    assert_eq!(row(&said, "resource.team"), "resource.team blue OTEL_RESOURCE_ATTRIBUTES");
    assert_eq!(row(&said, "resource.service.name"), "resource.service.name orders code");
    assert_eq!(
        row(&said, "max_export_batch_size"),
        "max_export_batch_size 100 OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
    );
}

#[test]
fn a_sampler_comes_from_its_variable_unless_the_flag_names_one() {
    let variables = [("OTEL_TRACES_SAMPLER", "always_off")];
    let started = |arguments: &[&str]| {
        let (output, said) = run(&variables, &[&["--requests", "3", "--json"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{said}");
        Report(serde_json::from_slice(&output.stdout).expect("JSON")).number("spans_started")
    };
    assert_eq!(started(&[]), 0);
    assert!(started(&["--sampler", "always_on"]) > 0);
}

#[test]
fn a_protocol_that_is_given_acts_on_the_endpoint_and_the_headers_of_variables() {
    // Nobody listens there.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_EXPORTER_OTLP_HEADERS", "tenant=secret")];
    let arguments = ["--requests", "1", "--json", "--config", "--protocol", "grpc"];
    let (output, said) = run(&variables, &arguments);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(row(&said, "otlp.protocol"), "otlp.protocol grpc code");
    assert_eq!(
        row(&said, "otlp.endpoint"),
        format!("otlp.endpoint {url} OTEL_EXPORTER_OTLP_ENDPOINT")
    );
    assert!(row(&said, "otlp.headers").starts_with("otlp.headers tenant=***"), "{said}");
    let told =
        format!("spans of orders to {url} cannot be exported: the receiver could not be reached (");
    assert!(said.contains(&told), "{said}");
}

/// Every span is accounted for, and all are lost: that is no success.
#[test]
fn what_a_collector_refuses_is_a_loss_and_told_in_its_words() {
    let collector = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", collector.local_addr().expect("an address"));
    // Ends with the test.
    std::thread::spawn(move || {
        for stream in collector.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let refusal = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
                               content-length: 10\r\nconnection: close\r\n\r\nbad tenant";
                // Enough to know that a request has begun; what follows it is not looked at.
                let _ = stream.read(&mut [0; 16]);
                let _ = stream.write_all(refusal.as_bytes());
                let _ = stream.shutdown(Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
        }
    });
    let (output, said) = run(&[], &["--requests", "5", "--json", "--endpoint", &url]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let report = Report(serde_json::from_slice(&output.stdout).expect("JSON"));
    let lost = report.number("dropped/export_failed");
    assert!(lost > 0 && lost == report.number("spans_started"), "{report:?}");
    let refused = json!({
        "kind": "400",
        "retryable": false,
        "endpoint": format!("{url}/v1/traces"),
        "message": "the receiver answered HTTP status 400",
        "detail": "bad tenant",
    });
    for service in SERVICES {
        let receipt = &report.0["receipt"][service];
        let started = report.ledger(service, "started");
        assert_eq!(receipt["complete"], true, "{report:?}");
        assert_eq!(receipt["failure"], refused, "{report:?}");
        assert_eq!(
            receipt["ledger"],
            json!({
                "started": started,
                "exported": 0,
                "dropped": { "export_failed": started },
                "in_flight": 0,
            })
        );
    }
    let told = format!(
        "spans of orders to {url}/v1/traces cannot be exported: \
         the receiver answered HTTP status 400 (bad tenant)"
    );
    assert!(said.contains(&told), "{said}");
}
