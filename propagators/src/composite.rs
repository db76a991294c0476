//! Several propagators as one.

use throughline_core::w3c::Setter;
use throughline_runtime::Context;

use crate::propagator::{AnyGetter, Propagator};

/// Several propagators as one; none of them does nothing.
///
/// They run in the order of the list, in both directions: of two that find a span
/// the later one counts.
/// ([Composite propagator](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#composite-propagator))
#[derive(Debug, Default)]
pub struct Composite {
    members: Vec<Box<dyn Propagator>>,
    fields: Vec<&'static str>,
}

impl Composite {
    /// No propagator: nothing is read or written.
    pub const fn none() -> Self {
        Composite { members: Vec::new(), fields: Vec::new() }
    }

    /// These, in this order.
    pub fn new(members: impl IntoIterator<Item = Box<dyn Propagator>>) -> Self {
        let members: Vec<_> = members.into_iter().collect();
        let mut fields = Vec::new();
        for field in members.iter().flat_map(|member| member.fields()) {
            if !fields.contains(field) {
                fields.push(*field);
            }
        }
        Composite { members, fields }
    }
}

impl Propagator for Composite {
    fn extract(&self, context: Context, carrier: &dyn AnyGetter) -> Context {
        self.members.iter().fold(context, |context, member| member.extract(context, carrier))
    }

    fn inject(&self, context: &Context, carrier: &mut dyn Setter) {
        self.members.iter().for_each(|member| member.inject(context, carrier));
    }

    fn fields(&self) -> &[&'static str] {
        &self.fields
    }
}
