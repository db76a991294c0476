//! Why a processor could not do what it was asked for.

use core::fmt;

/// Why a processor could not pass on what it holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessorError {
    /// It failed, for this reason.
    Failed(&'static str),
    /// The time was not enough. Told too of one that had not answered by the deadline.
    Timeout,
    /// It panicked. Told by whoever calls it.
    Panicked,
}

impl fmt::Display for ProcessorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessorError::Failed(why) => f.write_str(why),
            ProcessorError::Timeout => f.write_str("it was not done in time"),
            ProcessorError::Panicked => f.write_str("it panicked"),
        }
    }
}

impl core::error::Error for ProcessorError {}
