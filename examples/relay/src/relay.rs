//! The handler: what a request asks to forward, and the answer.

use core::convert::Infallible;
use core::time::Duration;
use std::collections::HashMap;
use std::time::Instant;

use example_runtimes::ServiceRuntime;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::forward::{drain, forward};

/// Answers a request. The span that it is in was made by the layer around it.
pub(crate) async fn handle<R: ServiceRuntime>(
    runtime: R,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if route(&head).is_none() {
        return Ok(plain(StatusCode::NOT_FOUND));
    }
    if head.method != Method::POST {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Ok(response);
    }
    let end = runtime.now() + WITHIN;
    let body = runtime.timeout(WITHIN, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let Some(body) = body else { return Ok(plain(StatusCode::REQUEST_TIMEOUT)) };
    if body.as_ref().is_err_and(|error| error.is::<LengthLimitError>()) {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let elements = body.ok().and_then(|body| elements(&body.to_bytes()));
    let Some(elements) = elements else { return Ok(plain(StatusCode::BAD_REQUEST)) };

    let mut answers = Vec::new();
    for Element { url, arguments } in elements {
        let answer = one(&runtime, &url, arguments, end).await;
        answers.push(match answer {
            Ok(status) => json!({ "url": url, "status": status.as_u16() }),
            Err(error) => json!({ "url": url, "error": error }),
        });
    }
    let mut response = Response::new(Full::from(Value::Array(answers).to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Forwards one element; a target that fails is a text and nothing more.
async fn one<R: ServiceRuntime>(
    runtime: &R,
    url: &str,
    arguments: String,
    end: Instant,
) -> Result<StatusCode, String> {
    let left = || end.saturating_duration_since(runtime.now());
    if left().is_zero() {
        return Err("no time is left for it".to_owned());
    }
    let answer = runtime.timeout(left().min(PER_ELEMENT), forward(runtime, url, arguments)).await;
    let answer = answer.ok_or("no answer in time")?.map_err(|error| error.to_string())?;
    let (head, body) = answer.into_parts();
    let _ = runtime.timeout(left().min(DRAIN), drain(body)).await;
    Ok(head.status)
}

/// The route of a request, if it has one.
pub(crate) fn route(head: &Parts) -> Option<&'static str> {
    (head.uri.path() == "/relay").then_some("/relay")
}

struct Element {
    url: String,
    /// JSON, byte by byte as it came.
    arguments: String,
}

/// The elements of a body, or `None` where it is anything else than `null` or an
/// array of objects that have both fields.
fn elements(body: &[u8]) -> Option<Vec<Element>> {
    let list: Option<Vec<HashMap<String, &RawValue>>> = serde_json::from_slice(body).ok()?;
    list.unwrap_or_default()
        .into_iter()
        .map(|fields| {
            let url = serde_json::from_str(fields.get("url")?.get()).ok()?;
            Some(Element { url, arguments: fields.get("arguments")?.get().to_owned() })
        })
        .collect()
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// For one element.
const PER_ELEMENT: Duration = Duration::from_secs(4);

/// For what comes after the status.
const DRAIN: Duration = Duration::from_millis(250);

/// For all of them: the answer is out before 5 s have passed.
const WITHIN: Duration = Duration::from_millis(4_750);

/// A longer body is answered 413, as whether it is an array is not known.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Vec<(String, String)>> {
        let pair = |element: Element| (element.url, element.arguments);
        elements(body.as_bytes()).map(|list| list.into_iter().map(pair).collect())
    }

    #[test]
    fn arguments_stay_as_they_came_and_other_fields_are_ignored() {
        let body = r#" [ {"x":1, "url":"http:\/\/a","arguments":[ 1.0,{ "b" : null }]} ] "#;
        let expected = ("http://a".to_owned(), r#"[ 1.0,{ "b" : null }]"#.to_owned());
        assert_eq!(read(body), Some(vec![expected]));
        let null = read(r#"[{"url":"","arguments":null}]"#);
        assert_eq!(null, Some(vec![(String::new(), "null".to_owned())]));
    }

    #[test]
    fn null_and_an_empty_array_are_nothing_to_forward() {
        assert_eq!(read("null"), Some(vec![]));
        assert_eq!(read("[]"), Some(vec![]));
    }

    #[test]
    fn any_other_body_is_refused() {
        for body in [
            "",
            " ",
            "{}",
            "1",
            "[1]",
            "[null]",
            "[[]]",
            r#"[["http://a", []]]"#,
            r#"{"url":"http://a","arguments":[]}"#,
            r#"[{"url":"http://a"}]"#,
            r#"[{"arguments":[]}]"#,
            r#"[{"url":1,"arguments":[]}]"#,
            r#"[{"url":null,"arguments":[]}]"#,
            r#"[{"url":"http://a","arguments":[]},1]"#,
            r#"[{"url":"http://a","arguments":}]"#,
            r#"[{"url":"http://a","arguments":[]}"#,
            "[] []",
            "nul",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
        assert!(elements(b"[{\"url\":\"\xff\",\"arguments\":1}]").is_none());
    }
}
