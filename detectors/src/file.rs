//! Small files of the system.

use std::io;

use throughline_runtime::DetectError;

/// The text of a file; `None` if there is no such file.
///
/// # Errors
///
/// It is there and cannot be read.
pub(crate) fn read(path: &str) -> Result<Option<String>, DetectError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
            _ => Err(DetectError::new(path, error)),
        },
    }
}

/// The text without white space around it; `None` if nothing is left.
pub(crate) fn word(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RES-8: finding nothing is no error, failing while looking is one
    /// ([Detecting resource information](https://opentelemetry.io/docs/specs/otel/resource/sdk/#detecting-resource-information-from-the-environment)).
    #[test]
    fn a_file_that_is_missing_is_nothing_and_one_that_cannot_be_read_is_an_error() {
        assert!(matches!(read("/no/such/file"), Ok(None)));
        // A directory is there and is no file.
        let error = read("/").expect_err("no file");
        assert!(error.to_string().starts_with("/ cannot be read"), "{error}");
    }
}
