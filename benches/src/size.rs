//! How large the things are that programs keep.

use throughline::{InSpan, Span};

use crate::future::Never;

/// A size in bytes and its name.
pub(crate) const SIZES: [(&str, usize); 2] =
    [("span handle", size_of::<Span>()), ("in_span adds", size_of::<InSpan<Never>>())];
