//! What a log line says.

use std::time::SystemTime;

use log::Level;
use throughline_core::{Attributes, SpanContext};

/// What a log line says, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// When it happened.
    pub time: SystemTime,
    /// How much it matters.
    pub level: Level,
    /// Whose it is: the path of a module, as a rule.
    pub target: &'a str,
    /// The text.
    pub message: &'a str,
    /// What else is known. Of several of one key the last one is written.
    pub fields: &'a Attributes<'a>,
    /// The span in which it happened, invalid if there is none.
    pub span: SpanContext,
}

impl<'a> Line<'a> {
    /// The fields that are written.
    pub(crate) fn fields(
        &self,
    ) -> impl Iterator<Item = &'a (&'a str, throughline_core::Value<'a>)> {
        let fields = self.fields;
        fields.iter().enumerate().filter_map(move |(index, field)| {
            let later = fields.get(index + 1..).unwrap_or_default();
            later.iter().all(|(key, _)| *key != field.0).then_some(field)
        })
    }
}
