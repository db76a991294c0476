//! The operating system.

use throughline_runtime::{DetectError, Detector, Resource};

use crate::{SCHEMA_URL, file};

/// `os.type`, and on Linux, as far as `/etc/os-release` says, `os.name`,
/// `os.version`, `os.description` and `os.build_id`.
/// ([OS](https://opentelemetry.io/docs/specs/semconv/resource/os/))
#[derive(Clone, Copy, Debug)]
pub struct Os;

impl Detector for Os {
    fn name(&self) -> &'static str {
        "os"
    }

    fn detect(&self) -> Result<Resource, DetectError> {
        let found = Resource::empty().with_schema_url(SCHEMA_URL).with("os.type", kind());
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            if let Some(text) = file::read(path)? {
                return Ok(found.merge(&release(&text)));
            }
        }
        Ok(found)
    }
}

/// The conventions' word for the kind of system.
fn kind() -> &'static str {
    match std::env::consts::OS {
        "macos" | "ios" => "darwin",
        "dragonfly" => "dragonflybsd",
        "illumos" => "solaris",
        other => other,
    }
}

/// What the file says.
/// ([os-release](https://www.freedesktop.org/software/systemd/man/latest/os-release.html))
fn release(text: &str) -> Resource {
    let mut found = Resource::empty();
    for line in text.lines() {
        let Some((name, value)) = line.trim().split_once('=') else { continue };
        let key = match name {
            "NAME" => "os.name",
            "VERSION_ID" => "os.version",
            "PRETTY_NAME" => "os.description",
            "BUILD_ID" => "os.build_id",
            _ => continue,
        };
        let value = unquoted(value);
        if !value.is_empty() {
            found = found.with(key, &value);
        }
    }
    found
}

/// A word as a shell reads it: in quotes, `\` stands before a character that would
/// mean something else.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        text.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_file_is_read_as_a_shell_would() {
        let found = release(
            "# comment\nNAME=\"Debian \\\"GNU\\\"\"\nVERSION_ID='12'\nBUILD_ID=\nID=debian\n\
             PRETTY_NAME=\"Debian 12\nnonsense\n",
        );
        assert_eq!(found.get("os.name"), Some("Debian \"GNU\""));
        assert_eq!(found.get("os.version"), Some("12"));
        assert_eq!(found.get("os.build_id"), None);
        // A quote that is not closed stays, rather than the line being lost.
        assert_eq!(found.get("os.description"), Some("\"Debian 12"));
    }

    #[test]
    fn the_system_has_a_type() {
        assert!(Os.detect().expect("readable").get("os.type").is_some());
    }
}
