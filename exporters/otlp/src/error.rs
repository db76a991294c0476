//! What can be wrong with a configuration.

use core::fmt;

/// A setting that cannot be used.
///
/// Settings come from code or from environment variables; `setting` is the name
/// of the method or of the variable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint is no URL that could be connected to.
    Endpoint {
        /// The method or variable which gave it.
        setting: String,
        /// The value, without a password it may contain.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The header cannot be sent. Its value is not shown, as it may be a secret.
    Header {
        /// The method which gave it.
        setting: String,
        /// The name of the header.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The number is outside its range.
    OutOfRange {
        /// The method which gave it.
        setting: String,
        /// The value.
        value: usize,
        /// The range.
        range: &'static str,
    },
    /// The program was built without what this setting needs.
    NeedsFeature {
        /// The method or variable which gave it.
        setting: String,
        /// The value, without a password it may contain.
        value: String,
        /// The Cargo feature of this crate to switch on.
        feature: &'static str,
    },
    /// The certificate or key cannot be used.
    Certificate {
        /// The method or variable which gave it.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Endpoint { setting, value, problem } => {
                write!(f, "{setting}={value:?} {problem}")
            }
            ConfigError::Header { setting, name, problem } => {
                write!(f, "{setting}: the header {name:?} {problem}")
            }
            ConfigError::OutOfRange { setting, value, range } => {
                write!(f, "{setting}={value} is not {range}")
            }
            ConfigError::NeedsFeature { setting, value, feature } => {
                write!(f, "{setting}={value:?} needs the feature `{feature}`")
            }
            ConfigError::Certificate { setting, problem } => write!(f, "{setting}: {problem}"),
        }
    }
}

impl core::error::Error for ConfigError {}
