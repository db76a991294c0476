//! Arbitrary plans.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use throughline_core::{Ending, SpanContext, SpanKind, StatusCode, Value};

use super::{CALLSITES, End, Pairs, Plan, Step, span_context};

/// The spans of one batch.
pub fn plans() -> impl Strategy<Value = Vec<Plan>> {
    vec(plan(), 1..8)
}

fn plan() -> impl Strategy<Value = Plan> {
    let callsite = (0..CALLSITES.len()).prop_map(|i| &CALLSITES[i]);
    let parent = proptest::option::of((linked(), state()));
    let times = (0u64..1 << 60, proptest::option::weighted(0.2, UNIX_NANOS));
    let steps = prop_oneof![9 => vec(step(), 0..12), 1 => vec(step(), 100..300)];
    (callsite, proptest::option::of(kind()), parent, times, steps, end()).prop_map(
        |(callsite, kind, parent, (start, own_start), steps, end)| Plan {
            callsite,
            kind,
            parent,
            start,
            own_start,
            steps,
            end,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let at = proptest::option::weighted(0.3, UNIX_NANOS);
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Step::Attribute(key, value)),
        2 => (text(), at, pairs()).prop_map(|(name, at, pairs)| Step::Event(name, at, pairs)),
        2 => (linked(), state(), pairs()).prop_map(|(to, state, pairs)| Step::Link(to, state, pairs)),
        1 => (code(), text()).prop_map(|(code, description)| Step::Status(code, description)),
        1 => text().prop_map(Step::Name),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Now),
        UNIX_NANOS.prop_map(End::At),
        select(vec![Ending::Completed, Ending::Cancelled, Ending::Panicked, Ending::Dropped,])
            .prop_map(End::As),
        Just(End::Drop),
    ]
}

/// A value of any kind, nested.
pub fn value() -> impl Strategy<Value = Value<'static>> {
    let floats = prop_oneof![any::<f64>(), Just(f64::NAN), Just(-0.0), Just(f64::INFINITY)];
    let leaf = prop_oneof![
        Just(Value::Empty),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        prop_oneof![any::<u64>(), Just(u64::MAX), Just(1 << 63), Just((1 << 63) - 1)]
            .prop_map(Value::U64),
        floats.prop_map(Value::F64),
        text().prop_map(Value::Str),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.leak())),
        vec(text(), 0..4).prop_map(|texts| Value::Strs(texts.leak())),
        vec(any::<i64>(), 0..4).prop_map(|numbers| Value::I64s(numbers.leak())),
        vec(any::<f64>(), 0..4).prop_map(|numbers| Value::F64s(numbers.leak())),
        vec(any::<bool>(), 0..4).prop_map(|values| Value::Bools(values.leak())),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| Value::Array(values.leak())),
            vec((text(), inner), 0..4).prop_map(|entries| Value::Map(entries.leak())),
        ]
    })
}

/// Text of all alphabets, often empty, sometimes too long for a slot.
pub fn text() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,8}",
        "\\PC{0,12}",
        "(🦀|é|\u{10FFFF}|a){0,10}",
        "[a-zé]{200,600}",
    ]
    .prop_map(|text| &*text.leak())
}

/// Few keys, so that many come twice.
fn key() -> impl Strategy<Value = &'static str> {
    select(vec!["", "a", "b", "http.route", "ключ", "a.rather.long.key.with.many.parts"])
}

fn pairs() -> impl Strategy<Value = Pairs> {
    vec((key(), value()), 0..4)
}

fn linked() -> impl Strategy<Value = SpanContext> {
    prop_oneof![
        4 => (1u128.., 1u64.., 0u8..4, any::<bool>())
            .prop_map(|(trace, span, flags, remote)| span_context(trace, span, flags, remote)),
        1 => Just(SpanContext::INVALID),
    ]
}

fn state() -> impl Strategy<Value = &'static str> {
    select(vec!["", "rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=1"])
}

fn kind() -> impl Strategy<Value = SpanKind> {
    select(vec![
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ])
}

fn code() -> impl Strategy<Value = StatusCode> {
    select(vec![StatusCode::Unset, StatusCode::Error, StatusCode::Ok])
}

/// Until the year 2262.
const UNIX_NANOS: core::ops::Range<u64> = 0..1 << 63;
