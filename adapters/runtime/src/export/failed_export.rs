//! A transmission that failed, with all that is known of it.

use core::error::Error;
use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use throughline_core::ExportError;

use crate::export::operation;

/// A transmission that failed: what kind of failure it was, where it was sent to, and what
/// the failure said of itself.
///
/// `Display` is one line without credentials, for people:
///
/// ```text
/// http://collector:4318/v1/traces: the receiver answered HTTP status 401 (token expired)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedExport {
    pub(crate) error: ExportError,
    pub(crate) endpoint: Option<Arc<str>>,
    pub(crate) detail: Option<Arc<str>>,
}

impl FailedExport {
    /// What went wrong, for a program to act upon: whether it may pass later, and the kind
    /// of failure, with the HTTP or gRPC status if there was one.
    pub fn error(&self) -> ExportError {
        self.error
    }

    /// The kind in a word, as the attribute `error.type` of
    /// [metrics](crate::ExportOperation::error_type) has it: `connect`, `timeout`,
    /// `too_large`, an HTTP status as `503`, the name of a gRPC code as `UNAVAILABLE`.
    pub fn error_type(&self) -> Cow<'static, str> {
        operation::error_type(self.error)
    }

    /// Where it was sent to, if the exporter [says so](crate::Component::with_endpoint):
    /// scheme, host, port and path; no credentials and no query.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// What the failure says of itself, in one line of at most 200 characters: the error of
    /// the system, the beginning of an HTTP answer's body, the message of a gRPC status, or
    /// what the exporter panicked with. It comes from outside.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl fmt::Display for FailedExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(endpoint) = &self.endpoint {
            write!(f, "{endpoint}: ")?;
        }
        Detailed(self.error, self.detail()).fmt(f)
    }
}

impl Error for FailedExport {}

/// An error with its detail in parentheses, before whether it may pass.
pub(crate) struct Detailed<'a>(pub(crate) ExportError, pub(crate) Option<&'a str>);

impl fmt::Display for Detailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (ExportError::Retry { failure, .. }, Some(detail)) => {
                write!(f, "{failure} ({detail}); it may pass later")
            }
            (error, Some(detail)) => write!(f, "{error} ({detail})"),
            (error, None) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use throughline_core::Failure;

    use super::*;

    fn failed(error: ExportError, endpoint: Option<&str>, detail: Option<&str>) -> FailedExport {
        FailedExport { error, endpoint: endpoint.map(Arc::from), detail: detail.map(Arc::from) }
    }

    #[test]
    fn a_line_has_what_is_known() {
        let down = ExportError::Retry { after: None, failure: Failure::Connect };
        let whole = failed(down, Some("http://h:4318/v1/traces"), Some("refused"));
        assert_eq!(
            whole.to_string(),
            "http://h:4318/v1/traces: the receiver could not be reached (refused); it may pass later"
        );
        let unauthorized = ExportError::Permanent(Failure::Http(401));
        assert_eq!(
            failed(unauthorized, None, None).to_string(),
            "the receiver answered HTTP status 401"
        );
        assert_eq!(
            failed(unauthorized, None, Some("no token")).to_string(),
            "the receiver answered HTTP status 401 (no token)"
        );
    }

    #[test]
    fn the_kind_is_a_word() {
        let kind = |error| failed(error, None, None).error_type();
        for (failure, word) in [
            (Failure::Connect, "connect"),
            (Failure::Http(503), "503"),
            (Failure::Grpc(14), "UNAVAILABLE"),
        ] {
            assert_eq!(kind(ExportError::Retry { after: None, failure }), word);
            assert_eq!(kind(ExportError::Permanent(failure)), word);
        }
        assert_eq!(kind(ExportError::TooLarge), "too_large");
    }
}
