//! Whether a sampler took a trace id for random of which nobody says so: told once in
//! the life of the process.

use crate::report::notice::Notice;

/// A sampler did.
pub(crate) fn note() {
    STATE.note();
}

/// Whether it is to be told now.
pub(crate) fn take() -> bool {
    STATE.take()
}

static STATE: Notice = Notice::new();
