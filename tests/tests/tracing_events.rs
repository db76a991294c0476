//! Events of `tracing` as events of our spans.

use throughline::tracing::TracingLayer;
use throughline::{Context, StatusCode, span};
use throughline_tests::subscribed::{Refused, Stage, as_error, refused};
use tracing::{Level, error, event, info, info_span, warn};

#[test]
fn events_are_events_of_the_span_that_is_current() {
    let stage = Stage::new();
    stage.run(|| {
        info!("outside of any span");
        let explicit = info_span!("explicit");
        info_span!("current").in_scope(|| {
            info!(target: "shop::stock", count = 3u64, whole = true, "counted");
            event!(name: "stock.counted", Level::WARN, "with a name");
            info!(count = 1);
            info!(parent: &explicit, "elsewhere");
            info!(parent: None, "nowhere");
            span!("ours").in_scope(|| info!("in ours"));
            Context::empty().scope(|| info!("nowhere either"));
        });
    });
    let memory = stage.finish();
    let current = memory.span("current").events;
    let names: Vec<_> = current.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["counted", "stock.counted"]);
    assert!(names[2].starts_with("event "), "{names:?}");
    assert_eq!(names.len(), 3);
    let pairs = |event: &(String, Vec<(String, String)>)| event.1.clone();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        pairs(&current[0]),
        [
            pair("count", "3"),
            pair("whole", "true"),
            pair("level", "INFO"),
            pair("target", "shop::stock")
        ]
    );
    assert!(pairs(&current[1]).contains(&pair("message", "with a name")));
    assert_eq!(memory.span("explicit").events[0].0, "elsewhere");
    assert_eq!(memory.span("ours").events[0].0, "in ours");
}

#[test]
fn events_can_be_left_out() {
    let stage = Stage::with(TracingLayer::new().events(false));
    stage.run(|| {
        info_span!("span").in_scope(|| {
            info!("left out");
            error!("left out, but not without effect");
        });
    });
    let span = stage.finish().span("span");
    assert_eq!(span.events, []);
    let why = "left out, but not without effect".to_owned();
    assert_eq!(span.status, (StatusCode::Error, why));
}

/// EXC-2: the event is named `exception`, with its message and the errors behind it as one
/// text. ([Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/))
#[test]
fn an_event_with_an_error_is_an_exception() {
    let stage = Stage::new();
    stage.run(|| {
        let error = refused();
        info_span!("store").in_scope(|| error!(cause = as_error(&error), order = 7, "not stored"));
    });
    let span = stage.finish().span("store");
    let (name, attributes) = &span.events[0];
    assert_eq!(name, "exception");
    let of = |key: &str| attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    assert_eq!(of("exception.message"), Some("the order is not stored"));
    let stack = "the order is not stored\nCaused by: connection refused";
    assert_eq!(of("exception.stacktrace"), Some(stack));
    assert_eq!(of("message"), Some("not stored"));
    assert_eq!((of("order"), of("cause")), (Some("7"), Some("the order is not stored")));
    assert_eq!(span.status, (StatusCode::Error, "the order is not stored".to_owned()));
}

/// EXC-2: so is one that the program describes itself.
/// ([Exceptions](https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/))
#[test]
fn an_event_with_the_attributes_of_an_exception_is_one() {
    let stage = Stage::new();
    stage.run(|| {
        info_span!("store").in_scope(|| {
            info!(exception.r#type = "Refused", exception.message = "no", "not stored");
            info!(exceptional = true, "stored");
        });
    });
    let events = stage.finish().span("store").events;
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["exception", "stored"]);
    let of = |key: &str| events[0].1.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    assert_eq!((of("exception.type"), of("exception.message")), (Some("Refused"), Some("no")));
    assert_eq!(of("message"), Some("not stored"));
}

/// EXC-1: what the program says itself wins over what is made from the error.
/// ([Record exception](https://opentelemetry.io/docs/specs/otel/trace/api/#record-exception))
#[test]
fn an_attribute_of_the_program_wins_over_one_that_is_made() {
    let stage = Stage::new();
    stage.run(|| {
        let error = refused();
        info_span!("store").in_scope(|| {
            error!(cause = as_error(&error), exception.message = "mine", exception.r#type = "T");
        });
    });
    let (_, attributes) = &stage.finish().span("store").events[0];
    let all = |key: &str| -> Vec<_> {
        attributes.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect()
    };
    assert_eq!(all("exception.message"), ["mine"]);
}

/// EXC-3: only what the program calls an error fails the span; `#[instrument(err)]` does.
/// ([Exceptions](https://opentelemetry.io/docs/specs/otel/trace/exceptions/))
#[test]
fn an_error_that_is_handled_does_not_fail_its_span() {
    #[tracing::instrument(err)]
    fn fails() -> Result<(), Refused> {
        Err(refused())
    }

    let stage = Stage::new();
    stage.run(|| {
        info_span!("handled").in_scope(|| {
            let error = fails().expect_err("it fails");
            warn!(error = as_error(&error), "tried again");
        });
    });
    let memory = stage.finish();
    assert_eq!(memory.span("handled").status.0, StatusCode::Unset);
    assert_eq!(memory.span("handled").events[0].0, "exception");
    let fails = memory.span("fails");
    assert_eq!(fails.status, (StatusCode::Error, "the order is not stored".to_owned()));
    assert_eq!(fails.events.len(), 1);
    assert_eq!(fails.events[0].0, "exception");
}

#[test]
fn failing_can_be_left_to_the_program() {
    let stage = Stage::with(TracingLayer::new().failing(false));
    stage.run(|| info_span!("span").in_scope(|| error!("nothing serious")));
    let span = stage.finish().span("span");
    assert_eq!((span.status.0, span.events.len()), (StatusCode::Unset, 1));
}

#[test]
fn an_event_may_have_many_fields() {
    let stage = Stage::new();
    stage.run(|| {
        info_span!("span").in_scope(|| {
            info!(
                a = 1,
                b = 2,
                c = 3,
                d = 4,
                e = 5,
                f = 6,
                g = 7,
                h = 8,
                i = 9,
                j = 10,
                k = 11,
                l = 12,
                m = 13,
                n = 14,
                o = 15,
                p = 16,
                q = 17,
                r = 18,
                s = 19,
                t = 20,
                "many"
            );
        });
    });
    let (_, attributes) = &stage.finish().span("span").events[0];
    assert_eq!(attributes.len(), 22);
    assert_eq!(attributes[19], ("t".to_owned(), "20".to_owned()));
}
