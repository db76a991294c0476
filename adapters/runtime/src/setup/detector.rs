//! What finds out about the place where the program runs.

use core::fmt;

use crate::Resource;

/// Looks for attributes of the resource: the host, the process, the container.
///
/// Detectors are quick, and look at local things alone. The ones for common
/// platforms are in a crate of their own, `throughline-detectors`.
/// ([Detecting resource information](https://opentelemetry.io/docs/specs/otel/resource/sdk/#detecting-resource-information-from-the-environment))
pub trait Detector: Sync {
    /// A name that no other detector has, in snake case: `host`.
    fn name(&self) -> &'static str;

    /// What was found; an empty resource where there is nothing.
    ///
    /// # Errors
    ///
    /// Something is there and cannot be read.
    fn detect(&self) -> Result<Resource, DetectError>;
}

/// A detector failed while it looked. That it found nothing is no error.
#[derive(Debug)]
pub struct DetectError {
    what: String,
    source: std::io::Error,
}

impl DetectError {
    /// This could not be read.
    pub fn new(what: impl Into<String>, source: std::io::Error) -> Self {
        DetectError { what: what.into(), source }
    }
}

impl fmt::Display for DetectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read: {}", self.what, self.source)
    }
}

impl core::error::Error for DetectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}
