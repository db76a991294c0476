//! [Baggage API](https://opentelemetry.io/docs/specs/otel/baggage/api/) and
//! [W3C Baggage](https://www.w3.org/TR/baggage/)

use throughline_core::Carry;
use throughline_propagation::{Baggage, Jaeger, Propagator};
use throughline_runtime::{Baggage as Held, Context};

use crate::carrier::{List, baggage, extracted, forwarded, injected};

/// BAG-1: [Conflict resolution](https://opentelemetry.io/docs/specs/otel/baggage/api/#conflict-resolution).
#[test]
fn the_later_of_two_pairs_of_one_name_wins() {
    let out = forwarded(&Baggage, &[("baggage", "a=1,b=2"), ("baggage", "a=3")]);
    assert_eq!(out.get("baggage"), Some("a=3,b=2"));
    let local = with(&extracted(&Baggage, &[("baggage", "a=1")]), "a", "4");
    assert_eq!(baggage(&local), "a=4");
}

/// BAG-2, BAG-4, BAG-5: [Operations](https://opentelemetry.io/docs/specs/otel/baggage/api/#operations),
/// [Context interaction](https://opentelemetry.io/docs/specs/otel/baggage/api/#context-interaction).
#[test]
fn a_changed_baggage_is_in_a_new_context_and_the_old_one_stays() {
    let old = extracted(&Baggage, &[("baggage", "a=1;p")]);
    let new = with(&old, "b", "2");
    assert_eq!((baggage(&old).as_str(), baggage(&new).as_str()), ("a=1;p", "a=1;p,b=2"));
    assert!(new.carried().baggage().get("b").is_some_and(|value| value == "2"));
    assert_eq!(new.carried().baggage().entries().count(), 2);
    let mut held = Held::of(&new);
    assert!(held.remove("a"));
    let removed = held.into_context(new);
    assert_eq!(removed.scope(|| baggage(&Context::current())), "b=2");
}

/// BAG-3: [Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview);
/// WB-2: [value](https://www.w3.org/TR/baggage/#value).
#[test]
fn names_keep_their_case_and_any_text_comes_back_unchanged() {
    let text = "Ä \",;\\%=+\u{7f}\u{0}~";
    let sent = injected(&Baggage, &with(&with(&Context::empty(), "a", text), "A", "other"));
    let value = sent.get("baggage").expect("baggage");
    assert!(value.starts_with("a=%C3%84%20%22%2C%3B%5C%25=+%7F%00~,A=other"), "{value}");
    let back = extracted(&Baggage, &[("baggage", value)]);
    assert!(back.carried().baggage().get("a").is_some_and(|value| value == text));
}

/// BAG-6: [Clear baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/#clear-baggage-in-the-context).
#[test]
fn baggage_can_be_cleared_before_a_call_to_somebody_untrusted() {
    let known = extracted(&Baggage, &[("baggage", "secret=1")]);
    let cleared = Held::default().into_context(known);
    assert_eq!(injected(&Baggage, &cleared), List::default());
}

/// BAG-7: [Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview);
/// WB-1: [Header name](https://www.w3.org/TR/baggage/#header-name).
#[test]
fn baggage_goes_on_without_a_pipeline_or_a_trace_as_one_list_in_lower_case() {
    assert!(throughline_runtime::default_pipeline().is_none());
    let out = forwarded(&Baggage, &[("Baggage", "a=1"), ("BAGGAGE", "b=2")]);
    assert_eq!(out, List::of(&[("baggage", "a=1,b=2")]));
}

/// WB-3, WB-4, WB-5, WB-7: [Definition](https://www.w3.org/TR/baggage/#definition),
/// [Propagation](https://opentelemetry.io/docs/specs/otel/baggage/api/#propagation).
#[test]
fn odd_members_are_read_as_the_grammar_has_them() {
    let context = extracted(&Baggage, &[("baggage", "a\t= %FF ; p = 1;q , b=1=2")]);
    let held = context.carried().baggage();
    assert!(held.get("a").is_some_and(|value| value == "\u{fffd}"));
    assert!(held.get("b").is_some_and(|value| value == "1=2"));
    assert_eq!(injected(&Baggage, &context).get("baggage"), Some("a=%FF;p = 1;q,b=1=2"));
}

/// WB-6: [Limits](https://www.w3.org/TR/baggage/#limits).
#[test]
fn what_is_within_the_limits_goes_on_whole_and_no_member_is_cut() {
    let members: Vec<String> = (0..64).map(|i| format!("key{i}={}", "v".repeat(119))).collect();
    let list = members.join(",");
    assert!(list.len() <= 8192);
    assert_eq!(forwarded(&Baggage, &[("baggage", &list)]).get("baggage"), Some(list.as_str()));
    let longer = format!("{list},more={}", "v".repeat(300));
    let out = forwarded(&Baggage, &[("baggage", &longer)]);
    assert_eq!(out.get("baggage"), Some(list.as_str()));
}

/// BAG-3: [Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview);
/// WB-5: [key](https://www.w3.org/TR/baggage/#key).
#[test]
fn names_that_are_no_tokens_are_left_out_of_the_header_and_the_others_go() {
    let context = with(&with(&with(&Context::empty(), "größe", "7"), "a", "1"), "b c", "2");
    assert_eq!(injected(&Baggage, &context), List::of(&[("baggage", "a=1")]));
    assert_eq!(Held::of(&context).local_len(), 2);
    let alone = with(&Context::empty(), "größe", "7");
    assert_eq!(injected(&Baggage, &alone), List::default());
}

/// PROP-2: [Extract](https://opentelemetry.io/docs/specs/otel/context/api-propagators/#extract).
#[test]
fn what_jaeger_brings_is_added_to_what_the_context_has() {
    let known = with(&with(&Context::empty(), "größe", "7"), "a", "1");
    let carrier = [("uberctx-b", "x%20y"), ("UberCtx-a", "2")];
    let context = Jaeger.extract(known, &&carrier[..]);
    let held = Held::of(&context);
    assert_eq!((held.get("größe").as_deref(), held.len()), (Some("7"), 3));
    assert_eq!((held.get("a").as_deref(), held.get("b").as_deref()), (Some("2"), Some("x y")));
}

fn with(context: &Context, name: &str, value: &str) -> Context {
    let mut held = Held::of(context);
    held.insert(name, value, "").expect("room");
    held.into_context(context.clone())
}
