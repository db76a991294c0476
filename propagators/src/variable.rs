//! `OTEL_PROPAGATORS`.

use throughline_runtime::Env;

use crate::{B3, Baggage, Composite, Jaeger, Propagator, TraceContext};

/// The propagators that `OTEL_PROPAGATORS` lists, each once, in any letter case:
/// `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none` alone.
///
/// `None` where it is unset, or names nothing that is known: then the caller's choice acts,
/// which `otherwise` describes, or [`Standard`](crate::Standard) if it has none. What is
/// unknown is a warning that says what acts, and passed over.
/// ([General configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration))
pub fn from_env(env: &mut Env, otherwise: Option<&str>) -> Option<Composite> {
    let text = env.text(VARIABLE)?;
    let (mut known, mut unknown, mut names_none) = (Vec::new(), Vec::new(), false);
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("none") {
            names_none = true;
            continue;
        }
        match NAMES.iter().position(|(name, _)| name.eq_ignore_ascii_case(word)) {
            Some(at) if known.contains(&at) => {}
            Some(at) => known.push(at),
            None => unknown.push(word),
        }
    }
    let names: Vec<&str> = known.iter().map(|at| NAMES[*at].0).collect();
    let acts = match (known.is_empty(), names_none) {
        (true, true) => "none".to_owned(),
        (true, false) => otherwise.unwrap_or("tracecontext,baggage").to_owned(),
        (false, _) => names.join(","),
    };
    for word in unknown {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let problem = format!("has `{word}`, which is none of {}, none", names.join(", "));
        env.warn(VARIABLE, &text, &format!("{problem}, ignored; {acts} acts"));
    }
    if names_none && !known.is_empty() {
        env.warn(VARIABLE, &text, &format!("has `none` beside others, ignored; {acts} acts"));
    }
    match (known.is_empty(), names_none) {
        (true, true) => Some(Composite::none()),
        (true, false) => None,
        (false, _) => Some(Composite::new(known.into_iter().map(|at| NAMES[at].1()))),
    }
}

const VARIABLE: &str = "OTEL_PROPAGATORS";

type Make = fn() -> Box<dyn Propagator>;

const NAMES: [(&str, Make); 5] = [
    ("tracecontext", || Box::new(TraceContext)),
    ("baggage", || Box::new(Baggage)),
    ("b3", || Box::new(B3::single())),
    ("b3multi", || Box::new(B3::multi())),
    ("jaeger", || Box::new(Jaeger)),
];
