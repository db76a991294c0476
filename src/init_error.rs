//! What can be wrong when a pipeline is set up.

use std::fmt;

use throughline_runtime::TailError;

/// Why a pipeline could not be set up.
///
/// `Debug` says the same as `Display`: a `main` that returns it prints it by `Debug`, and
/// who reads that has something to set right.
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

impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `main` prints what it returns by `Debug`.
    #[test]
    fn a_main_that_returns_it_says_what_is_to_be_set_right() {
        let error = InitError::MissingFeature {
            variable: "OTEL_TRACES_EXPORTER",
            value: "otlp".to_owned(),
            feature: "otlp",
        };
        let said = "OTEL_TRACES_EXPORTER=otlp needs the feature `otlp` of throughline";
        assert_eq!(format!("{error:?}"), said);
        let error: Box<dyn core::error::Error> = error.into();
        assert_eq!(format!("{error:?}"), said);
    }
}
