//! The operations of [`tracing`], for any subscriber.
//!
//! Tuning: spans are entered by `in_scope` and `instrument`; fields are given to
//! the macro. Of `tracing` itself there is nothing to set. [`Scenario::Disabled`]
//! is a target that the subscribers' filter refuses once and for all, which is a
//! load more than having no subscriber.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;

use ::tracing::{Instrument, Span, info, info_span};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::future::{self, Never};
use crate::scenario::{SPANS_PER_TRACE, Scenario};
use crate::spawning;
use crate::stopwatch::{Stopwatch, repeat};
use crate::system::{Load, Traces};

/// What the subscribers listen to.
pub(crate) fn filter() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target(DISABLED, LevelFilter::OFF)
}

/// Does the scenario with the subscriber that is current. Returns false when it
/// depends on the subscriber.
pub(crate) fn run(scenario: Scenario, operations: u32, watch: &mut Stopwatch, path: &str) -> bool {
    match scenario {
        Scenario::Child => {
            watch.time(|| info_span!("root").in_scope(|| repeat(operations, || child())))
        }
        Scenario::Attributes => watch.time(|| {
            info_span!("root").in_scope(|| repeat(operations, || child_with_attributes(path)));
        }),
        Scenario::TotalCpu => watch.time(|| {
            let child = || child_with_attributes(path);
            let root = || info_span!("root").in_scope(|| repeat(SPANS_PER_TRACE, child));
            repeat(operations / SPANS_PER_TRACE, root);
        }),
        Scenario::Disabled => watch.time(|| {
            repeat(operations, || info_span!(target: DISABLED, "child").in_scope(|| ()));
        }),
        Scenario::Awaits => spawning::on_tokio(watch, async {
            for _ in 0..operations {
                future::awaits().instrument(info_span!("awaits")).await;
            }
        }),
        Scenario::AwaitsChildren => spawning::on_tokio(watch, async {
            for _ in 0..operations {
                awaits_in_children().instrument(info_span!("awaits")).await;
            }
        }),
        Scenario::Poll => {
            let mut future = pin!(Never.instrument(info_span!("poll")));
            watch.time(|| future::poll(operations, future.as_mut()));
        }
        Scenario::Attach => {
            let span = info_span!("root");
            watch.time(|| repeat(operations, || span.in_scope(|| ())));
        }
        Scenario::Capture => info_span!("root").in_scope(|| {
            watch.time(|| repeat(operations, Span::current));
        }),
        Scenario::SpawnTokio | Scenario::SpawnSmol | Scenario::SpawnAsyncStd => {
            info_span!("root").in_scope(|| {
                spawning::spawn(scenario, operations, watch, Instrument::in_current_span);
            });
        }
        _ => return false,
    }
    true
}

/// Traces of the subscriber that is current when they are made.
pub(crate) fn traces(load: Load, path: String) -> Traces {
    match load {
        Load::Bare => {
            Arc::new(|children| info_span!("root").in_scope(|| repeat(children, || child())))
        }
        Load::Attributes => Arc::new(move |children| {
            info_span!("root").in_scope(|| repeat(children, || child_with_attributes(&path)));
        }),
    }
}

#[inline(always)]
pub(crate) fn child() {
    info_span!("child").in_scope(|| ());
}

#[inline(always)]
fn child_with_attributes(path: &str) {
    let span = info_span!(
        "child",
        http.request.method = "GET",
        url.scheme = "https",
        order.id = black_box(1234i64),
        url.path = path,
    );
    span.in_scope(|| info!("cache miss"));
}

async fn awaits_in_children() {
    for _ in 0..future::AWAITS {
        tokio::task::yield_now().instrument(info_span!("child")).await;
    }
}

const DISABLED: &str = "disabled";
