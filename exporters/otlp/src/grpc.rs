//! OTLP/gRPC: a unary call over HTTP/2.
//! ([OTLP/gRPC](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc),
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md))
//!
//! The framing is done here, not by tonic: one call needs a prefix of five bytes
//! and three trailers, for which tonic without any of its features would bring
//! another dozen crates, a procedural macro and its parser among them.

use core::future::Future;
use core::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use futures_io::{AsyncRead, AsyncWrite};
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::rt::Executor;
use hyper::{Method, Request, StatusCode, Uri, Version};
use throughline_core::{Accepted, ExportError, Failure};
use throughline_runtime::Runtime;

use crate::body::{Incomplete, Received, Whole, receive};
use crate::config::Otlp;
use crate::connection::{Attempt, Payload};
use crate::deadline::Deadline;
use crate::io::{Io, Switch};
use crate::outcome::{self, Refusal};
use crate::percent;

/// A kept-alive connection, which runs in tasks of the runtime, as HTTP/2 has to
/// answer its peer at any time. Dropping it ends them.
pub(crate) struct Http2 {
    sender: http2::SendRequest<Whole>,
    switch: Switch,
}

/// The request but for its message.
pub(crate) struct Template {
    target: Uri,
    headers: HeaderMap,
}

/// A flag and a length in front of each message.
pub(crate) const PREFIX: usize = 5;

/// Fills the prefix of a message.
pub(crate) fn frame(message: &mut [u8], gzip: bool) {
    // The limit of a request is below 4 GiB, so the length fits.
    let length = (message.len() - PREFIX) as u32;
    message[0] = u8::from(gzip);
    message[1..PREFIX].copy_from_slice(&length.to_be_bytes());
}

impl Template {
    pub(crate) fn new(config: &Otlp) -> Self {
        let endpoint = &config.endpoint;
        let scheme = if endpoint.secure { "https" } else { "http" };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, config.user_agent.clone());
        headers.extend(config.headers.clone());
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(timeout) = config.timeout {
            headers.insert("grpc-timeout", timeout_header(timeout));
        }
        let target = format!("{scheme}://{}{METHOD}", endpoint.authority);
        Template {
            // Made of parts of a URL that has been parsed.
            target: target.parse().unwrap_or_default(),
            headers,
        }
    }

    fn request(&self, payload: &Payload) -> Request<Whole> {
        let mut request = Request::new(Whole::new(payload.bytes.clone()));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        if payload.gzip {
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert("grpc-encoding", gzip);
        }
        request
    }
}

impl Http2 {
    pub(crate) async fn open<R, S>(runtime: &R, stream: S) -> Result<Self, ExportError>
    where
        R: Runtime,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let switch = Switch::new();
        let io = Io::with_switch(stream, switch.clone());
        match http2::handshake(Spawn(runtime.clone()), io).await {
            Ok((sender, connection)) => {
                runtime.spawn(async move {
                    // How it ended is told to whoever waits for an answer.
                    let _ = connection.await;
                });
                Ok(Http2 { sender, switch })
            }
            Err(_) => Err(ExportError::Retry { after: None, failure: Failure::Connect }),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(crate) async fn exchange(
        &mut self,
        template: &Template,
        payload: &Payload,
        max_bytes: usize,
        deadline: &mut Deadline<'_>,
    ) -> Attempt {
        let response = self.sender.send_request(template.request(payload));
        let response = match deadline.within(response).await {
            Some(Ok(response)) => response,
            Some(Err(_)) => return Attempt::Unanswered,
            None => return Attempt::timed_out(),
        };
        let (head, body) = response.into_parts();
        // A status in the head means that there is nothing behind it.
        if let Some(refusal) = status(&head.headers) {
            return Attempt::Settled {
                verdict: Err(refusal.unwrap_or(ExportError::Permanent(Failure::Protocol))),
                reusable: true,
            };
        }
        if head.status != StatusCode::OK {
            // A proxy answered. Its status is to be mapped to a code of gRPC, of
            // which the same four are repeatable.
            return Attempt::failed(outcome::http_refusal(head.status, &head.headers));
        }
        let max_body = max_bytes.saturating_add(PREFIX);
        let received = match deadline.within(receive(body, max_body)).await {
            Some(Ok(received)) => received,
            Some(Err(Incomplete::TooLarge)) => {
                return Attempt::failed(ExportError::Permanent(Failure::Protocol));
            }
            Some(Err(Incomplete::Cut)) => {
                return Attempt::failed(ExportError::Retry {
                    after: None,
                    failure: Failure::Disconnected,
                });
            }
            None => return Attempt::timed_out(),
        };
        match deadline.within(read(&head.headers, received, max_bytes)).await {
            Some(verdict) => Attempt::Settled { verdict, reusable: true },
            None => Attempt::timed_out(),
        }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.switch.cut();
    }
}

/// hyper's tasks, on the runtime.
#[derive(Clone)]
struct Spawn<R>(R);

// The runtime in it is never pinned.
impl<R> Unpin for Spawn<R> {}

impl<R, F> Executor<F> for Spawn<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// What the trailers and, if they say OK, the message mean.
async fn read(
    head: &HeaderMap,
    received: Received,
    max_bytes: usize,
) -> Result<Accepted, ExportError> {
    const MALFORMED: ExportError = ExportError::Permanent(Failure::Protocol);
    match received.trailers.as_ref().and_then(status) {
        Some(None) => {}
        Some(Some(refusal)) => return Err(refusal),
        // The call ended without a status.
        None => return Err(MALFORMED),
    }
    let (prefix, message) = received.data.split_at_checked(PREFIX).ok_or(MALFORMED)?;
    let length = prefix[1..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
    // A unary call is answered by one message.
    if length != message.len() as u64 {
        return Err(MALFORMED);
    }
    match prefix[0] {
        0 => outcome::accepted(message),
        #[cfg(feature = "gzip")]
        1 if head.get("grpc-encoding").is_some_and(|name| name == "gzip") => {
            let message = crate::gzip::decompress(message, max_bytes).await;
            outcome::accepted(&message.map_err(|_| MALFORMED)?)
        }
        _ => {
            let _ = (head, max_bytes);
            Err(MALFORMED)
        }
    }
}

/// The status among headers or trailers, if there is one: `None` inside is OK.
fn status(headers: &HeaderMap) -> Option<Option<ExportError>> {
    let code = headers.get("grpc-status")?;
    let code = code.to_str().ok().and_then(|text| text.parse().ok());
    let code = code.unwrap_or(UNKNOWN);
    if code == 0 {
        return Some(None);
    }
    let bytes = |name| headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
    let details = bytes("grpc-status-details-bin");
    Some(Some(outcome::grpc_refusal(&Refusal {
        code,
        message: &percent::decode(bytes("grpc-message")),
        details: &BASE64.decode(details).unwrap_or_default(),
    })))
}

/// The call's timeout, in at most eight digits and a unit.
fn timeout_header(timeout: Duration) -> HeaderValue {
    const MAX: u64 = 99_999_999;
    let millis = timeout.as_millis().max(1);
    let (number, unit) = match u64::try_from(millis) {
        Ok(millis) if millis <= MAX => (millis, 'm'),
        _ => (timeout.as_secs().min(MAX), 'S'),
    };
    // Digits and a letter.
    HeaderValue::from_str(&format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("10S"))
}

/// Senders should leave the padding out, and some do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The code of a status that is none.
const UNKNOWN: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_fits_in_eight_digits() {
        let cases = [
            (Duration::from_secs(10), "10000m"),
            (Duration::from_micros(1), "1m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::MAX, "99999999S"),
        ];
        for (timeout, expected) in cases {
            assert_eq!(timeout_header(timeout), expected);
        }
    }

    #[test]
    fn a_status_that_is_no_number_is_unknown() {
        let status_of = |value: &str| {
            let value = value.parse().unwrap();
            status(&HeaderMap::from_iter([("grpc-status".parse().unwrap(), value)]))
        };
        let unknown = ExportError::Permanent(Failure::Grpc(UNKNOWN));
        assert_eq!(status_of("0"), Some(None));
        for text in ["", "x", "-1", "256"] {
            assert_eq!(status_of(text), Some(Some(unknown)));
        }
        assert_eq!(status(&HeaderMap::new()), None);
    }

    #[test]
    fn a_prefix_holds_flag_and_length() {
        let mut message = vec![0; PREFIX + 0x0102];
        frame(&mut message, true);
        assert_eq!(message[..PREFIX], [1, 0, 0, 1, 2]);
    }
}
