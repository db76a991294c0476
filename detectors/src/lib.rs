//! Finds out where a program runs, as attributes of its resource.
//!
//! ```text
//!   throughline: builder().detect(ALL), THROUGHLINE_RESOURCE_DETECTORS
//!        │  each once, when the pipeline is set up
//!        ▼
//!   Service, Process, Host, Os, Container ──▶ Resource (throughline-runtime)
//! ```
//!
//! Each reads a few small files or calls of the standard library, and nothing over
//! a network. What is not there is left out; what is there and cannot be read is an
//! error, which does not keep the program from starting. Names are those of the
//! [semantic conventions](https://opentelemetry.io/docs/specs/semconv/resource/).
//!
//! ```
//! use throughline_detectors::{ALL, PROCESS};
//! use throughline_runtime::Detector;
//!
//! let process = PROCESS.detect()?;
//! assert_eq!(process.get_number("process.pid"), Some(std::process::id().into()));
//! assert_eq!(ALL.map(Detector::name), ["service", "process", "host", "os", "container"]);
//! # Ok::<(), throughline_runtime::DetectError>(())
//! ```

#![forbid(unsafe_code)]

mod container;
mod file;
mod host;
mod os;
mod process;
mod service;

pub use container::Container;
pub use host::Host;
pub use os::Os;
pub use process::Process;
pub use service::Service;

use throughline_runtime::Detector;

/// All of them, in the order in which they are to be asked.
pub const ALL: [&dyn Detector; 5] = [SERVICE, PROCESS, HOST, OS, CONTAINER];

/// Which instance of the service this is; see [`Service`].
pub const SERVICE: &dyn Detector = &Service;
/// The process; see [`Process`].
pub const PROCESS: &dyn Detector = &Process;
/// The machine; see [`Host`].
pub const HOST: &dyn Detector = &Host;
/// The operating system; see [`Os`].
pub const OS: &dyn Detector = &Os;
/// The container around the process; see [`Container`].
pub const CONTAINER: &dyn Detector = &Container;

/// The conventions that the names are from.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";
