use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn join(headers: &[&str]) -> Result<TraceStateBuf, TraceStateError> {
    let state = TraceStateBuf::from_headers(headers.iter().map(|header| header.as_bytes()));
    // One header alone is judged alike where it is borrowed.
    if let [header] = headers {
        assert_eq!(TraceState::parse(header).err(), state.as_ref().err().copied());
    }
    state
}

fn text(headers: &[&str]) -> String {
    join(headers).unwrap().to_string()
}

fn numbered(count: usize) -> String {
    let members: Vec<_> = (1..=count).map(|i| format!("bar{i:02}={i:02}")).collect();
    members.join(",")
}

#[test]
fn members_are_inherited_in_order() {
    let state = join(&["foo=1,bar=2"]).unwrap();
    assert_eq!(state.get("foo"), Some("1"));
    assert_eq!(state.get("bar"), Some("2"));
    assert_eq!(state.get("ba"), None);
    assert!(state.members().eq([("foo", "1"), ("bar", "2")]));
}

/// TP-9 ([Combining](https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values)).
#[test]
fn several_headers_become_one_in_order() {
    let headers = ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"];
    assert_eq!(text(&headers), "foo=1,bar=2,rojo=1,congo=2,baz=3");
}

#[test]
fn empty_headers_and_members_are_accepted_and_not_sent() {
    assert_eq!(text(&[]), "");
    assert_eq!(text(&[""]), "");
    assert_eq!(text(&[" \t", ",,"]), "");
    assert_eq!(text(&["foo=1", ""]), "foo=1");
    assert_eq!(text(&["", "foo=1"]), "foo=1");
    assert_eq!(text(&["foo=1,"]), "foo=1");
    assert_eq!(text(&[",foo=1, ,\t,bar=2 ,"]), "foo=1,bar=2");
    assert!(TraceState::parse(" ,\t, ").unwrap().is_empty());
    assert!(TraceState::EMPTY.is_empty() && TraceStateBuf::new().is_empty());
}

#[test]
fn spaces_and_tabs_around_members_are_not_part_of_them() {
    for header in [
        "foo=1 \t , \t bar=2, \t baz=3",
        "foo=1\t \t,\t \tbar=2,\t \tbaz=3",
        " foo=1,bar=2,baz=3",
        "\tfoo=1,bar=2,baz=3",
        "foo=1,bar=2,baz=3 ",
        "foo=1,bar=2,baz=3\t",
        "\t foo=1,bar=2,baz=3 \t",
    ] {
        assert_eq!(text(&[header]), "foo=1,bar=2,baz=3");
        let borrowed = TraceState::parse(header).unwrap();
        assert!(borrowed.members().eq([("foo", "1"), ("bar", "2"), ("baz", "3")]));
        assert_eq!(borrowed.as_str(), header);
    }
}

#[test]
fn leading_spaces_belong_to_the_value_and_trailing_ones_do_not() {
    assert_eq!(join(&["foo=  1  ,bar=2"]).unwrap().get("foo"), Some("  1"));
    assert_eq!(join(&["foo= "]), Err(TraceStateError::InvalidValue));
    assert_eq!(join(&["foo=\t1"]), Err(TraceStateError::InvalidValue));
    assert_eq!(join(&["foo=1\t1"]), Err(TraceStateError::InvalidValue));
}

#[test]
fn every_allowed_character_is_inherited() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    for key in [key.to_string(), format!("{key}@a-z0-9_-*/")] {
        let state = join(&[&format!("{key}={value}")]).unwrap();
        assert_eq!(state.get(&key), Some(value.as_str()));
    }
}

#[test]
fn any_number_of_at_signs_after_the_first_character_is_fine() {
    for key in ["foo@", "foo@@bar", "foo@bar@baz", "0@", "1abc"] {
        let state = join(&[&format!("{key}=1,bar=2")]).unwrap();
        assert_eq!((state.get(key), state.get("bar")), (Some("1"), Some("2")));
    }
}

#[test]
fn a_malformed_key_discards_the_list() {
    for key in ["foo ", "FOO", "foo.bar", "@foo", "_foo", "-foo", "", "f\u{e9}", "f\0", "f\t"] {
        let error = join(&[&format!("{key}=1,bar=2")]).unwrap_err();
        assert_eq!(error, TraceStateError::InvalidKey, "{key:?}");
        assert!(join(&["bar=2", &format!("{key}=1")]).is_err());
    }
    assert_eq!(join(&["foo"]), Err(TraceStateError::MissingValue));
    assert_eq!(join(&["bar=2,foo "]), Err(TraceStateError::MissingValue));
}

#[test]
fn a_malformed_value_discards_the_list() {
    for member in ["foo=bar=baz", "foo=", "foo==", "foo=\u{e9}", "foo=\x7f", "foo=1\n"] {
        let error = join(&[&format!("{member},bar=3")]).unwrap_err();
        assert_eq!(error, TraceStateError::InvalidValue, "{member:?}");
    }
    let bytes: [&[u8]; 1] = [b"foo=\xff,bar=3"];
    assert_eq!(TraceStateBuf::from_headers(bytes), Err(TraceStateError::InvalidValue));
}

#[test]
fn a_key_has_at_most_256_characters_however_they_are_divided() {
    let keys = ["z".repeat(256), "t".repeat(241) + "@" + &"v".repeat(14)];
    let more = ["t".repeat(242) + "@v", "t@".to_string() + &"v".repeat(15)];
    for key in keys.iter().chain(&more) {
        let state = join(&["foo=1", &format!("{key}=1")]).unwrap();
        assert_eq!((state.get("foo"), state.get(key)), (Some("1"), Some("1")));
    }
    let long = format!("{}=1", "z".repeat(257));
    assert_eq!(join(&["foo=1", &long]), Err(TraceStateError::InvalidKey));
}

#[test]
fn a_value_has_at_most_256_characters() {
    let value = "x".repeat(256);
    assert_eq!(join(&[&format!("foo={value}")]).unwrap().get("foo"), Some(value.as_str()));
    assert_eq!(join(&[&format!("foo={value}x")]), Err(TraceStateError::InvalidValue));
}

#[test]
fn there_are_at_most_32_members() {
    assert_eq!(text(&[&numbered(32)]), numbered(32));
    assert_eq!(text(&[&(numbered(32) + ", ,")]), numbered(32));
    assert_eq!(join(&[&numbered(33)]), Err(TraceStateError::TooManyMembers));
    assert_eq!(join(&[&numbered(32), "foo=1"]), Err(TraceStateError::TooManyMembers));
    assert_eq!(join(&[&numbered(32), "bar01=1"]), Err(TraceStateError::TooManyMembers));
}

#[test]
fn of_a_key_received_twice_the_left_most_is_kept() {
    assert_eq!(text(&["foo=1,foo=1"]), "foo=1");
    assert_eq!(text(&["foo=1,bar=3,foo=2"]), "foo=1,bar=3");
    assert_eq!(text(&["foo=1", "foo=2"]), "foo=1");
    let borrowed = TraceState::parse("foo=1,bar=3,foo=2").unwrap();
    assert_eq!(borrowed.get("foo"), Some("1"));
    assert_eq!(TraceStateBuf::from(borrowed).as_str(), "foo=1,bar=3");
}

#[test]
fn up_to_513_characters_survive() {
    let full = format!("a={},b={}", "1".repeat(256), "2".repeat(252));
    assert_eq!(full.len(), 513);
    assert_eq!(text(&[&full]), full);
    assert_eq!(text(&[&format!("{full}2")]), format!("a={}", "1".repeat(256)));
}

#[test]
fn members_longer_than_128_go_first_and_then_the_right_most() {
    let long = format!("long={}", "x".repeat(124));
    let edge = format!("edge={}", "x".repeat(123));
    assert_eq!((long.len(), edge.len()), (129, 128));
    let small = format!("c={}", "y".repeat(98));
    let tail = format!("d={}", "z".repeat(120));
    let headers = format!("{long},{edge},{small},{tail},e={}", "v".repeat(60));
    let kept = format!("{edge},{small},{tail},e={}", "v".repeat(60));
    assert_eq!(text(&[&headers]), kept);

    let pieces: Vec<_> = (0..6).map(|i| format!("k{i}={}", "x".repeat(97))).collect();
    assert_eq!(text(&[&pieces.join(",")]), pieces[..5].join(","));
}

/// TS-4, TS-5 ([Key, value](https://www.w3.org/TR/trace-context-2/#key)).
#[test]
fn the_longest_member_has_room_and_alone() {
    let (key, value) = ("k".repeat(256), "v".repeat(256));
    let huge = format!("{key}={value}");
    assert_eq!(text(&[&huge]), huge);
    // It is longer than 128 characters, so it goes first.
    assert_eq!(text(&[&format!("{huge},foo=1")]), "foo=1");
    let old = join(&["foo=1"]).unwrap();
    assert_eq!(old.insert(&key, &value).unwrap().as_str(), huge);
}

#[test]
fn an_inserted_member_stands_left_and_the_old_list_is_untouched() {
    let old = join(&["rojo=1,congo=2"]).unwrap();
    let new = old.insert("ot", "th:8").unwrap();
    assert_eq!(new.as_str(), "ot=th:8,rojo=1,congo=2");
    assert_eq!(old.as_str(), "rojo=1,congo=2");
}

#[test]
fn a_changed_member_moves_left_and_the_others_keep_their_order() {
    let old = TraceState::parse("a=1, b=2 ,,c=3").unwrap();
    assert_eq!(old.insert("b", "4").unwrap().as_str(), "b=4,a=1,c=3");
    let twice = TraceState::parse("a=1,b=2,a=3").unwrap();
    assert_eq!(twice.insert("a", "4").unwrap().as_str(), "a=4,b=2");
}

#[test]
fn inserting_into_a_full_list_removes_the_right_most() {
    let full = join(&[&numbered(32)]).unwrap();
    let new = full.insert("foo", "1").unwrap();
    assert_eq!(new.as_str(), format!("foo=1,{}", numbered(31)));
    let replaced = full.insert("bar32", "x").unwrap();
    assert_eq!(replaced.as_str(), format!("bar32=x,{}", numbered(31)));
}

#[test]
fn an_inserted_member_stays_when_others_must_make_room() {
    let state = join(&[&format!("a={},b=2,c=3", "1".repeat(256))]).unwrap();
    let value = "x".repeat(256);
    assert_eq!(state.insert("new", &value).unwrap().as_str(), format!("new={value},b=2,c=3"));
}

#[test]
fn bad_input_changes_nothing() {
    let state = join(&["foo=1"]).unwrap();
    assert_eq!(state.insert("Foo", "1"), Err(TraceStateError::InvalidKey));
    assert_eq!(state.insert("", "1"), Err(TraceStateError::InvalidKey));
    for value in ["", "a,b", "a=b", "a ", "\u{e4}"] {
        assert_eq!(state.insert("foo", value), Err(TraceStateError::InvalidValue));
    }
    assert_eq!(state.as_str(), "foo=1");
}

#[test]
fn removing_a_key_keeps_the_order_of_the_others() {
    let state = join(&["a=1,b=2,c=3"]).unwrap();
    assert_eq!(state.remove("b").as_str(), "a=1,c=3");
    assert_eq!(state.remove("x"), state);
    assert!(state.remove("a").remove("b").remove("c").is_empty());
}

#[test]
fn errors_say_what_is_wrong_in_lower_case() {
    let error: &dyn core::error::Error = &TraceStateError::TooManyMembers;
    assert_eq!(error.to_string(), "tracestate has more than 32 members");
}

fn member() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9_*/@-]{0,8}=[ -+.-<>-~]{0,150}[!-+.-<>-~]"
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_yield_normal_form(
        headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
    ) {
        if let Ok(state) = TraceStateBuf::from_headers(headers.iter().map(Vec::as_slice)) {
            prop_assert_eq!(TraceStateBuf::from(TraceState::parse(state.as_str()).unwrap()), state);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[a-c=, \t@A\u{e9}]{0,40}", key in "[a-c@]{0,3}") {
        if let Ok(state) = TraceState::parse(&text) {
            let _ = (state.get(&key), state.insert(&key, &text));
            let removed = state.remove(&key);
            prop_assert_eq!(removed.get(&key), None);
        }
    }

    #[test]
    fn lists_stay_valid_and_within_the_limits(
        members in prop::collection::vec(member(), 0..32), new in member(),
    ) {
        let header = members.join(" , ");
        let state = join(&[&header]).unwrap();
        let again: [&[u8]; 1] = [state.as_str().as_bytes()];
        prop_assert_eq!(TraceStateBuf::from_headers(again).unwrap(), state.clone());
        prop_assert!(state.members().all(|pair| TraceState(&header).members().any(|p| p == pair)));

        let (key, value) = new.split_once('=').unwrap();
        let state = state.insert(key, value).unwrap();
        prop_assert!(state.as_str().len() <= 513 && state.members().count() <= 32);
        prop_assert_eq!(state.members().next(), Some((key, value)));
        prop_assert!(TraceState::parse(state.as_str()).is_ok());
    }
}
