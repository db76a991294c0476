//! The machine.

use throughline_runtime::{DetectError, Detector, Resource};

use crate::{SCHEMA_URL, file};

/// `host.name`, `host.id` and `host.arch`.
///
/// On Linux the name is the kernel's and the id that of `/etc/machine-id`;
/// elsewhere the name is that of the variables `HOSTNAME` or `COMPUTERNAME`, if one
/// is set, and there is no id.
/// ([Host](https://opentelemetry.io/docs/specs/semconv/resource/host/))
#[derive(Clone, Copy, Debug)]
pub struct Host;

impl Detector for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn detect(&self) -> Result<Resource, DetectError> {
        let mut found = Resource::empty().with_schema_url(SCHEMA_URL).with("host.arch", arch());
        let kernel = file::read("/proc/sys/kernel/hostname")?;
        let variable = |name| std::env::var(name).ok();
        let name = kernel.or_else(|| variable("HOSTNAME")).or_else(|| variable("COMPUTERNAME"));
        if let Some(name) = name.as_deref().and_then(file::word) {
            found = found.with("host.name", name);
        }
        for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
            let id = file::read(path)?;
            if let Some(id) = id.as_deref().and_then(file::word) {
                return Ok(found.with("host.id", id));
            }
        }
        Ok(found)
    }
}

/// The conventions' word for the processor.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_an_architecture_by_the_conventions() {
        let found = Host.detect().expect("readable");
        let arch = found.get("host.arch").expect("always");
        assert!(!["x86_64", "aarch64"].contains(&arch), "{arch}");
        #[cfg(target_os = "linux")]
        assert!(found.get("host.name").is_some_and(|name| name.trim() == name));
    }
}
