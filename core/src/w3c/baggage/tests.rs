use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn join(headers: &[&str]) -> (BaggageBuf, BaggageReport) {
    BaggageBuf::from_headers(headers.iter().map(|header| header.as_bytes()))
}

fn entries<'a>(baggage: &Baggage<'a>) -> Vec<(&'a str, String, &'a str)> {
    let entry =
        |entry: BaggageEntry<'a>| (entry.key(), entry.value().to_string(), entry.metadata());
    baggage.entries().map(entry).collect()
}

fn report(malformed: usize, dropped: usize) -> BaggageReport {
    BaggageReport { malformed, dropped }
}

#[test]
fn the_example_of_the_definition_has_three_members() {
    let header =
        "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue";
    assert_eq!(header.len(), 86);
    let expected = [
        ("key1", "value1".to_string(), "property1;property2"),
        ("key2", "value2".to_string(), ""),
        ("key3", "value3".to_string(), "propertyKey=propertyValue"),
    ];
    assert_eq!(entries(&Baggage::new(header)), expected);
    let (baggage, skipped) = join(&[header]);
    assert_eq!(entries(&baggage.as_baggage()), expected);
    assert_eq!(skipped, report(0, 0));
}

#[test]
fn the_example_of_three_entries_is_alike_in_all_its_forms() {
    for headers in [
        &["userId=alice,serverNode=DF%2028,isProduction=false"][..],
        &["userId=alice", "serverNode=DF%2028,isProduction=false"],
        &["userId =   alice", "serverNode = DF%2028, isProduction = false"],
    ] {
        let (baggage, skipped) = join(headers);
        assert_eq!(baggage.as_str(), "userId=alice,serverNode=DF%2028,isProduction=false");
        assert_eq!(baggage.get("userId").unwrap(), "alice");
        assert_eq!(baggage.get("serverNode").unwrap(), "DF 28");
        assert_eq!(baggage.get("isProduction").unwrap(), "false");
        assert_eq!((baggage.len(), skipped), (3, report(0, 0)));
    }
}

#[test]
fn white_space_within_the_grammar_is_ignored() {
    let header = "SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t ValueProp \t = \t PropVal";
    let expected = [
        ("SomeKey", "SomeValue".to_string(), "SomeProp"),
        ("SomeKey2", "SomeValue2".to_string(), "ValueProp \t = \t PropVal"),
    ];
    assert_eq!(entries(&Baggage::new(header)), expected);
}

/// WB-4 ([value](https://www.w3.org/TR/baggage/#value)).
#[test]
fn only_the_first_equals_sign_ends_the_key() {
    let baggage = Baggage::new("SomeKey=SomeValue=equals,b==,c=1;p=2=3");
    assert_eq!(baggage.get("SomeKey").unwrap(), "SomeValue=equals");
    assert_eq!(baggage.get("b").unwrap(), "=");
    assert_eq!(baggage.entry("c").unwrap().metadata(), "p=2=3");
}

#[test]
fn values_are_decoded_and_keys_are_not() {
    let baggage = Baggage::new("a%20b=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29");
    let entry = baggage.entry("a%20b").unwrap();
    assert_eq!(entry.value(), "\t \"';=asdf!@#$%^&*()");
    assert!(entry.raw_value().starts_with("%09%20"));
    assert!(baggage.get("a b").is_none());
}

/// WB-3 ([value](https://www.w3.org/TR/baggage/#value)).
#[test]
fn a_value_that_is_not_utf_8_keeps_its_entry() {
    let (baggage, skipped) = join(&["a=%FF%C3%A4,b=2"]);
    assert_eq!(baggage.get("a").unwrap(), "\u{fffd}\u{e4}");
    assert_eq!(baggage.as_str(), "a=%FF%C3%A4,b=2");
    assert_eq!(skipped, report(0, 0));
}

#[test]
fn malformed_members_are_skipped_and_counted() {
    let header = "a=1,nothing,=2,b c=3,d=4 5,e=\"6\",f=\\,g=\u{e4},h=7;\"p\",(i)=8,;p,j=9";
    let baggage = Baggage::new(header);
    let expected = [("a", "1".to_string(), ""), ("j", "9".to_string(), "")];
    assert_eq!(entries(&baggage), expected);
    assert_eq!(baggage.malformed(), 10);
    assert!(baggage.get("d").is_none());
    let (joined, skipped) = join(&[header]);
    assert_eq!((joined.as_str(), skipped), ("a=1,j=9", report(10, 0)));
}

#[test]
fn empty_headers_members_and_values_are_no_mistake() {
    assert_eq!(join(&[]).0, BaggageBuf::new());
    let (baggage, skipped) = join(&["", " ,\t,a=,, b = ;p", ""]);
    assert_eq!((baggage.as_str(), skipped), ("a=,b=;p", report(0, 0)));
    assert_eq!(baggage.get("a").unwrap(), "");
    assert!(Baggage::new(" , ").is_empty() && BaggageBuf::<8>::new().is_empty());
    assert_eq!(join(&["a=1;, b=2 ; ;p; "]).0.as_str(), "a=1,b=2;p");
}

/// BAG-1 ([Conflict resolution](https://opentelemetry.io/docs/specs/otel/baggage/api/#conflict-resolution)).
#[test]
fn the_later_of_two_members_of_one_key_wins() {
    let (baggage, skipped) = join(&["a=1;p,b=2", "a=3"]);
    assert_eq!((baggage.as_str(), skipped), ("a=3,b=2", report(0, 0)));
    assert_eq!(Baggage::new("a=1,b=2,a=3").get("a").unwrap(), "3");
    assert_eq!(Baggage::new("a=1,a=\\").get("a").unwrap(), "1");
}

/// BAG-3 ([Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview)).
#[test]
fn keys_differ_by_letter_case() {
    let (baggage, _) = join(&["a=1,A=2,ab=3"]);
    assert_eq!(baggage.len(), 3);
    assert_eq!(baggage.get("A").unwrap(), "2");
    assert!(baggage.get("aB").is_none() && baggage.get("").is_none());
}

/// WB-6 ([Limits](https://www.w3.org/TR/baggage/#limits)).
#[test]
fn up_to_64_members_survive_and_the_rest_is_counted() {
    let members: Vec<_> = (0..70).map(|i| format!("key{i}=value")).collect();
    let (baggage, skipped) = join(&[&members[..64].join(",")]);
    assert_eq!((baggage.len(), skipped), (64, report(0, 0)));
    let (baggage, skipped) = join(&[&members.join(","), "key0=new"]);
    assert_eq!((baggage.len(), skipped), (64, report(0, 6)));
    assert_eq!(baggage.get("key0").unwrap(), "new");
    assert!(baggage.get("key64").is_none());
}

/// WB-6 ([Limits](https://www.w3.org/TR/baggage/#limits)).
#[test]
fn up_to_8192_bytes_survive_and_members_are_never_cut() {
    let full = format!("a={}", "0123456789".repeat(819));
    assert_eq!(full.len(), 8192);
    let (baggage, skipped) = join(&[&full]);
    assert_eq!((baggage.as_str(), skipped), (full.as_str(), report(0, 0)));
    let (baggage, skipped) = join(&[&format!("{full}b,c=1")]);
    assert_eq!((baggage.as_str(), skipped), ("c=1", report(0, 1)));
    let (baggage, skipped) = BaggageBuf::<12>::from_headers([&b"abc=1,de=22,f=333,g=4"[..]]);
    assert_eq!((baggage.as_str(), skipped), ("abc=1,de=22", report(0, 2)));
}

#[test]
fn an_old_value_does_not_come_back_when_the_new_one_is_too_long() {
    let (baggage, skipped) = BaggageBuf::<8>::from_headers([&b"a=1,b=2,a=3456789"[..]]);
    assert_eq!((baggage.as_str(), skipped), ("b=2", report(0, 1)));
}

/// BAG-3 ([Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview)).
#[test]
fn any_text_is_a_value_and_comes_back_unchanged() {
    let mut baggage: BaggageBuf = BaggageBuf::new();
    baggage.insert("serverNode", "DF 28", "").unwrap();
    baggage.insert("n", "\u{e4},;\\\"%\0=", " ;ttl=30; x;").unwrap();
    assert_eq!(baggage.as_str(), "serverNode=DF%2028,n=%C3%A4%2C%3B%5C%22%25%00=;ttl=30; x");
    assert_eq!(baggage.get("n").unwrap(), "\u{e4},;\\\"%\0=");
    assert_eq!(baggage.entries().last().unwrap().metadata(), "ttl=30; x");
}

/// BAG-4 ([Operations](https://opentelemetry.io/docs/specs/otel/baggage/api/#operations)).
#[test]
fn inserting_replaces_and_removing_closes_the_gap() {
    let mut baggage = join(&["a=1,b=2;p,c=3"]).0;
    baggage.insert("b", "4", "").unwrap();
    assert_eq!(baggage.as_str(), "a=1,c=3,b=4");
    assert!(baggage.remove("c") && !baggage.remove("c"));
    assert_eq!(baggage.as_str(), "a=1,b=4");
    assert!(baggage.remove("a") && baggage.remove("b"));
    assert_eq!(baggage.as_str(), "");
    baggage.insert("d", "5", "").unwrap();
    assert_eq!(baggage.as_str(), "d=5");
}

#[test]
fn only_a_whole_key_is_replaced_or_removed() {
    let mut baggage = join(&["ab=1;a=2,a=3,b=a=4"]).0;
    assert!(baggage.remove("a") && !baggage.remove("a") && !baggage.remove(""));
    assert_eq!(baggage.as_str(), "ab=1;a=2,b=a=4");
    assert!(!baggage.remove("ab=1") && !baggage.remove("2,b"));
}

/// BAG-6 ([Clear baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/#clear-baggage-in-the-context)).
#[test]
fn clearing_leaves_nothing_for_an_untrusted_service() {
    let mut baggage = join(&["a=1,b=2"]).0;
    let kept = baggage.clone();
    baggage.clear();
    assert!(baggage.is_empty() && baggage.get("a").is_none());
    assert_eq!(kept.as_str(), "a=1,b=2");
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut baggage = BaggageBuf::<11>::from_headers([&b"a=1,b=2"[..]]).0;
    for key in ["", "a b", "\u{e4}", "a,b", "a=b", "(a)"] {
        assert_eq!(baggage.insert(key, "1", ""), Err(BaggageError::InvalidKey), "{key:?}");
    }
    for metadata in ["a,b", "\u{e4}", "\n", "\""] {
        assert_eq!(baggage.insert("a", "1", metadata), Err(BaggageError::InvalidMetadata));
    }
    assert_eq!(baggage.insert("c", "33", ""), Err(BaggageError::TooLong));
    assert_eq!(baggage.insert("b", "\u{e4}", ""), Err(BaggageError::TooLong));
    assert_eq!(baggage.as_str(), "a=1,b=2");
    baggage.insert("b", "123456", "").unwrap_err();
    baggage.insert("b", "12345", "").unwrap();
    assert_eq!(baggage.as_str(), "a=1,b=12345");
    assert!(baggage.remove("a"));
    baggage.insert("b", "123456789", "").unwrap();
    assert_eq!(baggage.as_str(), "b=123456789");
}

#[test]
fn the_65th_member_is_refused_but_replacing_is_not() {
    let mut baggage: BaggageBuf = BaggageBuf::new();
    for i in 0..64 {
        baggage.insert(&format!("k{i}"), "1", "").unwrap();
    }
    assert_eq!(baggage.insert("k64", "1", ""), Err(BaggageError::TooManyMembers));
    baggage.insert("k0", "2", "").unwrap();
    assert_eq!(baggage.len(), 64);
}

#[test]
fn errors_say_what_is_wrong_in_lower_case() {
    let error: &dyn core::error::Error = &BaggageError::InvalidKey;
    assert_eq!(error.to_string(), "baggage key is not a token");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_yield_what_reads_back_alike(
        headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
    ) {
        let (baggage, _) = BaggageBuf::<64>::from_headers(headers.iter().map(Vec::as_slice));
        let again = BaggageBuf::<64>::from_headers([baggage.as_str().as_bytes()]);
        prop_assert_eq!(again, (baggage, BaggageReport::default()));
    }

    #[test]
    fn arbitrary_text_never_panics_and_every_member_is_accounted_for(
        header in "[ab=,; %\\\\0\u{e4}]{0,80}", key in "[ab=,]{0,2}",
    ) {
        let borrowed = Baggage::new(&header);
        let found = borrowed.entries().count() + borrowed.malformed();
        prop_assert_eq!(found, members(header.as_bytes()).count());
        let (mut baggage, skipped) = BaggageBuf::<16>::from_headers([header.as_bytes()]);
        prop_assert_eq!(skipped.malformed, borrowed.malformed());
        let _ = baggage.insert(&key, &header, &header);
        baggage.remove(&key);
        prop_assert!(baggage.get(&key).is_none());
    }

    #[test]
    fn whatever_is_inserted_is_read_back(
        pairs in prop::collection::vec(("[a-c!#~]{1,2}", any::<String>(), "[a-z=]{0,4}"), 1..8),
    ) {
        let mut baggage: BaggageBuf = BaggageBuf::new();
        for (key, value, metadata) in &pairs {
            baggage.insert(key, value, metadata).unwrap();
        }
        let (read, skipped) = BaggageBuf::<8192>::from_headers([baggage.as_str().as_bytes()]);
        prop_assert_eq!(skipped, BaggageReport::default());
        for (key, ..) in &pairs {
            let (_, value, metadata) = pairs.iter().rfind(|pair| pair.0 == *key).unwrap();
            let entry = read.as_baggage().entry(key).unwrap();
            prop_assert_eq!(entry.value(), value.as_str());
            prop_assert_eq!(entry.metadata(), metadata.as_str());
        }
    }
}
