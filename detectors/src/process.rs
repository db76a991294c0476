//! The process.

use throughline_runtime::{DetectError, Detector, Resource};

use crate::SCHEMA_URL;

/// `process.pid`, `process.parent_pid` (Unix), `process.executable.name`,
/// `process.executable.path` and `process.command`.
///
/// The arguments of the command are left out: they may hold secrets.
/// ([Process](https://opentelemetry.io/docs/specs/semconv/resource/process/))
#[derive(Clone, Copy, Debug)]
pub struct Process;

impl Detector for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn detect(&self) -> Result<Resource, DetectError> {
        let mut found = Resource::empty()
            .with_schema_url(SCHEMA_URL)
            .with_number("process.pid", std::process::id().into());
        #[cfg(unix)]
        {
            let parent = std::os::unix::process::parent_id();
            found = found.with_number("process.parent_pid", parent.into());
        }
        if let Ok(path) = std::env::current_exe() {
            found = found.with("process.executable.path", &path.to_string_lossy());
            if let Some(name) = path.file_name() {
                found = found.with("process.executable.name", &name.to_string_lossy());
            }
        }
        if let Some(command) = std::env::args_os().next() {
            found = found.with("process.command", &command.to_string_lossy());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RES-7: a detector returns a resource, with its schema (RES-8)
    /// ([Process](https://opentelemetry.io/docs/specs/semconv/resource/process/)).
    #[test]
    fn the_process_is_this_one_and_its_arguments_are_not_told() {
        let found = Process.detect().expect("nothing to fail");
        assert_eq!(found.get_number("process.pid"), Some(std::process::id().into()));
        let name = found.get("process.executable.name").expect("it has one");
        assert!(name.starts_with("throughline_detectors"), "{name}");
        assert!(found.schema_url().is_some());
        assert!(!found.attributes().any(|(key, _)| key.contains("arg")));
    }
}
