//! The exporter as a value: what to send, where, and within which limits.

use core::fmt;
use core::time::Duration;

use hyper::header::{HeaderMap, HeaderValue};
use throughline_runtime::{Config, Origin, Origins};

use crate::endpoint::{Endpoint, redacted};
use crate::error::ConfigError;
use crate::headers;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Sends spans over [OTLP](https://opentelemetry.io/docs/specs/otlp/).
///
/// A value to be given to the set-up of a pipeline, where it is connected on the
/// pipeline's own runtime. Each setting can come from code or from the
/// environment ([`from_env`](Self::from_env)); see
/// [Configuration Options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options).
#[derive(Clone)]
pub struct Otlp {
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: HeaderMap,
    pub(crate) compression: Compression,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_request_bytes: usize,
    pub(crate) max_response_bytes: usize,
    pub(crate) user_agent: HeaderValue,
    pub(crate) origins: Origins,
    #[cfg(feature = "tls")]
    pub(crate) tls: Tls,
}

/// How the bytes travel.
/// ([Specify Protocol](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specify-protocol))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// `http/protobuf`: a `POST` over HTTP/1.1 with a binary body.
    HttpProtobuf,
    /// `grpc`: a unary call over HTTP/2.
    Grpc,
}

/// What is done to a request before it is sent.
/// ([Configuration Options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options))
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Nothing. The default: inside a host or a cluster the network is cheaper
    /// than the processor.
    #[default]
    None,
    /// gzip, at a level that favours speed.
    #[cfg(feature = "gzip")]
    Gzip,
}

impl Otlp {
    /// OTLP/HTTP with binary protobuf, to `http://localhost:4318/v1/traces`.
    /// ([OTLP/HTTP](https://opentelemetry.io/docs/specs/otlp/#otlphttp))
    #[cfg(feature = "http")]
    pub fn http() -> Self {
        Self::new(Protocol::HttpProtobuf)
    }

    /// OTLP/gRPC, to `http://localhost:4317`.
    /// ([OTLP/gRPC](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc))
    #[cfg(feature = "grpc")]
    pub fn grpc() -> Self {
        Self::new(Protocol::Grpc)
    }

    /// The URL of the receiver, used as it is; only a missing path becomes `/`
    /// and a missing port that of the scheme. gRPC has a path of its own and
    /// ignores the one given here.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Endpoint`] if it is not an `http` or `https` URL with a host;
    /// [`ConfigError::NeedsFeature`] for `https` without the feature `tls`.
    pub fn endpoint(mut self, url: &str) -> Result<Self, ConfigError> {
        self.set_endpoint("endpoint", url, Endpoint::parse(url))?;
        Ok(self.noted(ENDPOINT))
    }

    /// The URL of a receiver of all signals. For HTTP the path of traces,
    /// `v1/traces`, is appended.
    /// ([Endpoint URLs for OTLP/HTTP](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp))
    ///
    /// # Errors
    ///
    /// The same as of [`endpoint`](Self::endpoint).
    pub fn base_endpoint(mut self, url: &str) -> Result<Self, ConfigError> {
        self.set_endpoint("base_endpoint", url, Endpoint::parse_base(url))?;
        Ok(self.noted(ENDPOINT))
    }

    /// Adds a header, or gRPC metadata, to each request; an earlier one of the
    /// same name is replaced. The value never appears in `Debug` or in an error.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Header`] if the name is not a token, if the value contains
    /// control characters, or if the protocol sets this header itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let (name, value) = headers::checked(name, value.as_bytes()).map_err(|problem| {
            ConfigError::Header { setting: "header".to_owned(), name: name.to_owned(), problem }
        })?;
        self.headers.insert(name, value);
        Ok(self.noted(HEADERS))
    }

    /// What is done to a request before it is sent.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self.noted(COMPRESSION)
    }

    /// The time one transmission may take, from connecting to the whole answer;
    /// 10 seconds by default. `None` and zero mean that there is no limit here:
    /// then only the flusher's own limit acts.
    /// ([Configuration Options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options))
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into().filter(|timeout| !timeout.is_zero());
        self.noted(TIMEOUT)
    }

    /// The largest request, before and after compression; 64 MiB by default. A
    /// larger one is not sent but reported as too large.
    /// ([OTLP/HTTP Request](https://opentelemetry.io/docs/specs/otlp/#otlphttp-request))
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] outside 1 to `u32::MAX`, the largest message
    /// of gRPC.
    pub fn max_request_bytes(mut self, max_bytes: usize) -> Result<Self, ConfigError> {
        self.max_request_bytes = in_range("max_request_bytes", max_bytes)?;
        Ok(self.noted(REQUEST_BYTES))
    }

    /// The largest answer, before and after decompression; 4 MiB by default. A
    /// larger one is a failure that is not repeated.
    /// ([OTLP/HTTP Response](https://opentelemetry.io/docs/specs/otlp/#otlphttp-response))
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] outside 1 to `u32::MAX`, the largest message
    /// of gRPC.
    pub fn max_response_bytes(mut self, max_bytes: usize) -> Result<Self, ConfigError> {
        self.max_response_bytes = in_range("max_response_bytes", max_bytes)?;
        Ok(self.noted(RESPONSE_BYTES))
    }

    /// Puts a product, such as `shop/1.4`, in front of this exporter's own name
    /// in the header `User-Agent`.
    /// ([User Agent](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#user-agent))
    ///
    /// # Errors
    ///
    /// [`ConfigError::Header`] if it contains other than visible ASCII
    /// characters and spaces.
    pub fn user_agent_prefix(mut self, product: &str) -> Result<Self, ConfigError> {
        let text = format!("{product} {USER_AGENT}");
        self.user_agent = HeaderValue::from_str(&text).map_err(|_| ConfigError::Header {
            setting: "user_agent_prefix".to_owned(),
            name: "user-agent".to_owned(),
            problem: "has a value with other than visible ASCII characters",
        })?;
        Ok(self)
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The URL to which requests go, without a password. Of gRPC without a path.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Adds what is in force to the table that a user can print: names of headers
    /// without their values, and the URL without a password.
    pub fn describe(&self, config: &mut Config) {
        let mut set = |name: &str, value: &dyn fmt::Display| {
            config.set(name, value, self.origins.of(name));
        };
        set(PROTOCOL, &self.protocol.as_str());
        set(ENDPOINT, &self.url());
        set(HEADERS, &Masked(&self.headers));
        set(COMPRESSION, &self.compression.as_str());
        match self.timeout {
            Some(timeout) => set(TIMEOUT, &format_args!("{timeout:?}")),
            None => set(TIMEOUT, &"no limit"),
        }
        set(REQUEST_BYTES, &self.max_request_bytes);
        set(RESPONSE_BYTES, &self.max_response_bytes);
        #[cfg(feature = "tls")]
        if self.endpoint.secure {
            set(CERTIFICATE, &self.tls.trusted());
            set(CLIENT_CERTIFICATE, &self.tls.identity());
        }
    }

    /// Notes that the program itself said it.
    fn noted(mut self, name: &str) -> Self {
        self.origins.note(name, Origin::Code);
        self
    }

    pub(crate) fn new(protocol: Protocol) -> Self {
        let (port, target) = match protocol {
            Protocol::HttpProtobuf => (4318, "/v1/traces"),
            Protocol::Grpc => (4317, ""),
        };
        Otlp {
            protocol,
            endpoint: Endpoint {
                secure: false,
                host: "localhost".to_owned(),
                port,
                authority: format!("localhost:{port}"),
                target: target.to_owned(),
            },
            headers: HeaderMap::new(),
            compression: Compression::None,
            timeout: Some(DEFAULT_TIMEOUT),
            max_request_bytes: MAX_REQUEST_BYTES,
            max_response_bytes: MAX_RESPONSE_BYTES,
            user_agent: HeaderValue::from_static(USER_AGENT),
            origins: Origins::default(),
            #[cfg(feature = "tls")]
            tls: Tls::default(),
        }
    }

    pub(crate) fn set_endpoint(
        &mut self,
        setting: &str,
        url: &str,
        parsed: Result<Endpoint, &'static str>,
    ) -> Result<(), ConfigError> {
        let mut endpoint = parsed.map_err(|problem| ConfigError::Endpoint {
            setting: setting.to_owned(),
            value: redacted(url),
            problem,
        })?;
        if endpoint.secure && cfg!(not(feature = "tls")) {
            return Err(ConfigError::NeedsFeature {
                setting: setting.to_owned(),
                value: redacted(url),
                feature: "tls",
            });
        }
        #[cfg(feature = "tls")]
        if endpoint.secure && !crate::tls::is_server_name(&endpoint.host) {
            return Err(ConfigError::Endpoint {
                setting: setting.to_owned(),
                value: redacted(url),
                problem: "names a host for which there is no certificate",
            });
        }
        if self.protocol == Protocol::Grpc {
            endpoint.target.clear();
        }
        self.endpoint = endpoint;
        Ok(())
    }
}

/// OTLP/HTTP, which is the default of the specification.
#[cfg(feature = "http")]
impl Default for Otlp {
    fn default() -> Self {
        Self::http()
    }
}

impl Protocol {
    /// The name, as `OTEL_EXPORTER_OTLP_PROTOCOL` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::Grpc => "grpc",
        }
    }
}

impl Compression {
    /// The name, as `OTEL_EXPORTER_OTLP_COMPRESSION` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            #[cfg(feature = "gzip")]
            Compression::Gzip => "gzip",
        }
    }
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp")
            .field("protocol", &self.protocol)
            .field("url", &self.url())
            .field("headers", &Redacted(&self.headers))
            .field("compression", &self.compression)
            .field("timeout", &self.timeout)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish_non_exhaustive()
    }
}

/// The names of headers, without their values.
struct Redacted<'a>(&'a HeaderMap);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.keys().map(|name| (name.as_str(), "***"));
        f.debug_map().entries(names).finish()
    }
}

/// The names of headers, `name=***` each.
struct Masked<'a>(&'a HeaderMap);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, name) in self.0.keys().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{name}=***")?;
        }
        Ok(())
    }
}

fn in_range(setting: &str, value: usize) -> Result<usize, ConfigError> {
    if value == 0 || u32::try_from(value).is_err() {
        return Err(ConfigError::OutOfRange {
            setting: setting.to_owned(),
            value,
            range: "from 1 to 4294967295",
        });
    }
    Ok(value)
}

// The names of settings in the table that a user can print.
pub(crate) const PROTOCOL: &str = "otlp.protocol";
pub(crate) const ENDPOINT: &str = "otlp.endpoint";
pub(crate) const HEADERS: &str = "otlp.headers";
pub(crate) const COMPRESSION: &str = "otlp.compression";
pub(crate) const TIMEOUT: &str = "otlp.timeout";
#[cfg(feature = "tls")]
pub(crate) const CERTIFICATE: &str = "otlp.certificate";
#[cfg(feature = "tls")]
pub(crate) const CLIENT_CERTIFICATE: &str = "otlp.client_certificate";
const REQUEST_BYTES: &str = "otlp.max_request_bytes";
const RESPONSE_BYTES: &str = "otlp.max_response_bytes";

// https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REQUEST_BYTES: usize = 64 << 20;
const MAX_RESPONSE_BYTES: usize = 4 << 20;

const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-Rust-throughline/", env!("CARGO_PKG_VERSION"));

#[cfg(all(test, feature = "http", feature = "grpc"))]
mod tests {
    use super::*;

    /// OTLP-2 ([Specify protocol](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specify-protocol)).
    #[test]
    fn defaults_are_those_of_the_specification() {
        let http = Otlp::default();
        assert_eq!(http.protocol(), Protocol::HttpProtobuf);
        assert_eq!(http.url(), "http://localhost:4318/v1/traces");
        assert_eq!(http.timeout, Some(Duration::from_secs(10)));
        assert_eq!(http.max_request_bytes, 67_108_864);
        assert_eq!(http.max_response_bytes, 4_194_304);
        assert_eq!(http.compression, Compression::None);
        assert_eq!(Otlp::grpc().url(), "http://localhost:4317");
    }

    #[test]
    fn debug_shows_no_header_value_and_no_password() {
        let otlp = Otlp::http()
            .header("authorization", "sekrit")
            .unwrap()
            .endpoint("http://user:sekrit@h/")
            .unwrap();
        let text = format!("{otlp:?}");
        assert!(text.contains("authorization"), "{text}");
        assert!(!text.contains("sekrit"), "{text}");
    }

    #[test]
    fn a_bad_setting_is_an_error_that_names_it() {
        let error = Otlp::http().endpoint("collector").unwrap_err();
        assert_eq!(
            error.to_string(),
            "endpoint=\"collector\" does not begin with http:// or https://"
        );
        let error = Otlp::http().endpoint("http://u:sekrit@h:x/").unwrap_err();
        assert!(!error.to_string().contains("sekrit"), "{error}");
        let error = Otlp::http().header("a b", "sekrit").unwrap_err();
        assert_eq!(error.to_string(), "header: the header \"a b\" has a name that is no token");
        let error = Otlp::http().header("a", "sekrit\n").unwrap_err();
        assert!(!error.to_string().contains("sekrit"), "{error}");
        let error = Otlp::http().max_request_bytes(0).unwrap_err();
        assert_eq!(error.to_string(), "max_request_bytes=0 is not from 1 to 4294967295");
        assert!(Otlp::http().user_agent_prefix("a\nb").is_err());
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn https_without_tls_is_an_error_that_names_the_feature() {
        let error = Otlp::grpc().endpoint("https://h").unwrap_err();
        assert_eq!(error.to_string(), "endpoint=\"https://h\" needs the feature `tls`");
    }

    #[test]
    fn grpc_ignores_a_path() {
        let otlp = Otlp::grpc().base_endpoint("http://h:1/some/path").unwrap();
        assert_eq!(otlp.url(), "http://h:1");
    }

    #[test]
    fn a_timeout_of_zero_is_no_limit() {
        assert_eq!(Otlp::http().timeout(Duration::ZERO).timeout, None);
        assert_eq!(Otlp::http().timeout(None).timeout, None);
    }
}
