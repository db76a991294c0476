//! Instrumentation scopes, which live for ever here: a span's frame names its scope by
//! reference.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use opentelemetry::{InstrumentationScope, KeyValue};
use throughline_core::{Callsite, Scope};

use crate::values;

/// The place where the spans of a scope begin; they have names of their own. Each
/// distinct scope is kept once.
///
/// Tracers are made once per library, so scopes are few. A program that makes up names
/// for them, one per request say, would fill the memory: beyond [`MOST`], spans are of
/// one scope, [`OTHERS`].
pub(crate) fn callsite(scope: &InstrumentationScope) -> &'static Callsite {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(callsite) = known.get(scope) {
        return callsite;
    }
    if known.len() >= MOST {
        static SCOPE: Scope = Scope::new(OTHERS, "");
        static CALLSITE: Callsite = Callsite::new("", &SCOPE);
        return &CALLSITE;
    }
    let text = |text: &str| &*text.to_owned().leak();
    let ours = Scope::new(text(scope.name()), text(scope.version().unwrap_or_default()))
        .with_schema_url(text(scope.schema_url().unwrap_or_default()))
        .with_attributes(attributes(scope));
    let ours = Box::leak(Box::new(ours));
    let callsite: &'static Callsite = Box::leak(Box::new(Callsite::new("", ours)));
    known.insert(scope.clone(), callsite);
    callsite
}

fn attributes(scope: &InstrumentationScope) -> &'static [u8] {
    let theirs: Vec<KeyValue> = scope.attributes().cloned().collect();
    values::with_pairs(&theirs, |pairs| {
        let mut encoded = vec![0; Scope::encode_attributes(pairs, &mut [])];
        Scope::encode_attributes(pairs, &mut encoded);
        &*encoded.leak()
    })
}

type Known = Mutex<HashMap<InstrumentationScope, &'static Callsite>>;

/// How many scopes are told apart.
const MOST: usize = 1_024;
/// The name of all others.
const OTHERS: &str = "opentelemetry (too many scopes)";

#[cfg(test)]
mod tests {
    use throughline_core::ValueView;

    use super::*;

    /// PV-2 and PV-6 of [Get a tracer](https://opentelemetry.io/docs/specs/otel/trace/api/#get-a-tracer).
    #[test]
    fn a_scope_is_kept_whole_and_once_and_there_is_a_limit() {
        let theirs = InstrumentationScope::builder("library")
            .with_version("1.2.3")
            .with_schema_url("https://opentelemetry.io/schemas/1.44.0")
            .with_attributes([KeyValue::new("shard", 7), KeyValue::new("ünï", "cödé")])
            .build();
        let ours = callsite(&theirs).scope();
        assert_eq!((ours.name(), ours.version()), ("library", "1.2.3"));
        assert_eq!(ours.schema_url(), "https://opentelemetry.io/schemas/1.44.0");
        let attributes: Vec<_> = ours.attributes().collect();
        assert_eq!(attributes, [("shard", ValueView::I64(7)), ("ünï", ValueView::Str("cödé"))]);
        assert!(core::ptr::eq(callsite(&theirs.clone()), callsite(&theirs)));

        let named = |i: usize| InstrumentationScope::builder(format!("made up {i}")).build();
        let scopes: Vec<_> = (0..2 * MOST).map(|i| callsite(&named(i)).scope()).collect();
        assert_eq!(scopes[0].name(), "made up 0");
        assert_eq!(scopes[2 * MOST - 1].name(), OTHERS);
        assert_eq!(callsite(&theirs).scope().name(), "library");
    }
}
