//! `OTEL_PROPAGATORS`.

use throughline_runtime::Env;

use crate::{B3, Baggage, Composite, Jaeger, Propagator, TraceContext};

/// The propagators that `OTEL_PROPAGATORS` lists, each once, in any letter case:
/// `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none` alone.
///
/// `None` where it is unset, or names nothing that is known. What is unknown is a
/// warning, and passed over.
/// ([General configuration](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration))
pub fn from_env(env: &mut Env) -> Option<Composite> {
    let text = env.text(VARIABLE)?;
    let (mut known, mut names_none) = (Vec::new(), false);
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("none") {
            names_none = true;
            continue;
        }
        match NAMES.iter().position(|(name, _)| name.eq_ignore_ascii_case(word)) {
            Some(at) if known.contains(&at) => {}
            Some(at) => known.push(at),
            None => {
                let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
                let problem = format!("`{word}` is none of {}, none; left out", names.join(", "));
                env.warn(VARIABLE, &text, &problem);
            }
        }
    }
    match (known.is_empty(), names_none) {
        (true, true) => return Some(Composite::none()),
        (true, false) => return None,
        (false, true) => env.warn(VARIABLE, &text, "`none` beside others is left out"),
        (false, false) => {}
    }
    Some(Composite::new(known.into_iter().map(|at| NAMES[at].1())))
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
