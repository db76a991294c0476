//! Samplers and conditions of the program, kept apart from it, and tail sampling.

pub(crate) mod guarded_predicate;
pub(crate) mod guarded_sampler;
pub(crate) mod tail;
