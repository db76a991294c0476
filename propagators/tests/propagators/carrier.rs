//! A carrier for tests: a list, names in any letter case.

use throughline_core::w3c::{Getter, Setter};
use throughline_core::{Carry, SpanContext, SpanId, TraceFlags, TraceId};
use throughline_propagation::Propagator;
use throughline_runtime::{Carried, Context};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List(pub(crate) Vec<(String, String)>);

impl List {
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        List(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Getter for List {
    fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let is_named = move |key: &str| key.eq_ignore_ascii_case(name);
        self.0.iter().filter(move |(key, _)| is_named(key)).map(|(_, value)| value.as_bytes())
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Setter for List {
    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(key, _)| key != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

pub(crate) fn extracted(by: &dyn Propagator, pairs: &[(&str, &str)]) -> Context {
    by.extract(Context::empty(), &List::of(pairs))
}

pub(crate) fn injected(by: &dyn Propagator, context: &Context) -> List {
    let mut list = List::default();
    by.inject(context, &mut list);
    list
}

/// What goes on of what came in.
pub(crate) fn forwarded(by: &dyn Propagator, pairs: &[(&str, &str)]) -> List {
    injected(by, &extracted(by, pairs))
}

pub(crate) fn local(flags: TraceFlags) -> Context {
    let trace = TraceId::from_hex(TRACE.as_bytes()).expect("32 digits");
    let span = SpanId::from_hex(SPAN.as_bytes()).expect("16 digits");
    Context::remote(SpanContext::new(trace, span, flags), Carried::default())
}

pub(crate) fn baggage(context: &Context) -> String {
    context.carried().baggage().as_str().to_owned()
}

pub(crate) const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
pub(crate) const SPAN: &str = "e457b5a2e4d86bd1";
pub(crate) const PARENT: &str = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01";
