//! Baggage, in both directions.

use opentelemetry::baggage::{Baggage as Theirs, KeyValueMetadata};
use throughline_runtime::Baggage;

/// Their form of baggage: values decoded, metadata as it is. It takes no names but tokens,
/// so others stay where they are.
pub(crate) fn to_theirs(ours: &Baggage) -> Theirs {
    let entries = ours.entries().map(|(name, value, metadata)| {
        KeyValueMetadata::new(name.to_owned(), value.into_owned(), metadata)
    });
    entries.collect()
}

/// Our form of baggage. What is beyond 64 entries or 8,192 bytes is left out, and so is
/// metadata that cannot be sent; without it, an entry is still worth something.
pub(crate) fn to_ours(theirs: &Theirs) -> Baggage {
    let mut ours = Baggage::default();
    ours.extend(
        theirs
            .iter()
            .map(|(name, (value, metadata))| (name.as_str(), value.as_str(), metadata.as_str())),
    );
    ours
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;

    /// BAG-1, BAG-3 and BAG-4 of [Baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/).
    #[test]
    fn entries_keep_their_values_and_metadata_there_and_back() {
        let mut theirs = Theirs::new();
        theirs.insert("Tenant", "blue, ünd=grün;");
        theirs.insert_with_metadata("tenant", "", "ttl=3;secret");
        let ours = to_ours(&theirs);
        assert_eq!(ours.get("Tenant").expect("kept"), "blue, ünd=grün;");
        let back = to_theirs(&ours);
        assert_eq!(back.len(), 2);
        assert_eq!(back.get("Tenant").expect("kept").as_str(), "blue, ünd=grün;");
        let (value, metadata) = back.get_with_metadata("tenant").expect("kept");
        assert_eq!((value.as_str(), metadata.as_str()), ("", "ttl=3;secret"));
    }

    #[test]
    fn metadata_that_cannot_be_sent_and_what_is_too_long_are_left_out() {
        let mut theirs = Theirs::new();
        theirs.insert_with_metadata("a", "1", "schlüssel");
        theirs.extend_to_the_limit();
        let ours = to_ours(&theirs);
        assert_eq!(ours.entries().collect::<Vec<_>>(), [("a", "1".into(), "")]);
    }

    trait ExtendToTheLimit {
        fn extend_to_the_limit(&mut self);
    }

    impl ExtendToTheLimit for Theirs {
        fn extend_to_the_limit(&mut self) {
            // Every character takes three bytes of a header.
            let pair = KeyValue::new("b", "ü".repeat(4_000));
            self.insert(pair.key, pair.value);
        }
    }
}
