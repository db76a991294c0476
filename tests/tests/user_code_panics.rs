//! Code of the program that a pipeline calls, and that panics
//! ([Error handling](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance)).

use core::fmt;
use core::future::{Future, ready};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use throughline::exporters::Memory;
use throughline::tail::{Failed, HasSpan, Predicate};
use throughline::{
    Additions, Builder, CurrentSpan, Decision, Diagnostic, Diagnostics, HealthState, Runtime,
    Sampler, SamplingParameters, StatusCode, TailSampling, Telemetry, Thread, builder, span,
};

const LONG: Duration = Duration::from_secs(20);

fn start(settings: Builder) -> (Telemetry, Memory, mpsc::Receiver<Diagnostic>) {
    start_on(settings, Thread::start().expect("a thread"))
}

fn start_on(
    settings: Builder,
    runtime: impl Runtime,
) -> (Telemetry, Memory, mpsc::Receiver<Diagnostic>) {
    let (sender, told) = mpsc::channel();
    let tell = move |diagnostic: &Diagnostic| {
        // The test may be over.
        let _ = sender.send(diagnostic.clone());
    };
    let exporter = Memory::new();
    let settings = settings.diagnostics(Diagnostics::to(tell));
    (settings.start(runtime, exporter.clone()), exporter, told)
}

fn fail(telemetry: &Telemetry, name: &'static str) {
    telemetry.context().scope(|| {
        span!("root").in_scope(|| {
            CurrentSpan::update_name(name);
            CurrentSpan::set_status(StatusCode::Error, "");
        });
    });
}

fn names(exporter: &Memory) -> Vec<String> {
    exporter.spans().into_iter().map(|span| span.name).collect()
}

fn panics(telemetry: &mpsc::Receiver<Diagnostic>) -> Vec<&'static str> {
    let told = telemetry.try_iter();
    told.filter_map(|told| if let Diagnostic::Panicked { what } = told { Some(what) } else { None })
        .collect()
}

/// ERR-4
#[test]
fn a_predicate_that_panics_does_not_match_and_is_told_once() {
    let tail = TailSampling::new()
        .drop(HasSpan(|span: &throughline_core::SpanView<'_>| match span.name() {
            "harmless" => true,
            _ => panic!("in the predicate"),
        }))
        .keep(Failed.and(HasSpan(|_: &throughline_core::SpanView<'_>| true)))
        .build();
    let (telemetry, exporter, told) = start(builder().tail(&tail.expect("two conditions")));
    for _ in 0..3 {
        fail(&telemetry, "work");
        fail(&telemetry, "harmless");
        assert!(telemetry.flush_blocking(LONG).is_complete());
    }
    assert_eq!(names(&exporter), ["work"; 3]);
    assert_eq!(telemetry.health().state(), HealthState::Ok);
    assert!(telemetry.shutdown_blocking(LONG).is_complete());
    assert_eq!(telemetry.ledger().in_flight(), 0);
    assert_eq!(panics(&told), ["a predicate of tail sampling"]);
}

/// ERR-4: a predicate that panics when it is asked about the whole trace.
#[test]
fn a_predicate_of_ones_own_may_panic_in_every_question() {
    struct Faulty;
    impl Predicate for Faulty {
        fn matches(&self, _: &throughline::tail::Facts) -> bool {
            panic!("in the predicate")
        }
        fn description(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in the description")
        }
    }
    let tail = TailSampling::new().drop(Faulty).keep(Failed).build().expect("no condition");
    assert_eq!(tail.to_string(), "[:nothing][failed:all] in 16777216 bytes");
    let (telemetry, exporter, told) = start(builder().tail(&tail));
    fail(&telemetry, "work");
    assert!(telemetry.shutdown_blocking(LONG).is_complete());
    assert_eq!(names(&exporter), ["work"]);
    assert_eq!(panics(&told), ["a predicate of tail sampling"]);
}

/// A sampler that panics unless it is harmless.
struct Faulty {
    is_early: bool,
}

impl Sampler for Faulty {
    fn should_sample(&self, span: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
        match span.name {
            "harmless" => Decision::RecordAndSample,
            _ => panic!("in the sampler"),
        }
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }

    fn decides_early(&self) -> bool {
        self.is_early
    }
}

/// ERR-4
#[test]
fn a_sampler_that_panics_drops_the_span_and_is_told_once() {
    for is_early in [true, false] {
        let (telemetry, exporter, told) = start(builder().sampler(Faulty { is_early }));
        telemetry.context().scope(|| {
            for _ in 0..3 {
                let span = span!("work");
                assert!(span.span_context().is_valid() && !span.span_context().is_sampled());
                drop(span);
                span!("harmless").in_scope(|| ());
            }
        });
        // Nobody need export for it to be told.
        assert_eq!(told.recv_timeout(LONG), Ok(Diagnostic::Panicked { what: "the sampler" }));
        assert!(telemetry.shutdown_blocking(LONG).is_complete());
        assert_eq!(names(&exporter), ["harmless"; 3]);
        assert_eq!(panics(&told), [""; 0]);
    }
}

/// ERR-4: neither does what it says of itself keep the program from starting.
#[test]
fn a_sampler_whose_description_panics_is_installed() {
    struct Silent;
    impl Sampler for Silent {
        fn should_sample(&self, _: &SamplingParameters<'_>, _: &mut Additions<'_>) -> Decision {
            Decision::RecordAndSample
        }
        fn description(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in the description")
        }
    }
    let exporter = Memory::new();
    let thread = Thread::start().expect("a thread");
    let guard = builder().sampler(Silent).install(thread, exporter.clone());
    let guard = guard.expect("there is no other");
    assert_eq!(
        throughline::config().get("sampler").map(|setting| setting.value()),
        Some("it panics")
    );
    span!("work").in_scope(|| ());
    assert!(guard.shutdown_blocking().is_complete());
    assert_eq!(names(&exporter), ["work"]);
}

/// A runtime whose timer panics when it is told to.
#[derive(Clone)]
struct Brittle(Thread, Arc<AtomicBool>);

impl Runtime for Brittle {
    type Stream = throughline_runtime::ThreadStream;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        // Ordering: Relaxed, no value is read through it.
        assert!(!self.1.load(Ordering::Relaxed), "the runtime breaks");
        self.0.sleep(duration)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn connect(
        &self,
        _: &str,
        _: u16,
    ) -> impl Future<Output = std::io::Result<Self::Stream>> + Send + 'static {
        ready(Err(std::io::ErrorKind::Unsupported.into()))
    }
}

/// ERR-4: a driver that died shows, and what it left behind is sent by whoever ends the
/// pipeline.
#[test]
fn a_pipeline_whose_driver_died_is_not_well() {
    let is_broken = Arc::new(AtomicBool::new(false));
    let brittle = Brittle(Thread::start().expect("a thread"), is_broken.clone());
    let (telemetry, exporter, told) = start_on(builder(), brittle);
    fail(&telemetry, "before");
    assert!(telemetry.flush_blocking(LONG).is_complete());
    assert_eq!(telemetry.health().state(), HealthState::Ok);
    is_broken.store(true, Ordering::Relaxed);
    fail(&telemetry, "after");
    telemetry.pipeline().announce();
    let what = "the task that drives the pipeline";
    assert_eq!(told.recv_timeout(LONG), Ok(Diagnostic::Panicked { what }));
    let health = telemetry.health();
    assert!(health.state() == HealthState::Undriven && !health.is_ok(), "{health}");
    let receipt = telemetry.shutdown_blocking(LONG);
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(telemetry.ledger().in_flight(), 0);
    assert_eq!(names(&exporter), ["before", "after"]);
}
