//! What a pipeline is made with.

pub(crate) mod component;
pub(crate) mod config;
pub(crate) mod detector;
pub(crate) mod pipeline;
pub(crate) mod protobuf;
pub(crate) mod resource;
