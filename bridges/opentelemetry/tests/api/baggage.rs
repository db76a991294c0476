//! Baggage goes from one API to the other.

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context as Theirs, KeyValue};
use throughline::propagation::{self, Propagator};
use throughline::w3c::Setter;
use throughline::{Baggage, Carried, Carry, Context, CurrentSpan, span};

use crate::Stage;

fn ours(key: &str) -> Option<String> {
    Context::current().carried().baggage().get(key).map(|value| value.to_string())
}

fn theirs(key: &str) -> Option<String> {
    Theirs::map_current(|context| context.baggage().get(key).map(|value| value.to_string()))
}

fn with_baggage(key: &str, value: &str) -> Context {
    let mut baggage = Baggage::default();
    baggage.insert(key, value, "").expect("valid");
    baggage.into_context(Context::current())
}

/// BAG-5 of [Context interaction](https://opentelemetry.io/docs/specs/otel/baggage/api/#context-interaction).
#[test]
fn baggage_of_either_api_is_there_in_the_other() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        let _guard = Theirs::current_with_baggage([KeyValue::new("tenant", "b l,ue")]).attach();
        assert_eq!(ours("tenant").as_deref(), Some("b l,ue"));
        span!("ours").in_scope(|| {
            assert_eq!(theirs("tenant").as_deref(), Some("b l,ue"));
            with_baggage("colour", "grün").scope(|| {
                assert_eq!(theirs("colour").as_deref(), Some("grün"));
                tracer.in_span("theirs", |context| {
                    assert_eq!(ours("colour").as_deref(), Some("grün"));
                    assert_eq!(context.baggage().len(), 1);
                });
            });
        });
    });
    stage.finish_with_tree(
        "
        ours
          theirs
        ",
    );
}

/// BAG-3 of [Overview](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview).
///
/// Their baggage takes tokens alone: the other names are ours, and stay below spans of
/// theirs until theirs has another baggage.
#[test]
fn a_name_that_is_no_token_stays_below_spans_of_the_other_api_and_is_in_no_header() {
    let stage = Stage::new();
    let tracer = stage.tracer();
    stage.run(|| {
        let mut baggage = Baggage::current();
        baggage.insert("größe", "7", "").expect("any text is a name");
        baggage.insert("tenant", "blue", "").expect("any text is a name");
        baggage.into_context(Context::current()).scope(|| {
            assert_eq!((theirs("größe"), theirs("tenant").as_deref()), (None, Some("blue")));
            tracer.in_span("theirs", |_| {
                assert_eq!(Baggage::current().get("größe").as_deref(), Some("7"));
                span!("ours").in_scope(|| assert_eq!(Baggage::current().len(), 2));
                assert_eq!(sent(), [("baggage".to_owned(), "tenant=blue".to_owned())]);
                let _guard = Theirs::current_with_baggage([KeyValue::new("a", "1")]).attach();
                assert_eq!(Baggage::current().get("größe"), None);
                let _guard = Theirs::current().with_cleared_baggage().attach();
                assert!(Baggage::current().is_empty());
            });
        });
    });
    stage.finish();
}

fn sent() -> Vec<(String, String)> {
    let mut headers = Vec::new();
    propagation::Baggage.inject(&Context::current(), &mut Pairs(&mut headers));
    headers
}

struct Pairs<'a>(&'a mut Vec<(String, String)>);

impl Setter for Pairs<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// BAG-6 of [clearing baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/#clear-baggage-in-the-context).
#[test]
fn baggage_that_is_cleared_in_one_api_is_gone_in_the_other() {
    let stage = Stage::new();
    stage.run(|| {
        with_baggage("a", "1").scope(|| {
            let context = Context::current();
            {
                let _guard = Theirs::current().with_cleared_baggage().attach();
                assert_eq!(ours("a"), None);
            }
            assert_eq!(ours("a").as_deref(), Some("1"));
            context.with_carried(Carried::default()).scope(|| assert_eq!(theirs("a"), None));
        });
    });
    stage.finish();
}

#[test]
fn other_baggage_of_theirs_leaves_our_span_within_reach() {
    let stage = Stage::new();
    stage.run(|| {
        span!("ours").in_scope(|| {
            let _guard = Theirs::current_with_baggage([KeyValue::new("a", "1")]).attach();
            assert_eq!(ours("a").as_deref(), Some("1"));
            assert!(CurrentSpan::set_attribute("kept", true));
            span!("child").end();
        });
    });
    let memory = stage.finish();
    assert_eq!(memory.span("ours").attribute("kept"), Some("true"));
    assert_eq!(memory.span("child").parent_span_id, memory.span("ours").span_id);
}

/// BAG-7: [Baggage](https://opentelemetry.io/docs/specs/otel/baggage/api/#overview) needs
/// no pipeline; NOOP-1: neither do ids that came from elsewhere.
#[test]
fn without_a_pipeline_baggage_and_ids_still_go_on() {
    drop(throughline_bridge_opentelemetry::TracerProvider::default());
    let remote = opentelemetry::trace::SpanContext::new(
        7_u128.into(),
        9_u64.into(),
        opentelemetry::trace::TraceFlags::SAMPLED,
        true,
        Default::default(),
    );
    let context = Theirs::new()
        .with_remote_span_context(remote)
        .with_baggage([KeyValue::new("tenant", "blue")]);
    let _guard = context.attach();
    span!("not recorded").in_scope(|| {
        assert_eq!(theirs("tenant").as_deref(), Some("blue"));
        assert_eq!(ours("tenant").as_deref(), Some("blue"));
        let ids = Theirs::current().span().span_context().clone();
        assert_eq!((ids.trace_id(), ids.span_id()), (7_u128.into(), 9_u64.into()));
    });
}

#[test]
fn values_of_other_types_stay_with_their_scopes() {
    struct Own(u8);
    let stage = Stage::new();
    stage.run(|| {
        let _guard = Theirs::current_with_value(Own(7)).attach();
        span!("ours").in_scope(|| {
            assert_eq!(Theirs::current().get::<Own>().map(|own| own.0), Some(7));
        });
    });
    stage.finish();
}
