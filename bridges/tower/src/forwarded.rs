//! What proxies say of the request that they received.

use http::HeaderMap;

/// The first hop of `Forwarded`, or else of `X-Forwarded-*`: what the client asked.
///
/// Anybody can send these headers; the attributes that come from them are for
/// people who look at a trace, and nothing is decided by them.
/// ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239#section-4),
/// [server attributes](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#setting-serveraddress-and-serverport-attributes))
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded<'a> {
    pub(crate) client: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    pub(crate) proto: Option<&'a str>,
}

impl<'a> Forwarded<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let first = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.split(',').next()?.trim()).filter(|value| !value.is_empty())
        };
        let mut found = Forwarded::default();
        for pair in first("forwarded").unwrap_or_default().split(';') {
            let Some((key, value)) = pair.trim().split_once('=') else { continue };
            let value = Some(value.trim_matches('"'));
            match key {
                _ if key.eq_ignore_ascii_case("for") => found.client = value.map(address),
                _ if key.eq_ignore_ascii_case("host") => found.host = value,
                _ if key.eq_ignore_ascii_case("proto") => found.proto = value,
                _ => {}
            }
        }
        found.client = found.client.or_else(|| first("x-forwarded-for").map(address));
        found.host = found.host.or_else(|| first("x-forwarded-host"));
        found.proto = found.proto.or_else(|| first("x-forwarded-proto"));
        found
    }
}

/// Without a port, and without the brackets of IPv6.
fn address(node: &str) -> &str {
    if let Some((host, _)) = node.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    match node.split_once(':') {
        // More than one colon is an address of IPv6 without brackets.
        Some((host, port)) if !port.contains(':') => host,
        _ => node,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> [Option<String>; 3] {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        let Forwarded { client, host, proto } = Forwarded::of(&headers);
        [client, host, proto].map(|text| text.map(str::to_owned))
    }

    #[test]
    fn the_first_hop_counts_and_the_standard_header_wins() {
        let some = |text: &str| Some(text.to_owned());
        let standard = "For=\"[2001:db8::1]:4711\";Proto=https;host=a.example, for=10.0.0.1";
        let expected = [some("2001:db8::1"), some("a.example"), some("https")];
        assert_eq!(of(&[("forwarded", standard), ("x-forwarded-for", "1.1.1.1")]), expected);
        let usual = [
            ("x-forwarded-for", "192.0.2.1:80, 10.0.0.1"),
            ("x-forwarded-host", "b.example"),
            ("x-forwarded-proto", "http"),
        ];
        assert_eq!(of(&usual), [some("192.0.2.1"), some("b.example"), some("http")]);
        assert_eq!(of(&[("x-forwarded-for", "2001:db8::2")])[0], some("2001:db8::2"));
        for odd in ["", ";", "for", "=", ",,"] {
            assert_eq!(of(&[("forwarded", odd)]), [None, None, None], "{odd}");
        }
    }
}
