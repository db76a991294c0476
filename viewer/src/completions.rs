//! Traces as they become complete.

use std::collections::HashSet;
use std::sync::Arc;

use throughline_console::{FinishedSpan, Trace};

use crate::Store;

/// The traces of a store, each when it is complete: its root came, and nothing
/// else for [`ViewerConfig::settle`](crate::ViewerConfig::settle).
///
/// The next one is waited for, so this is for a thread that may block. It ends
/// when the viewer shuts down, after giving out what was not complete yet. Two
/// of them share the work: each trace goes to one. Nobody is waited for: traces
/// evicted before they are asked for are not given out, only counted.
#[derive(Debug)]
pub struct Completions {
    store: Arc<Store>,
}

impl Completions {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

impl Iterator for Completions {
    type Item = Completed;

    fn next(&mut self) -> Option<Completed> {
        self.store.next_completed()
    }
}

/// A trace that is complete, or was once and has grown.
#[derive(Clone, Debug)]
pub struct Completed {
    trace: Trace,
    late: Option<HashSet<[u8; 8]>>,
}

impl Completed {
    pub(crate) fn new(trace: Trace, late: Option<HashSet<[u8; 8]>>) -> Self {
        Self { trace, late }
    }

    /// The whole trace, as it is now.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whether it was given out before and spans came after that.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.late.is_some()
    }

    /// The spans that were not given out before: all, the first time.
    pub fn new_spans(&self) -> impl Iterator<Item = &FinishedSpan> + '_ {
        let is_new = |span: &&FinishedSpan| {
            let late = self.late.as_ref();
            late.is_none_or(|late| late.contains(&span.span_id))
        };
        self.trace.spans().iter().filter(is_new)
    }
}
