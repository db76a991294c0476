//! Headers a user adds to every request.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use throughline_runtime::Env;

use crate::percent;

/// The header as it will be sent, or why it cannot be.
pub(crate) fn checked(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name: HeaderName = name.parse().map_err(|_| "has a name that is no token")?;
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
        return Err("is set by the protocol");
    }
    let mut value =
        HeaderValue::from_bytes(value).map_err(|_| "has a value with control characters")?;
    // Hidden from `Debug`, and never put into a compression table of HTTP/2.
    value.set_sensitive(true);
    Ok((name, value))
}

/// Reads `key=value,key=value` with percent-encoded values. An entry that cannot
/// be sent is left out and becomes a warning that does not show its value. Of a
/// name given twice the last counts.
/// ([Specifying headers via environment variables](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables))
pub(crate) fn from_variable(env: &mut Env, variable: &str) -> Option<HeaderMap> {
    let text = env.text(variable)?;
    let mut headers = HeaderMap::new();
    for (index, entry) in text.split(',').enumerate() {
        let entry = entry.trim();
        if entry.is_empty() {
            continue;
        }
        let Some((name, value)) = entry.split_once('=') else {
            // Without a `=` there is no telling what of it is secret.
            let place = format!("<entry {}>", index + 1);
            env.warn(variable, &place, "is not key=value, left out");
            continue;
        };
        let name = name.trim();
        match checked(name, &percent::decode(value.trim().as_bytes())) {
            Ok((name, value)) => {
                headers.insert(name, value);
            }
            Err(problem) => {
                env.warn(variable, &format!("{name}=***"), &format!("{problem}, left out"))
            }
        }
    }
    Some(headers)
}

/// What frames the request, and would break it if given twice or differently.
const RESERVED: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
        let mut env = Env::from_pairs([("H", text)]);
        let headers = from_variable(&mut env, "H").unwrap_or_default();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect();
        let warnings = env.warnings().iter().map(ToString::to_string).collect();
        (headers, warnings)
    }

    #[test]
    fn values_are_percent_decoded_and_spaces_around_are_dropped() {
        let (headers, warnings) =
            read(" Authorization = Basic%20dXNlcg== ,, x-caf=%C3%A9%2C,x-empty= ");
        assert_eq!(
            headers,
            [
                ("authorization".to_owned(), b"Basic dXNlcg==".to_vec()),
                ("x-caf".to_owned(), "é,".as_bytes().to_vec()),
                ("x-empty".to_owned(), b"".to_vec()),
            ]
        );
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let (headers, _) = read("a=1,A=2");
        assert_eq!(headers, [("a".to_owned(), b"2".to_vec())]);
    }

    #[test]
    fn bad_entries_are_left_out_and_their_values_are_not_shown() {
        let (headers, warnings) =
            read("sekrit,na me=sekrit,a=sekrit%0A,host=sekrit,grpc-timeout=sekrit,good=1");
        assert_eq!(headers, [("good".to_owned(), b"1".to_vec())]);
        assert_eq!(
            warnings,
            [
                r#"H="<entry 1>" is not key=value, left out"#,
                r#"H="na me=***" has a name that is no token, left out"#,
                r#"H="a=***" has a value with control characters, left out"#,
                r#"H="host=***" is set by the protocol, left out"#,
                r#"H="grpc-timeout=***" is set by the protocol, left out"#,
            ]
        );
    }
}
