//! HTTP between the services: contexts go out with requests and come in with
//! them.

use axum::http::{Request, StatusCode};
use http_body_util::Empty;
use throughline::propagation::Headers;
use throughline::{Context, CurrentSpan, InSpanExt, StatusCode as SpanStatus, span};

use crate::connections::Connections;
use crate::runtime::ServiceRuntime;

/// A client of one server, whose requests are spans.
#[derive(Clone)]
pub(crate) struct HttpClient<R> {
    connections: Connections<R>,
}

impl<R: ServiceRuntime> HttpClient<R> {
    pub(crate) fn new(runtime: R) -> Self {
        HttpClient { connections: Connections::new(runtime) }
    }

    /// Makes a GET request in a span of its own, whose context goes along.
    pub(crate) async fn get(&self, url: String) -> Result<(StatusCode, String), String> {
        let span = span!(kind: Client, "GET", http.request.method = "GET", url.full = &url);
        async {
            let mut request =
                Request::get(&url).body(Empty::new()).map_err(|error| error.to_string())?;
            throughline::inject(&Context::current(), &mut Headers(request.headers_mut()));
            let result = self.connections.send(request).await.map_err(|error| error.to_string());
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
