//! What the example services share: a choice of runtimes, and a server on the
//! sockets of each.

mod runtime;
mod runtimes;
mod serve;

pub use runtime::ServiceRuntime;
pub use serve::serve;
