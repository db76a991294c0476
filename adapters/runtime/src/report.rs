//! What a pipeline says about itself and about what is under way in it.

pub(crate) mod diagnostics;
pub(crate) mod health;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod notice;
pub(crate) mod observe;
pub(crate) mod presumed;
pub(crate) mod watch;
