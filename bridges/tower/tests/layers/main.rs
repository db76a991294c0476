//! The layers over services that do what a test says.

mod client;
mod grpc;
mod server;
mod stage;
