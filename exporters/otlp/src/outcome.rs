//! What an answer means for the batch.

use core::time::Duration;
use std::time::SystemTime;

use hyper::StatusCode;
#[cfg(feature = "http")]
use hyper::header::CONTENT_TYPE;
use hyper::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use throughline_core::{Accepted, ExportError, Failure};
use throughline_runtime::remark;

use crate::protobuf::{Fields, Malformed, Value};

/// Reads an `ExportTraceServiceResponse`: all spans were accepted but those it
/// counts. What it says besides, which may be a warning alone, becomes a remark.
/// ([Partial Success](https://opentelemetry.io/docs/specs/otlp/#partial-success-1))
pub(crate) fn accepted(response: &[u8]) -> Result<Accepted, ExportError> {
    match partial_success(response) {
        Ok(PartialSuccess { rejected, message }) => {
            say(message);
            Ok(Accepted { rejected })
        }
        Err(Malformed) => Err(ExportError::Permanent(Failure::Protocol)),
    }
}

/// Makes a remark of a text that came from the receiver.
pub(crate) fn say(text: &[u8]) {
    // What is kept has 200 characters of 4 bytes at most; blanks are made few.
    let text = &text[..text.len().min(MAX_REMARK)];
    remark(&String::from_utf8_lossy(text));
}

/// Makes a remark of the body with which a request was refused: a `google.rpc.Status`,
/// of which the message is of interest, or whatever else a server or a proxy says.
/// ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures-1))
#[cfg(feature = "http")]
pub(crate) fn say_why(headers: &HeaderMap, body: &[u8]) {
    let media_type = text(headers, CONTENT_TYPE).and_then(|text| text.split(';').next());
    let is_protobuf =
        media_type.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/x-protobuf"));
    if !is_protobuf {
        return say(body);
    }
    // What is not understood is no text either.
    let message = Fields::of(body).find_map(|field| match field {
        Ok((2, Value::Bytes(message))) => Some(message),
        _ => None,
    });
    say(message.unwrap_or_default());
}

/// Classifies an HTTP status other than success. Only four may be repeated.
/// ([Retryable Response Codes](https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes))
pub(crate) fn http_refusal(status: StatusCode, headers: &HeaderMap) -> ExportError {
    let failure = Failure::Http(status.as_u16());
    match status.as_u16() {
        413 => ExportError::TooLarge,
        429 | 502 | 503 | 504 => ExportError::Retry { after: retry_after(headers), failure },
        _ => ExportError::Permanent(failure),
    }
}

/// A gRPC status other than OK.
#[cfg(feature = "grpc")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal<'a> {
    pub(crate) code: u8,
    /// Decoded already.
    pub(crate) message: &'a [u8],
    /// A `google.rpc.Status`, decoded from base64 already; empty if there is none.
    pub(crate) details: &'a [u8],
}

/// Classifies a gRPC status other than OK.
/// ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures),
/// [OTLP/gRPC Throttling](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling))
#[cfg(feature = "grpc")]
pub(crate) fn grpc_refusal(refusal: &Refusal<'_>) -> ExportError {
    say(refusal.message);
    let failure = Failure::Grpc(refusal.code);
    // Details that are not understood count as none: the code still says enough.
    let retry = retry_info(refusal.details).unwrap_or(None);
    if is_size_complaint(refusal) && retry.is_none() {
        return ExportError::TooLarge;
    }
    match (refusal.code, retry) {
        (RESOURCE_EXHAUSTED, None) => ExportError::Permanent(failure),
        (
            CANCELLED | DEADLINE_EXCEEDED | RESOURCE_EXHAUSTED | ABORTED | OUT_OF_RANGE
            | UNAVAILABLE | DATA_LOSS,
            retry,
        ) => ExportError::Retry { after: retry.and_then(|RetryInfo { delay }| delay), failure },
        _ => ExportError::Permanent(failure),
    }
}

/// There is no code of its own for a message over the receiver's limit: most
/// servers answer RESOURCE_EXHAUSTED, tonic OUT_OF_RANGE, which would be repeated
/// in vain. The text is all there is to go by; where it is not recognised the
/// code decides. Known wordings:
///
/// - grpc-go, grpc-node, C++: "received message larger than max (5 vs. 4)"
/// - grpc-java: "gRPC message exceeds maximum size 4: 5"
/// - .NET: "Received message exceeds the maximum configured message size."
/// - tonic: "decoded message length too large: found 5 bytes, the limit is: 4 bytes"
#[cfg(feature = "grpc")]
fn is_size_complaint(refusal: &Refusal<'_>) -> bool {
    if !matches!(refusal.code, RESOURCE_EXHAUSTED | OUT_OF_RANGE) {
        return false;
    }
    let text = String::from_utf8_lossy(refusal.message).to_ascii_lowercase();
    [
        "message larger than max",
        "message exceeds maximum size",
        "message exceeds the maximum",
        "message length too large",
    ]
    .iter()
    .any(|wording| text.contains(wording))
}

/// How long the receiver asks to wait: whole seconds, or a date, of which the
/// receiver's own clock is subtracted, as ours may differ.
/// ([OTLP/HTTP Throttling](https://opentelemetry.io/docs/specs/otlp/#otlphttp-throttling),
/// [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after))
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text(headers, RETRY_AFTER)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let now = date(headers).unwrap_or_else(SystemTime::now);
    // A date that has passed asks for no wait.
    Some(then.duration_since(now).unwrap_or_default())
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, DATE)?).ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// What was refused, and what there is to say.
#[derive(Debug, Default, PartialEq, Eq)]
struct PartialSuccess<'a> {
    rejected: u64,
    message: &'a [u8],
}

/// `partial_success` (number 1): `rejected_spans` (1) and `error_message` (2).
fn partial_success(response: &[u8]) -> Result<PartialSuccess<'_>, Malformed> {
    let mut success = PartialSuccess::default();
    for field in Fields::of(response) {
        let (1, Value::Bytes(partial)) = field? else {
            continue;
        };
        for field in Fields::of(partial) {
            match field? {
                // An int64; a negative count means nothing.
                (1, Value::Varint(count)) => {
                    success.rejected = i64::try_from(count).unwrap_or(0).unsigned_abs();
                }
                (2, Value::Bytes(message)) => success.message = message,
                _ => {}
            }
        }
    }
    Ok(success)
}

/// A `google.rpc.RetryInfo`.
#[cfg(feature = "grpc")]
struct RetryInfo {
    delay: Option<Duration>,
}

/// The first `RetryInfo` among the details (number 3) of a `google.rpc.Status`,
/// each an `Any` of type URL (1) and value (2).
#[cfg(feature = "grpc")]
fn retry_info(status: &[u8]) -> Result<Option<RetryInfo>, Malformed> {
    for field in Fields::of(status) {
        let (3, Value::Bytes(any)) = field? else {
            continue;
        };
        let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields::of(any) {
            match field? {
                (1, Value::Bytes(bytes)) => url = bytes,
                (2, Value::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        if url.ends_with(b"/google.rpc.RetryInfo") {
            return retry_delay(value).map(|delay| Some(RetryInfo { delay }));
        }
    }
    Ok(None)
}

/// `retry_delay` (number 1), a `Duration` of seconds (1) and nanoseconds (2).
#[cfg(feature = "grpc")]
fn retry_delay(info: &[u8]) -> Result<Option<Duration>, Malformed> {
    let mut delay = None;
    for field in Fields::of(info) {
        let (1, Value::Bytes(duration)) = field? else {
            continue;
        };
        let (mut seconds, mut nanos) = (0, 0);
        for field in Fields::of(duration) {
            match field? {
                (1, Value::Varint(value)) => seconds = value.cast_signed(),
                (2, Value::Varint(value)) => nanos = value.cast_signed(),
                _ => {}
            }
        }
        // Both have the same sign; a negative delay asks for no wait.
        let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let part = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0).min(999_999_999));
        delay = Some(whole.saturating_add(part));
    }
    Ok(delay)
}

/// So much of a text is looked at, in bytes.
const MAX_REMARK: usize = 1_024;

// https://grpc.io/docs/guides/status-codes/
#[cfg(feature = "grpc")]
const CANCELLED: u8 = 1;
#[cfg(feature = "grpc")]
const DEADLINE_EXCEEDED: u8 = 4;
#[cfg(feature = "grpc")]
const RESOURCE_EXHAUSTED: u8 = 8;
#[cfg(feature = "grpc")]
const ABORTED: u8 = 10;
#[cfg(feature = "grpc")]
const OUT_OF_RANGE: u8 = 11;
#[cfg(feature = "grpc")]
const UNAVAILABLE: u8 = 14;
#[cfg(feature = "grpc")]
const DATA_LOSS: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, headers: &[(HeaderName, &str)]) -> ExportError {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        http_refusal(StatusCode::from_u16(status).unwrap(), &headers)
    }

    /// HTTP-5 ([Retryable codes](https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes)).
    #[test]
    fn only_four_http_statuses_are_repeated() {
        for status in 300..=599 {
            let failure = Failure::Http(status);
            let expected = match status {
                413 => ExportError::TooLarge,
                429 | 502 | 503 | 504 => ExportError::Retry { after: None, failure },
                _ => ExportError::Permanent(failure),
            };
            assert_eq!(refusal(status, &[]), expected);
        }
    }

    /// HTTP-6 ([OTLP/HTTP throttling](https://opentelemetry.io/docs/specs/otlp/#otlphttp-throttling)).
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = (DATE, "Sun, 06 Nov 1994 08:49:00 GMT");
        let cases = [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:48:59 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("99999999999999999999", None),
            ("soon", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            let expected = ExportError::Retry {
                after: seconds.map(Duration::from_secs),
                failure: Failure::Http(503),
            };
            let found = refusal(503, &[(RETRY_AFTER, text), date.clone()]);
            assert_eq!(found, expected, "{text:?}");
        }
        let permanent = ExportError::Permanent(Failure::Http(400));
        assert_eq!(refusal(400, &[(RETRY_AFTER, "7")]), permanent);
    }

    /// OTLP-11 ([Partial success](https://opentelemetry.io/docs/specs/otlp/#partial-success)).
    #[test]
    fn a_partial_success_counts_what_was_rejected() {
        let rejected = |bytes: &[u8]| accepted(bytes).map(|accepted| accepted.rejected);
        assert_eq!(rejected(&[]), Ok(0));
        assert_eq!(rejected(&[0x0a, 0]), Ok(0));
        assert_eq!(rejected(&[0x0a, 3, 0x08, 0xac, 0x02]), Ok(300));
        // With a message, and with a field nobody knows yet.
        let later = [0x0a, 6, 0x12, 2, b'n', b'o', 0x08, 5, 0x48, 1];
        assert_eq!(rejected(&later), Ok(5));
        let mut negative = vec![0x0a, 11, 0x08];
        negative.extend([0xff; 9]);
        negative.push(1);
        assert_eq!(rejected(&negative), Ok(0));
        let success = partial_success(&later);
        assert_eq!(success, Ok(PartialSuccess { rejected: 5, message: b"no" }));
        // A warning alone.
        let success = partial_success(&[0x0a, 4, 0x12, 2, b'n', b'o']);
        assert_eq!(success, Ok(PartialSuccess { rejected: 0, message: b"no" }));
        let malformed = Err(ExportError::Permanent(Failure::Protocol));
        assert_eq!(rejected(&[0x0a, 3, 0x08]), malformed);
        assert_eq!(rejected(&[0x0a, 1, 0x08]), malformed);
        assert_eq!(rejected(b"<html>"), malformed);
    }

    #[cfg(feature = "grpc")]
    fn details(url: &str, value: &[u8]) -> Vec<u8> {
        let mut any = vec![0x0a, url.len() as u8];
        any.extend(url.as_bytes());
        any.extend([0x12, value.len() as u8]);
        any.extend(value);
        let mut status = vec![0x08, 8, 0x12, 1, b'm', 0x1a, any.len() as u8];
        status.extend(any);
        status
    }

    /// GRPC-3, GRPC-4 ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures)).
    #[cfg(feature = "grpc")]
    #[test]
    fn grpc_codes_are_classified_as_the_table_says() {
        for code in 1..=20 {
            let refusal = Refusal { code, ..Refusal::default() };
            let failure = Failure::Grpc(code);
            let expected = match code {
                1 | 4 | 10 | 11 | 14 | 15 => ExportError::Retry { after: None, failure },
                _ => ExportError::Permanent(failure),
            };
            assert_eq!(grpc_refusal(&refusal), expected);
        }
    }

    /// GRPC-5 ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures)).
    #[cfg(feature = "grpc")]
    #[test]
    fn retry_info_makes_exhaustion_repeatable_and_gives_the_delay() {
        const URL: &str = "type.googleapis.com/google.rpc.RetryInfo";
        let classify =
            |code, details: &[u8]| grpc_refusal(&Refusal { code, message: b"", details });
        let retry = |code, after| ExportError::Retry { after, failure: Failure::Grpc(code) };
        // 3 s and 500,000,000 ns.
        let delay = [0x0a, 8, 0x08, 3, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01];
        let after = Some(Duration::from_millis(3500));
        assert_eq!(classify(8, &details(URL, &delay)), retry(8, after));
        assert_eq!(classify(14, &details(URL, &delay)), retry(14, after));
        assert_eq!(classify(8, &details(URL, &[])), retry(8, None));
        let permanent = ExportError::Permanent(Failure::Grpc(3));
        assert_eq!(classify(3, &details(URL, &delay)), permanent);

        let exhausted = ExportError::Permanent(Failure::Grpc(8));
        let other = details("type.googleapis.com/google.rpc.Help", &delay);
        assert_eq!(classify(8, &other), exhausted);
        let whole = details(URL, &delay);
        for cut in 0..whole.len() {
            // No panic, wherever it ends; and no wait that was not asked for.
            let found = classify(8, &whole[..cut]);
            assert_eq!(found, exhausted, "cut at {cut}");
        }
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_complaint_about_the_size_is_too_large() {
        let classify = |code, message: &str| {
            grpc_refusal(&Refusal { code, message: message.as_bytes(), details: &[] })
        };
        for (code, message) in [
            (8, "grpc: received message larger than max (9 vs. 4)"),
            (8, "gRPC message exceeds maximum size 4: 9"),
            (8, "Received message exceeds the maximum configured message size."),
            (11, "Error, decoded message length too large: found 9 bytes"),
        ] {
            assert_eq!(classify(code, message), ExportError::TooLarge);
        }
        let exhausted = ExportError::Permanent(Failure::Grpc(8));
        assert_eq!(classify(8, "quota exceeded"), exhausted);
        let invalid = ExportError::Permanent(Failure::Grpc(3));
        assert_eq!(classify(3, "message larger than max"), invalid);
    }
}
