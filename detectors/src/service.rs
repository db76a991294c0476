//! Which instance of the service this is.

use core::hash::{BuildHasher, Hasher};
use std::collections::hash_map::RandomState;
use std::sync::OnceLock;

use throughline_runtime::{DetectError, Detector, Resource};

use crate::SCHEMA_URL;

/// `service.instance.id`: a random UUID, made once per process, so that two
/// instances of a service on one host can be told apart.
/// ([Service](https://opentelemetry.io/docs/specs/semconv/resource/service/))
#[derive(Clone, Copy, Debug)]
pub struct Service;

impl Detector for Service {
    fn name(&self) -> &'static str {
        "service"
    }

    fn detect(&self) -> Result<Resource, DetectError> {
        static ID: OnceLock<String> = OnceLock::new();
        let id = ID.get_or_init(|| uuid(random(), random()));
        Ok(Resource::empty().with_schema_url(SCHEMA_URL).with("service.instance.id", id))
    }
}

/// A UUID of version 4 from random bits.
/// ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-4))
fn uuid(high: u64, low: u64) -> String {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff,
    )
}

/// 64 bits from the operating system's source of randomness, which seeds the keys
/// of each `RandomState`.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RES-10
    /// ([service.instance.id](https://opentelemetry.io/docs/specs/semconv/resource/service/)).
    #[test]
    fn the_instance_is_a_random_uuid_that_stays_the_same_in_the_process() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(uuid(random(), random()), uuid(random(), random()));
        let detect = || Service.detect().expect("it reads nothing");
        assert_eq!(detect(), detect());
        assert_eq!(detect().get("service.instance.id").map(str::len), Some(36));
    }
}
