//! Running the service, and reading its report.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The service with these arguments, and nothing from the environment of the test.
pub(crate) fn service(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_service"));
    let inherited = std::env::vars_os().map(|(name, _)| name);
    let is_ours = |name: &str| name.starts_with("OTEL_") || name.starts_with("THROUGHLINE_");
    for name in inherited.filter(|name| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    service(arguments).output().expect("it starts")
}

/// The one object that `--json` prints, of a run in which all is well.
pub(crate) fn report(arguments: &[&str]) -> Report {
    let output = output(&[&["--json"], arguments].concat());
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{log}");
    let report = Report(serde_json::from_slice(&output.stdout).expect("one object of JSON"));
    report.assert_balanced();
    report
}

/// What the service reports.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) Value);

impl Report {
    /// The number at this place, with `/` between the keys.
    #[track_caller]
    pub(crate) fn number(&self, path: &str) -> u64 {
        let value = self.0.pointer(&format!("/{path}"));
        value.and_then(Value::as_u64).unwrap_or_else(|| panic!("no number `{path}` in {}", self.0))
    }

    /// The sum of the numbers in the object at this place.
    #[track_caller]
    pub(crate) fn sum(&self, path: &str) -> u64 {
        let value = self.0.pointer(&format!("/{path}")).and_then(Value::as_object);
        let numbers = value.unwrap_or_else(|| panic!("no object `{path}` in {}", self.0));
        numbers.values().map(|number| number.as_u64().expect("a number")).sum()
    }

    /// A number of the ledger of a service.
    #[track_caller]
    pub(crate) fn ledger(&self, service: &str, count: &str) -> u64 {
        self.number(&format!("receipt/{service}/ledger/{count}"))
    }

    /// Every span is accounted for, and every trace at the receiver is whole.
    #[track_caller]
    pub(crate) fn assert_balanced(&self) {
        let settled = self.number("spans_exported") + self.sum("dropped");
        assert_eq!(self.number("spans_started"), settled + self.number("in_flight"), "{self:?}");
        assert_eq!(self.number("in_flight"), 0, "{self:?}");
        for flaw in ["orphan_spans", "incomplete_traces", "foreign_parents"] {
            assert_eq!(self.number(flaw), 0, "{flaw} in {self:?}");
        }
        for service in SERVICES {
            assert_eq!(self.0["receipt"][service]["complete"], true, "{self:?}");
        }
        for (whole, part) in [
            ("spans_started", "started"),
            ("spans_exported", "exported"),
            ("in_flight", "in_flight"),
        ] {
            let parts = SERVICES.map(|service| self.ledger(service, part));
            assert_eq!(self.number(whole), parts.iter().sum::<u64>(), "{part}: {self:?}");
        }
    }
}

pub(crate) const SERVICES: [&str; 2] = ["orders", "inventory"];

/// What the load does, by the number of the request: see `examples/service/src/load.rs`
/// and `orders.rs`.
pub(crate) struct Load(pub(crate) u64);

impl Load {
    pub(crate) fn abandoned(&self) -> u64 {
        (0..self.0).filter(|id| is_abandoned(*id)).count() as u64
    }

    /// Requests that are answered with an error.
    pub(crate) fn failed(&self) -> u64 {
        (0..self.0).filter(|id| !is_abandoned(*id) && is_refused(*id)).count() as u64
    }

    /// Those, and those in which a task panics.
    pub(crate) fn with_an_error(&self) -> u64 {
        (0..self.0).filter(|id| has_error(*id)).count() as u64
    }

    /// Requests without an error that take more than a quarter of a second.
    pub(crate) fn slow(&self) -> u64 {
        (0..self.0).filter(|id| is_slow(*id) && !is_abandoned(*id) && !has_error(*id)).count()
            as u64
    }
}

fn is_slow(id: u64) -> bool {
    id % 50 == 31
}

fn is_abandoned(id: u64) -> bool {
    id % 40 == 13
}

fn has_error(id: u64) -> bool {
    !is_abandoned(id) && (is_refused(id) || id % 23 == 5)
}

fn is_refused(id: u64) -> bool {
    id % 17 == 11
}
