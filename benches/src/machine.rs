//! Where it was measured.

use std::process::Command;

use serde_json::{Value, json};

/// The processor, the system, the compiler, and the versions in the lock file.
pub(crate) fn describe() -> Value {
    let versions: serde_json::Map<String, Value> = PACKAGES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), json!(version(name)?))))
        .collect();
    json!({
        "processor": processor(),
        "cpus": processors(),
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "rustc": rustc(),
        "versions": versions,
    })
}

/// How many threads run at once.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn processor() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The version of a package in this workspace's lock file.
fn version(name: &str) -> Option<&'static str> {
    let entry = LOCK.split("[[package]]").find(|entry| {
        entry.trim_start().lines().next() == Some(format!("name = \"{name}\"").as_str())
    })?;
    let line = entry.lines().find_map(|line| line.strip_prefix("version = "))?;
    Some(line.trim_matches('"'))
}

const LOCK: &str = include_str!("../../Cargo.lock");

const PACKAGES: [&str; 12] = [
    "throughline",
    "fastrace",
    "fastrace-opentelemetry",
    "opentelemetry",
    "opentelemetry_sdk",
    "tracing",
    "tracing-subscriber",
    "tracing-opentelemetry",
    "emit",
    "tokio",
    "smol",
    "async-std",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_has_a_version() {
        assert!(PACKAGES.iter().all(|name| version(name).is_some_and(|text| text.contains('.'))));
    }
}
