//! What can be wrong when a pipeline is set up.

use std::fmt;

use throughline_runtime::TailError;

/// Why a pipeline could not be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// There is a default pipeline already; it stays.
    AlreadyInstalled,
    /// The variables ask for something that this build leaves out.
    MissingFeature {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The feature of the crate `throughline` that it needs.
        feature: &'static str,
    },
    /// The exporter cannot be set up as the variables say.
    Exporter(Box<dyn core::error::Error + Send + Sync>),
    /// The tail sampler has no room for another pipeline.
    Tail(TailError),
    /// The operating system gives no thread or event queue.
    Thread(std::io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::AlreadyInstalled => f.write_str("there is a default pipeline already"),
            InitError::MissingFeature { variable, value, feature } => {
                write!(f, "{variable}={value} needs the feature `{feature}` of throughline")
            }
            InitError::Exporter(error) => error.fmt(f),
            InitError::Tail(error) => error.fmt(f),
            InitError::Thread(error) => write!(f, "no thread for the exporter: {error}"),
        }
    }
}

impl core::error::Error for InitError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            InitError::Thread(error) => Some(error),
            _ => None,
        }
    }
}
