//! Instrumentation scopes, which live for ever here: a span's frame names its scope by
//! reference.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use opentelemetry::InstrumentationScope;
use throughline_core::{Callsite, Scope};

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
    let ours = Scope::new(text(scope.name()), text(scope.version().unwrap_or_default()));
    let ours = Box::leak(Box::new(ours));
    let callsite: &'static Callsite = Box::leak(Box::new(Callsite::new("", ours)));
    known.insert(scope.clone(), callsite);
    callsite
}

type Known = Mutex<HashMap<InstrumentationScope, &'static Callsite>>;

/// How many scopes are told apart.
const MOST: usize = 1_024;
/// The name of all others.
const OTHERS: &str = "opentelemetry (too many scopes)";
