//! The exporter as the environment describes it.

use throughline_runtime::{Env, Origin};

use crate::config::{self, Compression, Otlp, Protocol};
use crate::endpoint::Endpoint;
use crate::error::ConfigError;
use crate::headers;

impl Otlp {
    /// Reads the variables `OTEL_EXPORTER_OTLP_*` and, before them, their forms
    /// for this signal, `OTEL_EXPORTER_OTLP_TRACES_*`: `PROTOCOL`, `ENDPOINT`,
    /// `INSECURE`, `HEADERS`, `COMPRESSION`, `TIMEOUT`, and with the feature
    /// `tls` `CERTIFICATE`, `CLIENT_KEY`, `CLIENT_CERTIFICATE`.
    ///
    /// A value that is not understood becomes a warning of `env` and counts as
    /// unset, so that the more general variable or the default acts.
    /// ([Configuration Options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options))
    ///
    /// # Errors
    ///
    /// [`ConfigError::Endpoint`] if the endpoint in force is no URL;
    /// [`ConfigError::NeedsFeature`] if the protocol, the compression or the
    /// scheme of the endpoint was not built in; [`ConfigError::Certificate`] if
    /// a file with a certificate or a key cannot be read or used.
    pub fn from_env(env: &mut Env) -> Result<Self, ConfigError> {
        Self::from_env_with(env, None, None)
    }

    /// As [`from_env`](Self::from_env), for a program with options of its own: the protocol
    /// and the URL of a [receiver of all signals](Self::base_endpoint) that are given act
    /// in place of the variables `PROTOCOL` and `ENDPOINT`, which are not looked at then.
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env) and [`base_endpoint`](Self::base_endpoint).
    pub fn from_env_with(
        env: &mut Env,
        protocol: Option<Protocol>,
        base_endpoint: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let (protocol, origin) = match protocol {
            Some(protocol) => (built_in(protocol, || "protocol".to_owned())?, Some(Origin::Code)),
            None => {
                let (protocol, variable) = chosen_protocol(env)?;
                (protocol, variable.map(Origin::Variable))
            }
        };
        let mut otlp = Self::new(protocol);
        if let Some(origin) = origin {
            otlp.origins.note(config::PROTOCOL, origin);
        }
        match base_endpoint {
            Some(url) => otlp = otlp.base_endpoint(url)?,
            None => otlp.endpoint_from(env)?,
        }
        if let Some((headers, variable)) = first(env, "HEADERS", headers::from_variable) {
            otlp.headers = headers;
            otlp.note(config::HEADERS, Some(variable));
        }
        let (compression, variable) = compression(env)?;
        otlp.compression = compression;
        otlp.note(config::COMPRESSION, variable);
        let (own, general) = (signal("TIMEOUT"), general("TIMEOUT"));
        if let Some((timeout, variable)) = env.timeout_millis(&[&own, &general], otlp.timeout) {
            otlp.timeout = timeout;
            otlp.note(config::TIMEOUT, Some(variable.to_owned()));
        }
        #[cfg(feature = "tls")]
        otlp.tls_from(env)?;
        Ok(otlp)
    }

    fn note(&mut self, name: &str, variable: Option<String>) {
        if let Some(variable) = variable {
            self.origins.note(name, Origin::Variable(variable));
        }
    }

    fn endpoint_from(&mut self, env: &mut Env) -> Result<(), ConfigError> {
        let grpc = self.protocol == Protocol::Grpc;
        let insecure = match grpc {
            true => first(env, "INSECURE", Env::boolean).is_some_and(|(insecure, _)| insecure),
            // It is about gRPC alone; the scheme decides for HTTP.
            false => false,
        };
        for (variable, base) in [(signal("ENDPOINT"), false), (general("ENDPOINT"), true)] {
            let Some(url) = env.text(&variable) else {
                continue;
            };
            let parsed = if grpc && !url.contains("://") {
                let scheme = if insecure { "http" } else { "https" };
                Endpoint::parse(&format!("{scheme}://{url}"))
            } else if base {
                Endpoint::parse_base(&url)
            } else {
                Endpoint::parse(&url)
            };
            self.set_endpoint(&variable, &url, parsed)?;
            self.note(config::ENDPOINT, Some(variable));
            break;
        }
        Ok(())
    }

    #[cfg(feature = "tls")]
    fn tls_from(&mut self, env: &mut Env) -> Result<(), ConfigError> {
        if !self.endpoint.secure {
            return Ok(());
        }
        let read = |variable: String, path: String| match std::fs::read(&path) {
            Ok(pem) => Ok((variable, pem)),
            Err(error) => Err(ConfigError::Certificate {
                setting: variable,
                problem: format!("{path:?} cannot be read: {error}"),
            }),
        };
        if let Some((path, variable)) = first(env, "CERTIFICATE", Env::text) {
            let (variable, pem) = read(variable, path)?;
            self.tls.trust(&variable, &pem)?;
            self.note(config::CERTIFICATE, Some(variable));
        }
        let certificate = first(env, "CLIENT_CERTIFICATE", Env::text);
        let key = first(env, "CLIENT_KEY", Env::text);
        match (certificate, key) {
            (Some((certificate, variable)), Some((key, key_variable))) => {
                let (variable, certificate) = read(variable, certificate)?;
                let (_, key) = read(key_variable, key)?;
                self.tls.identify(&variable, &certificate, &key)?;
                self.note(config::CLIENT_CERTIFICATE, Some(variable));
                Ok(())
            }
            (None, None) => Ok(()),
            (Some((_, setting)), None) => Err(ConfigError::Certificate {
                setting,
                problem: "is set without CLIENT_KEY".to_owned(),
            }),
            (None, Some((_, setting))) => Err(ConfigError::Certificate {
                setting,
                problem: "is set without CLIENT_CERTIFICATE".to_owned(),
            }),
        }
    }
}

/// The protocol, and the variable that chose it.
fn chosen_protocol(env: &mut Env) -> Result<(Protocol, Option<String>), ConfigError> {
    let options = [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];
    let default = Protocol::HttpProtobuf;
    let (protocol, variable) = match choice(env, "PROTOCOL", &options, default.as_str()) {
        Some((protocol, variable)) => (protocol, Some(variable)),
        None => (default, None),
    };
    let named = || variable.clone().unwrap_or_else(|| signal("PROTOCOL"));
    let protocol = built_in(protocol, named)?;
    Ok((protocol, variable))
}

/// The protocol, if the program was built with it.
fn built_in(protocol: Protocol, setting: impl FnOnce() -> String) -> Result<Protocol, ConfigError> {
    let (built, feature) = match protocol {
        Protocol::Grpc => (cfg!(feature = "grpc"), "grpc"),
        Protocol::HttpProtobuf => (cfg!(feature = "http"), "http"),
    };
    match built {
        true => Ok(protocol),
        false => Err(ConfigError::NeedsFeature {
            setting: setting(),
            value: protocol.as_str().to_owned(),
            feature,
        }),
    }
}

/// The compression, and the variable that chose it.
fn compression(env: &mut Env) -> Result<(Compression, Option<String>), ConfigError> {
    let options = [("none", false), ("gzip", true)];
    match choice(env, "COMPRESSION", &options, "none") {
        None => Ok((Compression::None, None)),
        Some((false, variable)) => Ok((Compression::None, Some(variable))),
        #[cfg(feature = "gzip")]
        Some((true, variable)) => Ok((Compression::Gzip, Some(variable))),
        #[cfg(not(feature = "gzip"))]
        Some((true, setting)) => {
            Err(ConfigError::NeedsFeature { setting, value: "gzip".to_owned(), feature: "gzip" })
        }
    }
}

/// The word for this signal, or else the one for all, with the variable's name.
fn choice<T: Clone>(
    env: &mut Env,
    option: &str,
    options: &[(&str, T)],
    default: &str,
) -> Option<(T, String)> {
    let (own, general) = (signal(option), general(option));
    let (chosen, variable) = env.choice(&[&own, &general], options, &default)?;
    Some((chosen, variable.to_owned()))
}

/// The value for this signal, or else the one for all, with the variable's name.
fn first<T>(
    env: &mut Env,
    option: &str,
    mut read: impl FnMut(&mut Env, &str) -> Option<T>,
) -> Option<(T, String)> {
    [signal(option), general(option)]
        .into_iter()
        .find_map(|variable| Some((read(env, &variable)?, variable)))
}

fn signal(option: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_TRACES_{option}")
}

fn general(option: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{option}")
}

#[cfg(all(test, feature = "http", feature = "grpc", feature = "gzip"))]
mod tests {
    use core::time::Duration;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Result<Otlp, ConfigError>, Vec<String>) {
        let pairs =
            pairs.iter().map(|(name, value)| (format!("OTEL_EXPORTER_OTLP_{name}"), *value));
        let mut env = Env::from_pairs(pairs);
        let otlp = Otlp::from_env(&mut env);
        let warnings = env.warnings().iter().map(ToString::to_string).collect();
        (otlp, warnings)
    }

    fn url(pairs: &[(&str, &str)]) -> String {
        let (otlp, warnings) = read(pairs);
        assert_eq!(warnings, Vec::<String>::new());
        otlp.unwrap().url()
    }

    #[test]
    fn nothing_set_means_the_defaults() {
        let (otlp, warnings) = read(&[("ENDPOINT", ""), ("PROTOCOL", "")]);
        assert_eq!(format!("{:?}", otlp.unwrap()), format!("{:?}", Otlp::http()));
        assert_eq!(warnings, Vec::<String>::new());
    }

    /// HTTP-2 ([Endpoint URLs](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp)).
    #[test]
    fn the_general_endpoint_is_a_base_and_that_of_the_signal_is_not() {
        assert_eq!(url(&[("ENDPOINT", "http://h:1/a/")]), "http://h:1/a/v1/traces");
        assert_eq!(url(&[("TRACES_ENDPOINT", "http://h:1")]), "http://h:1/");
        assert_eq!(
            url(&[
                ("ENDPOINT", "not a URL, and not asked for"),
                ("TRACES_ENDPOINT", "http://h/x/"),
            ]),
            "http://h/x/"
        );
    }

    /// GRPC-2 ([Configuration options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options)).
    #[test]
    fn grpc_takes_its_endpoint_with_or_without_a_scheme() {
        assert_eq!(url(&[("PROTOCOL", "gRPC")]), "http://localhost:4317");
        assert_eq!(url(&[("TRACES_PROTOCOL", "grpc"), ("ENDPOINT", "http://h:1/a")]), "http://h:1");
        assert_eq!(
            url(&[("PROTOCOL", "grpc"), ("ENDPOINT", "h:1"), ("INSECURE", "true"),]),
            "http://h:1"
        );
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn grpc_without_a_scheme_is_secure_unless_told() {
        let (otlp, _) = read(&[("PROTOCOL", "grpc"), ("ENDPOINT", "h:1")]);
        assert_eq!(
            otlp.unwrap_err().to_string(),
            "OTEL_EXPORTER_OTLP_ENDPOINT=\"h:1\" needs the feature `tls`"
        );
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_an_error_naming_variable_and_value() {
        let (otlp, _) = read(&[("TRACES_ENDPOINT", "collector:4318")]);
        assert_eq!(
            otlp.unwrap_err().to_string(),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=\"collector:4318\" \
             does not begin with http:// or https://"
        );
    }

    /// OTLP-1, ENV-17 ([Configuration options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options)).
    #[test]
    fn a_bad_value_is_a_warning_and_the_general_variable_acts() {
        let (otlp, warnings) = read(&[
            ("TRACES_PROTOCOL", "http/json"),
            ("PROTOCOL", "grpc"),
            ("TRACES_COMPRESSION", "zstd"),
            ("COMPRESSION", "GZIP"),
            ("TRACES_TIMEOUT", "-1"),
            ("TIMEOUT", "2500"),
        ]);
        let otlp = otlp.unwrap();
        assert_eq!(otlp.protocol(), Protocol::Grpc);
        assert_eq!(otlp.compression, Compression::Gzip);
        assert_eq!(otlp.timeout, Some(Duration::from_millis(2500)));
        let told = [
            "PROTOCOL=\"http/json\" is none of grpc, http/protobuf, ignored; grpc acts, of ",
            "COMPRESSION=\"zstd\" is none of none, gzip, ignored; gzip acts, of ",
            "TIMEOUT=\"-1\" is not a whole number of milliseconds from 0 on, ignored; 2.5s acts, of ",
        ];
        assert_eq!(
            warnings,
            told.map(|told| {
                let (option, _) = told.split_once('=').expect("a value");
                format!("OTEL_EXPORTER_OTLP_TRACES_{told}OTEL_EXPORTER_OTLP_{option}")
            })
        );
    }

    /// OTLP-1, ENV-17 ([Configuration options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options)).
    #[test]
    fn a_bad_value_without_another_one_leaves_the_default_and_says_so() {
        let (otlp, warnings) =
            read(&[("PROTOCOL", "thrift"), ("COMPRESSION", "zstd"), ("TRACES_TIMEOUT", "10s")]);
        assert_eq!(format!("{:?}", otlp.unwrap()), format!("{:?}", Otlp::http()));
        assert_eq!(
            warnings,
            [
                "PROTOCOL=\"thrift\" is none of grpc, http/protobuf, ignored; http/protobuf acts",
                "COMPRESSION=\"zstd\" is none of none, gzip, ignored; none acts",
                "TRACES_TIMEOUT=\"10s\" is not a whole number of milliseconds from 0 on, ignored; 10s acts",
            ]
            .map(|told| format!("OTEL_EXPORTER_OTLP_{told}"))
        );
    }

    /// What a program's own options say stands in for the variables, and only for those.
    #[test]
    fn protocol_and_endpoint_that_are_given_leave_the_other_variables_in_force() {
        let variables = || {
            Env::from_pairs([
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "not looked at"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "nor this"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "tenant=blue"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ])
        };
        for (protocol, url) in
            [(Protocol::Grpc, "http://h:1"), (Protocol::HttpProtobuf, "http://h:1/v1/traces")]
        {
            let mut env = variables();
            let otlp = Otlp::from_env_with(&mut env, Some(protocol), Some("http://h:1")).unwrap();
            assert_eq!((otlp.protocol(), &*otlp.url()), (protocol, url));
            assert_eq!(otlp.headers["tenant"], "blue");
            assert_eq!(otlp.compression, Compression::Gzip);
            let warnings = env.warnings();
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert_eq!(warnings[0].variable, "OTEL_EXPORTER_OTLP_TIMEOUT");
        }
        let error = Otlp::from_env_with(&mut variables(), None, Some("h:1")).unwrap_err();
        assert!(error.to_string().starts_with("base_endpoint=\"h:1\""), "{error}");
    }

    /// OTLP-1 ([Configuration options](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options)).
    #[test]
    fn headers_of_the_signal_replace_the_general_ones() {
        let (otlp, _) = read(&[("HEADERS", "a=1,b=2"), ("TRACES_HEADERS", "c=%33")]);
        let headers = otlp.unwrap().headers;
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["c"], "3");
    }

    #[test]
    fn a_timeout_of_zero_is_no_limit() {
        let (otlp, warnings) = read(&[("TRACES_TIMEOUT", "0"), ("TIMEOUT", "7")]);
        assert_eq!(otlp.unwrap().timeout, None);
        assert_eq!(warnings, Vec::<String>::new());
    }
}
