//! How the program ends when its users have seen enough.

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
mod signals {
    use std::io::{BufRead, BufReader, Lines};
    use std::net::TcpListener;
    use std::process::{Child, ChildStderr, Stdio};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use crate::process::{Report, service};

    /// The service with more to do than anybody waits for, when it has something to
    /// report.
    fn busy(arguments: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
        let mut child = service(&[&["--requests", "100000000", "--json"], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        wait_for("order failed", &mut log);
        (child, log)
    }

    #[track_caller]
    fn wait_for(message: &str, log: &mut Lines<BufReader<ChildStderr>>) {
        let line = log.find(|line| line.as_ref().is_ok_and(|line| line.contains(message)));
        assert!(line.is_some(), "no line `{message}`");
    }

    fn send(signal: Signal, child: &Child) {
        let process = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(process, signal).expect("it runs");
    }

    #[test]
    fn one_signal_ends_the_load_and_reports_what_there_is() {
        for (runtime, signal) in [
            ("tokio", Signal::SIGINT),
            ("smol", Signal::SIGINT),
            ("async-std", Signal::SIGINT),
            ("tokio", Signal::SIGTERM),
        ] {
            let (child, mut log) = busy(&["--runtime", runtime]);
            send(signal, &child);
            wait_for("asked to end", &mut log);
            let rest = std::thread::spawn(move || log.count());
            let output = child.wait_with_output().expect("it ends");
            rest.join().expect("no panic");
            assert_eq!(output.status.code(), Some(0), "{signal} on {runtime}");
            let report = serde_json::from_slice(&output.stdout).expect("one object of JSON");
            let report = Report(report);
            report.assert_balanced();
            assert_eq!(report.0["interrupted"], true, "{report:?}");
            // Each caller has one request under way, as there are always more.
            assert!((1..=32).contains(&report.number("under_way")), "{report:?}");
            assert!(report.number("traces") > 0, "{report:?}");
        }
    }

    #[test]
    fn a_second_signal_does_not_wait_for_a_collector_that_hangs() {
        // Connections are taken, by the system, and nobody ever answers.
        let hangs = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}", hangs.local_addr().expect("an address"));
        let (mut child, mut log) = busy(&["--endpoint", &url]);
        send(Signal::SIGINT, &child);
        wait_for("asked to end", &mut log);
        send(Signal::SIGINT, &child);
        let rest = std::thread::spawn(move || log.count());
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        rest.join().expect("no panic");
    }
}
