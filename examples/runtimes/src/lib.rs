//! What the example services share: a choice of runtimes, and a server on the
//! sockets of each.

mod on;
mod runtime;
mod runtimes;
mod serve;

pub use on::{On, Program};
pub use runtime::ServiceRuntime;
pub use serve::serve;
