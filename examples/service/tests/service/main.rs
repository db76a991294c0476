//! The service as its users see it: a process with a command line, and what it says.

mod bad_values;
mod ending;
mod environment;
mod flood;
mod head;
mod process;
mod tail;
