//! The reader of finished spans.

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use throughline_core::{ResourceView, SpanView};

use crate::wire::{viewed, viewed_pairs};

/// Any bytes can be read to their end. Of those that are a message with each
/// field at most once, the reader says what the official one says.
pub fn span_view(data: &[u8]) {
    let view = SpanView::of_message(data);
    let span = viewed(&view);
    let _ = format!("{view:?} {:?}", view.span_context());
    assert_eq!(view.attribute("\u{0}").is_some(), has_key(&span));
    let _ = viewed_pairs(ResourceView::new(data).attributes());
    // What a view says can be written and is read in the same way.
    let written = span.encode_to_vec();
    let again = viewed(&SpanView::of_message(&written));
    assert_eq!(again.encode_to_vec(), written);
    assert_eq!(Span::decode(&*written).map(|span| span.encode_to_vec()).as_deref(), Ok(&*written));
}

fn has_key(span: &Span) -> bool {
    span.attributes.iter().any(|attribute| attribute.key == "\u{0}")
}
