//! The relay as a process, and one target to forward to.

use core::net::SocketAddr;
use std::io::{BufRead, BufReader};

use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::{Received, answer, send};
use crate::target::Target;

pub(crate) struct Relay {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) target: Target,
}

impl Relay {
    pub(crate) fn start(runtime: &str) -> Self {
        Relay::with(runtime, &[])
    }

    /// With these variables, and no others of OpenTelemetry's.
    pub(crate) fn with(runtime: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OTEL_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--runtime", runtime])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("it can be read");
        let address = line.trim_end().strip_prefix("listening on ").map(str::parse);
        let address = address.unwrap_or_else(|| panic!("it said {line:?}")).expect("an address");
        Relay { child, address, target: Target::start() }
    }

    /// Sends a body; the answer.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &str) -> Received {
        answer(&send(self.address, "POST /relay HTTP/1.1", headers, body))
    }

    /// Asks to forward to these paths of the target, and to nothing else; what came
    /// there.
    pub(crate) fn forward_to(&self, headers: &[(&str, &str)], paths: &[&str]) -> Vec<Received> {
        let element =
            |path: &&str| format!(r#"{{"url":"{}","arguments":[]}}"#, self.target.url(path));
        let elements: Vec<String> = paths.iter().map(element).collect();
        let answer = self.post(headers, &format!("[{}]", elements.join(",")));
        assert_eq!(answer.status(), 200, "{answer:?}");
        paths.iter().map(|_| self.target.next()).collect()
    }

    /// What the target gets of a request with these headers.
    pub(crate) fn forward(&self, headers: &[(&str, &str)]) -> Received {
        self.forward_to(headers, &["/"]).remove(0)
    }

    /// Asks it to end; the code with which it does.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.wait().expect("it ends").code()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it runs");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
