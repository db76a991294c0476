//! OTLP over HTTP with protobuf bodies
//! ([OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp)).

use core::time::Duration;
use std::io::Read;
use std::time::Instant;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tonic::body::Body;

use crate::Store;
use crate::grpc;

/// Answers one request. A failure is a `google.rpc.Status` in protobuf, whose
/// text says what was wrong.
pub(crate) async fn answer(
    store: &Store,
    request: Request<Incoming>,
    max_body_bytes: usize,
) -> Response<Body> {
    match receive(store, request, max_body_bytes).await {
        Ok(rejected) => respond(StatusCode::OK, grpc::answer(rejected).encode_to_vec()),
        Err(refusal) => refusal.into_response(),
    }
}

/// How long a request may take to arrive, over either protocol.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

async fn receive(
    store: &Store,
    request: Request<Incoming>,
    max_body_bytes: usize,
) -> Result<u64, Refusal> {
    if request.uri().path() != "/v1/traces" {
        return Err(Refusal::NotFound);
    }
    if request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    let (head, body) = request.into_parts();
    let is_gzip = is_gzip(&head.headers)?;
    if body.size_hint().lower() > max_body_bytes as u64 {
        return Err(Refusal::TooLarge(max_body_bytes));
    }
    let read = Limited::new(body, max_body_bytes).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Refusal::TooLarge(max_body_bytes));
        }
        Ok(Err(_)) => return Err(Refusal::Malformed("the body ended early")),
        Err(_) => return Err(Refusal::Timeout),
    };
    let body = if is_gzip { unpack(&body, max_body_bytes)? } else { body };
    let decoded = ExportTraceServiceRequest::decode(body);
    let request = decoded.map_err(|_| Refusal::Malformed("the body is no OTLP trace request"))?;
    Ok(store.take_in(request, Instant::now()))
}

/// Whether the body is compressed, if its type and encoding can be read at all.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let text = |name: HeaderName| headers.get(name).map_or(Ok(""), HeaderValue::to_str);
    let content_type = text(CONTENT_TYPE).map_err(|_| Refusal::ContentType)?;
    let essence = content_type.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(Refusal::ContentType);
    }
    match text(CONTENT_ENCODING) {
        Ok(encoding) if encoding.eq_ignore_ascii_case("gzip") => Ok(true),
        Ok("") => Ok(false),
        Ok(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(false),
        _ => Err(Refusal::Encoding),
    }
}

/// Decompresses at most `max_bytes`: a few kilobytes of gzip can stand for
/// gigabytes.
fn unpack(body: &[u8], max_bytes: usize) -> Result<Bytes, Refusal> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(4).min(max_bytes));
    let limit = (max_bytes as u64).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(limit).read_to_end(&mut out);
    match read {
        Err(_) => Err(Refusal::Malformed("the body is not gzip")),
        Ok(_) if out.len() > max_bytes => Err(Refusal::TooLarge(max_bytes)),
        Ok(_) => Ok(out.into()),
    }
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NotFound,
    Method,
    ContentType,
    Encoding,
    TooLarge(usize),
    Timeout,
    Malformed(&'static str),
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        let (status, code, text) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, 5, "traces go to /v1/traces".into()),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, 12, "use POST".into()),
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                3,
                "content-type must be application/x-protobuf".into(),
            ),
            Self::Encoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                3,
                "content-encoding must be gzip or identity".into(),
            ),
            Self::TooLarge(limit) => {
                (StatusCode::PAYLOAD_TOO_LARGE, 8, format!("the body exceeds {limit} bytes"))
            }
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, 4, "the body took too long".into()),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, 3, text.to_owned()),
        };
        let failure = RpcStatus { code, message: text };
        let mut response = respond(status, failure.encode_to_vec());
        if self == Self::Method {
            let headers = response.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// `google.rpc.Status`, of which nothing more is needed here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/x-protobuf");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
