//! How the program ends when its users have seen enough.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::process::service;

#[test]
fn a_pipe_that_is_closed_early_is_no_failure() {
    let mut child = service(&["--requests", "5"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_load_and_reports_what_there_is() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use crate::process::Report;

    for runtime in ["tokio", "smol", "async-std"] {
        // More than anybody waits for.
        let arguments = ["--runtime", runtime, "--requests", "100000000", "--json"];
        let mut child = service(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        // An order, so that there is something to report.
        let order = log.find(|line| line.as_ref().is_ok_and(|line| line.contains("order failed")));
        assert!(order.is_some(), "{runtime}");
        let process = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(process, Signal::SIGINT).expect("it runs");
        let rest = std::thread::spawn(move || log.count());
        let output = child.wait_with_output().expect("it ends");
        rest.join().expect("no panic");
        assert_eq!(output.status.code(), Some(0), "{runtime}");
        let report = Report(serde_json::from_slice(&output.stdout).expect("one object of JSON"));
        report.assert_balanced();
        assert_eq!(report.0["interrupted"], true, "{report:?}");
        assert!(report.number("traces") > 0, "{report:?}");
    }
}
