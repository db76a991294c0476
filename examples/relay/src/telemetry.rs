//! Setting throughline up, by the environment alone.

use throughline::{Env, Guard, InitError};

/// As `throughline::init`, except that nothing is exported where no endpoint is
/// given: contexts go on all the same.
pub(crate) fn init() -> Result<Guard, InitError> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let mut variables: Vec<(String, String)> = std::env::vars_os().filter_map(text).collect();
    let value = |name: &str| {
        let found = variables.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let exporter = value(EXPORTER).unwrap_or("otlp");
    let has_endpoint = ENDPOINTS.iter().any(|name| value(name).is_some());
    if exporter.eq_ignore_ascii_case("otlp") && !has_endpoint {
        // Of a variable that is given twice the last counts.
        variables.push((EXPORTER.to_owned(), "none".to_owned()));
    }
    throughline::builder().init_from(&mut Env::from_pairs(variables))
}

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
