//! What is told of trace ids that a sampler took for random. Alone in its process, as it
//! is told once in the life of one.

use core::time::Duration;
use std::sync::mpsc;

use throughline::exporters::Memory;
use throughline::{
    AlwaysOn, Carried, Carry, Context, Diagnostic, Diagnostics, ParentBased, ProbabilitySampler,
    Sampler, SpanContext, SpanId, Telemetry, Thread, TraceFlags, TraceId, span,
};
use throughline_core::w3c::TraceStateBuf;

/// PRB-5: [Compatibility warnings](https://opentelemetry.io/docs/specs/otel/trace/sdk/#compatibility-warnings-for-probabilitysampler).
#[test]
fn a_trace_id_of_which_nobody_says_that_it_is_random_is_told_of_once() {
    let (sender, told) = mpsc::channel();
    let start = |sampler: &'static (dyn Sampler + Send + Sync)| {
        let sender = sender.clone();
        throughline::builder()
            .sampler(sampler)
            .diagnostics(Diagnostics::to(move |said| sender.send(said.clone()).unwrap()))
            .start(Thread::start().expect("a thread"), Memory::new())
    };
    let half: &'static ProbabilitySampler = Box::leak(Box::new(ProbabilitySampler::new(0.5)));
    let sampled = start(half);
    let serve = |telemetry: &Telemetry, flags, state: &str| {
        let caller =
            SpanContext::remote(TraceId::from_bytes([0xff; 16]), SpanId::from_bytes([1; 8]), flags);
        let state = TraceStateBuf::from_headers([state.as_bytes()]).expect("well-formed");
        let carried = Carried::default().with_trace_state(&state);
        let context = Context::remote(caller, carried).with_pipeline(telemetry.pipeline());
        span!(parent: &context, "server").end();
        let receipt = telemetry.flush_blocking(Duration::from_secs(30));
        assert!(receipt.is_complete(), "{receipt}");
    };
    let silent = || assert_eq!(told.try_iter().collect::<Vec<_>>(), []);

    // Roots have ids of ours, callers say that theirs are random, or by what to decide.
    sampled.context().scope(|| span!("root").end());
    serve(&sampled, TraceFlags::SAMPLED | TraceFlags::RANDOM, "");
    serve(&sampled, TraceFlags::SAMPLED, "ot=rv:ffffffffffffff");
    // Nor does it matter to who keeps everything, or asks the parent alone.
    let all: &'static ProbabilitySampler = Box::leak(Box::new(ProbabilitySampler::new(1.0)));
    serve(&start(all), TraceFlags::SAMPLED, "");
    static PARENT_BASED: ParentBased<AlwaysOn> = ParentBased::new(AlwaysOn);
    serve(&start(&PARENT_BASED), TraceFlags::SAMPLED, "");
    silent();

    serve(&sampled, TraceFlags::SAMPLED, "");
    let said = told.recv_timeout(Duration::from_secs(30));
    assert_eq!(said, Ok(Diagnostic::PresumedRandomness));
    serve(&sampled, TraceFlags::SAMPLED, "");
    serve(&start(half), TraceFlags::NONE, "");
    silent();
}
