//! HTTP between the services: contexts go out with requests and come in with
//! them.

use core::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use throughline::w3c::{Getter, Setter};
use throughline::{Context, CurrentSpan, InSpanExt, StatusCode as SpanStatus, span};

/// HTTP headers as a carrier of contexts.
pub(crate) struct Headers<H>(pub(crate) H);

impl Getter for Headers<&HeaderMap> {
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

impl Setter for Headers<&mut HeaderMap> {
    fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.insert(HeaderName::from_static(name), value);
        }
    }
}

/// A client whose requests are spans.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client<HttpConnector, Body>,
}

impl HttpClient {
    pub(crate) fn new() -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build_http();
        HttpClient { client }
    }

    /// Makes a GET request in a span of its own, whose context goes along.
    pub(crate) async fn get(&self, url: String) -> Result<(StatusCode, String), String> {
        let span = span!(kind: Client, "GET", http.request.method = "GET", url.full = &url);
        async {
            let mut request =
                Request::get(&url).body(Body::empty()).map_err(|error| error.to_string())?;
            throughline::inject(&Context::current(), &mut Headers(request.headers_mut()));
            let result: Result<_, String> = async {
                let response = self.client.request(request).await.map_err(|e| e.to_string())?;
                let status = response.status();
                let body = response.into_body().collect().await.map_err(|e| e.to_string())?;
                Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
            }
            .await;
            match &result {
                Ok((status, _)) => {
                    CurrentSpan::set_attribute("http.response.status_code", status.as_u16());
                    if status.is_client_error() || status.is_server_error() {
                        CurrentSpan::set_attribute("error.type", status.as_str());
                        CurrentSpan::set_status(SpanStatus::Error, "");
                    }
                }
                Err(error) => {
                    CurrentSpan::set_status(SpanStatus::Error, error);
                }
            }
            result
        }
        .in_span(span)
        .await
    }
}
