//! Which resource detectors run, and running them.

use core::panic::AssertUnwindSafe;

use throughline_runtime::{DetectError, Detector, Diagnostic, Env, Origin, Resource};

use crate::setup::Builder;

/// The variable that names the detectors; ours, as the specification has none that
/// is stable.
const VARIABLE: &str = "THROUGHLINE_RESOURCE_DETECTORS";

/// Takes the detectors that the variable names instead of those of the code:
/// `all`, `none`, or names with commas between.
pub(crate) fn from_env(env: &mut Env, builder: &mut Builder) {
    let Some(text) = env.text(VARIABLE) else { return };
    let (mut chosen, mut unknown): (Vec<&'static dyn Detector>, _) = (Vec::new(), Vec::new());
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name.eq_ignore_ascii_case("none") {
            chosen.clear();
        } else if name.eq_ignore_ascii_case("all") && !KNOWN.is_empty() {
            chosen = KNOWN.to_vec();
        } else if let Some(known) = KNOWN.iter().find(|d| d.name().eq_ignore_ascii_case(name)) {
            chosen.push(*known);
        } else if KNOWN.is_empty() {
            let problem = "needs the feature `detectors` of throughline, ignored";
            let acts = names(&builder.detectors);
            env.warn(VARIABLE, &text, &format!("{problem}; {acts} acts"));
            return;
        } else {
            unknown.push(name);
        }
    }
    for name in unknown {
        let (known, acts) = (names(KNOWN).replace(',', ", "), names(&chosen));
        let problem = format!("has `{name}`, which is none of all, none, {known}");
        env.warn(VARIABLE, &text, &format!("{problem}, ignored; {acts} acts"));
    }
    builder.detectors = chosen;
}

/// The names of detectors with commas between them, or `none`.
fn names(detectors: &[&dyn Detector]) -> String {
    match detectors {
        [] => "none".to_owned(),
        some => some.iter().map(|detector| detector.name()).collect::<Vec<_>>().join(","),
    }
}

#[cfg(feature = "detectors")]
const KNOWN: &[&dyn Detector] = &throughline_detectors::ALL;
#[cfg(not(feature = "detectors"))]
const KNOWN: &[&dyn Detector] = &[];

/// Runs the detectors. What a later one finds wins over an earlier one.
pub(crate) fn run(builder: &mut Builder) {
    let mut found = Resource::empty();
    for detector in core::mem::take(&mut builder.detectors) {
        let name = detector.name();
        // A detector is code of others.
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| detector.detect()));
        let problem = match result {
            Ok(Ok(resource)) => {
                for (key, _) in resource.attributes() {
                    let setting = format!("resource.{key}");
                    if builder.origins.of(&setting) == Origin::Default {
                        builder.origins.note(&setting, Origin::Detector(name));
                    }
                }
                found = found.merge(&resource);
                continue;
            }
            Ok(Err(error)) => DetectError::to_string(&error),
            Err(_) => "it panicked".to_owned(),
        };
        builder.problems.push(Diagnostic::Detector { name, problem });
    }
    builder.detected = core::mem::take(&mut builder.detected).merge(&found);
}
