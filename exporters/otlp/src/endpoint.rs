//! Where requests go.

use hyper::Uri;

/// A destination that has been checked: a host and port to connect to, and the
/// target of the request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) secure: bool,
    /// Without the brackets of an IPv6 address, as a resolver wants it.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port as written, for the header `Host`.
    pub(crate) authority: String,
    /// Path and query as written; `/` where there is none.
    pub(crate) target: String,
}

impl Endpoint {
    /// Takes a URL as it is. A user name and password in it are ignored.
    /// ([Endpoint URLs for OTLP/HTTP](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp))
    pub(crate) fn parse(url: &str) -> Result<Endpoint, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "is not a URL")?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err("has a scheme other than http and https"),
            None => return Err("does not begin with http:// or https://"),
        };
        // With a scheme there is always an authority.
        let authority = uri.authority().ok_or("names no host")?;
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.is_empty() {
            return Err("names no host");
        }
        let written = authority.as_str();
        let written = written.rsplit_once('@').map_or(written, |(_, host)| host);
        let port = match written.strip_prefix(host) {
            Some("") | None if secure => 443,
            Some("") | None => 80,
            Some(port) => port
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .filter(|port| *port != 0)
                .ok_or("has a port that is not from 1 to 65535")?,
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Endpoint {
            secure,
            host: bare.to_owned(),
            port,
            authority: written.to_owned(),
            target: if target.starts_with('/') {
                target.to_owned()
            } else {
                // A query directly after the host.
                format!("/{target}")
            },
        })
    }

    /// Takes a base URL, to which the path of the signal is appended, with one
    /// slash between.
    pub(crate) fn parse_base(url: &str) -> Result<Endpoint, &'static str> {
        let mut endpoint = Self::parse(url)?;
        let (path, query) = match endpoint.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (endpoint.target.as_str(), None),
        };
        let slash = if path.ends_with('/') { "" } else { "/" };
        let mut target = format!("{path}{slash}v1/traces");
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        endpoint.target = target;
        Ok(endpoint)
    }

    /// The URL as it is told to whoever reads what went wrong: without a query too, in
    /// which there may be a key.
    pub(crate) fn public_url(&self) -> String {
        let url = self.url();
        match url.split_once('?') {
            Some((url, _)) => url.to_owned(),
            None => url,
        }
    }

    /// The URL, without a user name and password.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target)
    }
}

/// A URL as a message may show it: without what stands before an `@`.
pub(crate) fn redacted(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}***{}", &url[..start], &url[start + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (bool, String, u16, String) {
        let endpoint = Endpoint::parse(url).unwrap();
        (endpoint.secure, endpoint.host, endpoint.port, endpoint.target)
    }

    /// HTTP-2 ([Endpoint URLs](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp)).
    #[test]
    fn a_url_is_used_as_it_is() {
        let cases = [
            ("http://h", (false, "h", 80, "/")),
            ("https://h", (true, "h", 443, "/")),
            ("HTTP://h:4318/", (false, "h", 4318, "/")),
            ("http://h/v1/traces/", (false, "h", 80, "/v1/traces/")),
            ("http://h//a//b?x=1&y#z", (false, "h", 80, "//a//b?x=1&y")),
            ("http://h?x=1", (false, "h", 80, "/?x=1")),
            ("http://[::1]:9/a", (false, "::1", 9, "/a")),
            ("http://[::1]/a", (false, "::1", 80, "/a")),
            ("http://u:p@h:9/a", (false, "h", 9, "/a")),
        ];
        for (url, (secure, host, port, target)) in cases {
            let expected = (secure, host.to_owned(), port, target.to_owned());
            assert_eq!(parts(url), expected, "{url}");
        }
    }

    /// HTTP-2 ([Endpoint URLs](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp)).
    #[test]
    fn the_signal_is_appended_to_a_base_with_one_slash() {
        let cases = [
            ("http://h:4318", "http://h:4318/v1/traces"),
            ("http://h:4318/", "http://h:4318/v1/traces"),
            ("http://h/custom", "http://h/custom/v1/traces"),
            ("http://h/custom/", "http://h/custom/v1/traces"),
            ("http://h/custom?k=v", "http://h/custom/v1/traces?k=v"),
            ("http://u:p@[::1]:1/", "http://[::1]:1/v1/traces"),
        ];
        for (base, expected) in cases {
            assert_eq!(Endpoint::parse_base(base).unwrap().url(), expected);
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let cases = [
            ("", "is not a URL"),
            ("http://", "is not a URL"),
            ("http://a b/", "is not a URL"),
            ("localhost:4318", "does not begin with http:// or https://"),
            ("/v1/traces", "does not begin with http:// or https://"),
            ("ftp://h/", "has a scheme other than http and https"),
            ("http://:80/", "names no host"),
            ("http://h:/", "has a port that is not from 1 to 65535"),
            ("http://h:0/", "has a port that is not from 1 to 65535"),
            ("http://h:65536/", "has a port that is not from 1 to 65535"),
            ("http://h:http/", "has a port that is not from 1 to 65535"),
        ];
        for (url, problem) in cases {
            match Endpoint::parse(url) {
                Err(found) => {
                    assert!(found == problem || found == "is not a URL", "{url:?}: {found}")
                }
                Ok(endpoint) => panic!("{url:?} passed as {}", endpoint.url()),
            }
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let endpoint = Endpoint::parse("https://u:p@h:1/a/b?key=secret").unwrap();
        assert_eq!(endpoint.public_url(), "https://h:1/a/b");
        assert_eq!(redacted("http://u:p@h/@x"), "http://***@h/@x");
        assert_eq!(redacted("u:p@h:1"), "***@h:1");
        assert_eq!(redacted("http://h/a@b"), "http://h/a@b");
        assert_eq!(redacted(""), "");
    }
}
