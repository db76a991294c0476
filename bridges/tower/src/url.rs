//! What of a URL is told, and what is not.

use http::uri::{Authority, Uri};
use http::{HeaderMap, Version, header};

/// The query without the values of keys that are known to be secrets.
/// ([url.query](https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/))
pub(crate) fn query(query: &str) -> String {
    let mut told = String::with_capacity(query.len());
    for (i, pair) in query.split('&').enumerate() {
        if i > 0 {
            told.push('&');
        }
        match pair.split_once('=') {
            Some((key, _)) if SECRET_KEYS.contains(&key) => {
                told.push_str(key);
                told.push_str("=REDACTED");
            }
            _ => told.push_str(pair),
        }
    }
    told
}

/// The absolute URL of a request, credentials left out.
/// ([url.full](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span))
pub(crate) fn full(uri: &Uri, host: Option<&Authority>) -> String {
    let mut told = String::new();
    if let Some(authority) = uri.authority().or(host) {
        told.push_str(uri.scheme_str().unwrap_or("http"));
        told.push_str("://");
        let text = authority.as_str();
        match text.rsplit_once('@') {
            Some((user, place)) => {
                told.push_str(if user.contains(':') { "REDACTED:REDACTED@" } else { "REDACTED@" });
                told.push_str(place);
            }
            None => told.push_str(text),
        }
    }
    told.push_str(uri.path());
    if let Some(text) = uri.query() {
        told.push('?');
        told.push_str(&query(text));
    }
    told
}

/// The host that a request names, by its URL or by its header.
pub(crate) fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    uri.authority().cloned().or_else(|| {
        let host = headers.get(header::HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    })
}

/// The host without the brackets of an IPv6 address.
pub(crate) fn host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The port, that of the scheme if none is named.
pub(crate) fn port(authority: &Authority, scheme: &str) -> Option<u16> {
    authority.port_u16().or(match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    })
}

/// `network.protocol.version`.
pub(crate) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// Signatures and keys of the object stores of three clouds.
const SECRET_KEYS: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str) -> String {
        full(&url.parse().expect("a URL"), None)
    }

    #[test]
    fn credentials_are_left_out_of_urls() {
        assert_eq!(told("https://u:p@host:1/a?b=1"), "https://REDACTED:REDACTED@host:1/a?b=1");
        assert_eq!(told("https://token@host/a"), "https://REDACTED@host/a");
        assert_eq!(
            told("http://host/?sig=x&a=2&Signature=y"),
            "http://host/?sig=REDACTED&a=2&Signature=REDACTED"
        );
        assert_eq!(told("http://[::1]:5/"), "http://[::1]:5/");
    }

    #[test]
    fn a_path_alone_takes_the_host_of_the_header() {
        let host = Authority::from_static("host:80");
        assert_eq!(full(&"/a?b".parse().expect("a path"), Some(&host)), "http://host:80/a?b");
        assert_eq!(full(&"/a".parse().expect("a path"), None), "/a");
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let v6 = Authority::from_static("[::1]:8080");
        assert_eq!((host(&v6), port(&v6, "http")), ("::1", Some(8080)));
        let name = Authority::from_static("example.com");
        assert_eq!((host(&name), port(&name, "https")), ("example.com", Some(443)));
        assert_eq!(port(&name, "ftp"), None);
    }
}
