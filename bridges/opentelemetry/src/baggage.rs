//! Baggage, in both directions.

use opentelemetry::baggage::{Baggage, KeyValueMetadata};
use throughline_core::w3c::{self, BaggageBuf};

/// Their form of baggage: values decoded, metadata as it is.
pub(crate) fn to_theirs(ours: w3c::Baggage<'_>) -> Baggage {
    let entries = ours.entries().map(|entry| {
        let (key, value) = (entry.key().to_owned(), entry.value().to_string());
        KeyValueMetadata::new(key, value, entry.metadata())
    });
    entries.collect()
}

/// Our form of baggage. What cannot be sent in a header (keys that are no tokens,
/// metadata that is not ASCII, what is beyond 64 entries or 8,192 bytes) is left out.
pub(crate) fn to_ours(theirs: &Baggage) -> BaggageBuf {
    let mut ours = BaggageBuf::new();
    for (key, (value, metadata)) in theirs {
        let (value, metadata) = (value.as_str(), metadata.as_str());
        // Without its metadata, an entry is still worth something.
        if ours.insert(key.as_str(), value, metadata).is_err() {
            let _ = ours.insert(key.as_str(), value, "");
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;

    /// BAG-1, BAG-3 and BAG-4 of [Baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/).
    #[test]
    fn entries_keep_their_values_and_metadata_there_and_back() {
        let mut theirs = Baggage::new();
        theirs.insert("Tenant", "blue, ünd=grün;");
        theirs.insert_with_metadata("tenant", "", "ttl=3;secret");
        let ours = to_ours(&theirs);
        assert_eq!(ours.get("Tenant").expect("kept").to_string(), "blue, ünd=grün;");
        let back = to_theirs(ours.as_baggage());
        assert_eq!(back.len(), 2);
        assert_eq!(back.get("Tenant").expect("kept").as_str(), "blue, ünd=grün;");
        let (value, metadata) = back.get_with_metadata("tenant").expect("kept");
        assert_eq!((value.as_str(), metadata.as_str()), ("", "ttl=3;secret"));
    }

    #[test]
    fn what_cannot_be_sent_is_left_out() {
        let mut theirs = Baggage::new();
        theirs.insert_with_metadata("a", "1", "schlüssel");
        theirs.extend_to_the_limit();
        let ours = to_ours(&theirs);
        assert_eq!(ours.entries().find(|entry| entry.key() == "a").map(|e| e.metadata()), Some(""));
        assert!(ours.as_str().len() <= 8_192);
    }

    trait ExtendToTheLimit {
        fn extend_to_the_limit(&mut self);
    }

    impl ExtendToTheLimit for Baggage {
        fn extend_to_the_limit(&mut self) {
            // Every character takes three bytes of a header.
            let pair = KeyValue::new("b", "ü".repeat(4_000));
            self.insert(pair.key, pair.value);
        }
    }
}
