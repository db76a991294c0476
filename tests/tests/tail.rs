//! Tail sampling, case by case on the virtual clock.

use core::time::Duration;

use throughline::TailSampling;
use throughline_core::tail::{
    Amount, AnyTrace, Cancelled, Failed, HasAttribute, HasSpan, Panicked, Predicate, Rule,
    SlowerThan,
};
use throughline_core::w3c::{TraceState, TraceStateBuf};
use throughline_core::{
    Carry, Decision, DropReason, Ending, ParentBased, Sampler, SpanContext, SpanId, SpanView,
    StatusCode, TraceFlags, TraceId, TraceIdRatioBased,
};
use throughline_runtime::Carried;
use throughline_tests::simulation::{TailSetup, TailSimulation, Virtual};

type Span = throughline_core::Span<Virtual>;

fn rule(predicate: impl Predicate + 'static, amount: Amount) -> Rule<Box<dyn Predicate>> {
    Rule::new(Box::new(predicate), amount)
}

/// Keeps what failed and nothing else.
fn failures() -> TailSetup {
    TailSetup::new(vec![rule(Failed, Amount::All)])
}

fn fail(mut span: Span) {
    span.set_status(StatusCode::Error, "");
    span.end();
}

fn trace(span: &Span) -> TraceId {
    span.span_context().trace_id()
}

/// Longer than a look takes, and all that follows it.
const SOON: Duration = Duration::from_millis(250);

#[test]
fn a_trace_waits_for_its_local_root_and_is_kept_or_dropped_whole() {
    let mut simulation = TailSimulation::new(failures());
    let (good, bad) = (simulation.root(0), simulation.root(0));
    let (good_id, bad_id) = (trace(&good), trace(&bad));
    simulation.child(&good.context()).end();
    fail(simulation.child(&bad.context()));
    simulation.run(Duration::from_secs(20));
    assert_eq!((simulation.undecided(), simulation.gathered()), (2, 2));
    assert_eq!(simulation.ledger().in_flight(), 4);
    good.end();
    bad.end();
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(bad_id).names, ["child", "root"]);
    assert_eq!(simulation.delivered(good_id).spans, 0);
    let ledger = simulation.ledger();
    assert_eq!((ledger.exported(), ledger.dropped(DropReason::TailSampledOut)), (2, 2));
    assert_eq!((ledger.in_flight(), simulation.used_bytes()), (0, 0));
    let stats = simulation.stats();
    assert_eq!((stats.traces_kept, stats.traces_dropped), (1, 1));
    assert_eq!((stats.error_traces, stats.error_traces_kept), (1, 1));
}

#[test]
fn late_spans_follow_the_decision_and_a_late_error_is_told() {
    let mut simulation = TailSimulation::new(failures());
    let (good, bad) = (simulation.root(0), simulation.root(0));
    let (good_id, bad_id) = (trace(&good), trace(&bad));
    let late = [good.context(), bad.context()].map(|context| simulation.child(&context));
    good.end();
    fail(bad);
    simulation.run(SOON);
    assert_eq!(simulation.undecided(), 0);
    late.into_iter().for_each(fail);
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(bad_id).names, ["root", "child"]);
    assert_eq!(simulation.delivered(good_id).spans, 0);
    assert_eq!(simulation.sampled_out(), 2);
    let stats = simulation.stats();
    assert_eq!((stats.error_traces, stats.error_traces_kept), (2, 1));
}

/// Two services in one process: each has a local root of the trace, and the
/// error is in the one that ends first.
#[test]
fn pipelines_that_share_a_book_decide_about_a_trace_together() {
    let mut simulation = TailSimulation::new(TailSetup { pipelines: 2, ..failures() });
    let customer = simulation.root(0);
    let id = trace(&customer);
    let call = simulation.child(&customer.context());
    let server = simulation.below_remote(1, call.span_context(), Carried::default());
    fail(simulation.child(&server.context()));
    server.end();
    simulation.run(SOON);
    assert_eq!(simulation.undecided(), 1, "its first root is still under way");
    call.end();
    let late = simulation.below_remote(1, customer.span_context(), Carried::default());
    customer.end();
    simulation.run(SOON);
    assert_eq!(simulation.undecided(), 1, "a root is under way in the other pipeline");
    late.end();
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(id).spans, 5);
    assert_eq!(simulation.ledger().in_flight(), 0);
    assert_eq!(simulation.stats().traces_kept, 1);
}

/// How long a trace took is not known while its root is under way; that it took so long
/// already, is.
#[test]
fn a_trace_whose_root_is_under_way_is_as_slow_as_it_is_by_then() {
    let slow = || TailSetup::new(vec![rule(SlowerThan(Duration::from_secs(5)), Amount::All)]);
    // Decided overdue: nothing ended but a child, at the beginning.
    let mut setup = slow();
    setup.settings.decision_time = Duration::from_secs(6);
    let mut simulation = TailSimulation::new(setup);
    let root = simulation.root(0);
    let id = trace(&root);
    simulation.child(&root.context()).end();
    simulation.run(Duration::from_secs(20));
    assert_eq!(simulation.stats().decided_overdue, 1);
    root.end();
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(id).names, ["child", "root"]);
    // By a flush: a child ended, long after the root began.
    for (before, after, is_kept) in [(5_900, 0, true), (3_000, 2_900, true), (3_000, 1_900, false)]
    {
        let mut simulation = TailSimulation::new(slow());
        let root = simulation.root(0);
        let id = trace(&root);
        simulation.run(Duration::from_millis(before));
        simulation.child(&root.context()).end();
        simulation.run(Duration::from_millis(100 + after));
        simulation.flush();
        assert_eq!(simulation.stats().decided_by_flush, 1);
        assert_eq!(simulation.delivered(id).spans, u64::from(is_kept), "{before} {after}");
        root.end();
    }
    // Not by what began long ago and is over.
    let mut simulation = TailSimulation::new(slow());
    let root = simulation.root(0);
    let id = trace(&root);
    let late = simulation.below_remote(0, root.span_context(), Carried::default());
    root.end();
    late.end();
    simulation.advance(Duration::from_secs(20));
    simulation.flush();
    assert_eq!(simulation.delivered(id).spans, 0);
}

/// A sampler at the head that chooses by the trace id and says nothing of it leaves a tail
/// that chooses by the same bits all or nothing.
#[test]
fn a_part_of_what_a_ratio_at_the_head_kept_is_chosen_by_other_bits() {
    for (head, tail) in [(0.01, 0.05), (0.003, 0.5), (0.5, 0.2)] {
        let mut setup = TailSetup::new(vec![rule(AnyTrace, Amount::ratio(tail))]);
        setup.sampler = Box::leak(Box::new(ParentBased::new(TraceIdRatioBased::new(head))));
        let mut simulation = TailSimulation::new(setup);
        let mut came = 0;
        while came < 4_000 {
            let root = simulation.root(0);
            came += u64::from(root.span_context().is_sampled());
            root.end();
            if came % 500 == 0 {
                simulation.run(SOON);
            }
        }
        simulation.run(Duration::from_secs(6));
        let kept = simulation.all_delivered().len() as f64;
        let (expected, deviation) =
            (came as f64 * tail, (came as f64 * tail * (1.0 - tail)).sqrt());
        assert!((kept - expected).abs() < 5.0 * deviation, "{kept} of {came} by {head} and {tail}");
        for trace in simulation.all_delivered().values() {
            assert_eq!(trace.adjusted_count, None);
            assert!((trace.relative_count.expect("said") * tail - 1.0).abs() < 1e-3);
        }
    }
}

/// While a batch is with the exporter, others go on.
#[test]
fn a_batch_under_way_holds_up_neither_decisions_nor_what_ends() {
    let mut setup = failures();
    setup.pipelines = 2;
    setup.export_time = Duration::from_secs(25);
    let mut simulation = TailSimulation::new(setup);
    fail(simulation.root(0));
    simulation.run(Duration::from_secs(6));
    let (mut bad, mut late) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        for member in 0..2 {
            let root = simulation.root(member);
            bad.push(trace(&root));
            late.push(simulation.child(&root.context()));
            fail(root);
            simulation.root(member).end();
        }
        simulation.run(Duration::from_secs(1));
    }
    let stats = simulation.stats();
    assert_eq!((stats.error_traces, stats.error_traces_kept), (31, 31), "decided meanwhile");
    assert_eq!((simulation.undecided(), simulation.sampled_out()), (0, 30));
    // Late spans wait beside those that are kept.
    late.into_iter().for_each(Span::end);
    simulation.run(Duration::from_secs(80));
    for id in bad {
        assert_eq!(simulation.delivered(id).names, ["root", "child"]);
    }
    assert_eq!((simulation.ledger().in_flight(), simulation.used_bytes()), (0, 0));
}

#[test]
fn what_goes_on_for_too_long_is_decided_at_the_decision_time() {
    let mut setup = failures();
    setup.settings.decision_time = Duration::from_secs(3);
    let mut simulation = TailSimulation::new(setup);
    let root = simulation.root(0);
    let id = trace(&root);
    fail(simulation.child(&root.context()));
    simulation.run(Duration::from_millis(2_990));
    assert_eq!(simulation.undecided(), 1);
    simulation.run(Duration::from_millis(20));
    assert_eq!((simulation.undecided(), simulation.stats().decided_overdue), (0, 1));
    root.end();
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(id).spans, 2);
}

#[test]
fn a_flush_and_a_shutdown_decide_what_waits() {
    let mut simulation = TailSimulation::new(failures());
    let (good, bad) = (simulation.root(0), simulation.root(0));
    let bad_id = trace(&bad);
    simulation.child(&good.context()).end();
    fail(simulation.child(&bad.context()));
    assert_eq!(simulation.flush(), Duration::ZERO);
    assert_eq!(simulation.delivered(bad_id).spans, 1);
    assert_eq!((simulation.stats().decided_by_flush, simulation.sampled_out()), (2, 1));
    let other = simulation.root(0);
    let other_id = trace(&other);
    fail(simulation.child(&other.context()));
    bad.end();
    assert!(simulation.shutdown(Duration::from_secs(1)));
    assert_eq!((simulation.delivered(bad_id).spans, simulation.delivered(other_id).spans), (2, 1));
    drop((good, other));
    let ledger = simulation.ledger();
    assert_eq!((ledger.dropped(DropReason::AfterShutdown), ledger.in_flight()), (2, 0));
}

/// It has the ids of its parent, and is no root: the trace does not wait for it, whatever
/// has become of the root and of its slot.
#[test]
fn a_surplus_child_is_never_the_local_root_of_its_trace() {
    for is_below_remote in [false, true] {
        let mut simulation = TailSimulation::new(TailSetup { children: 1, ..failures() });
        let root = if is_below_remote {
            let caller = SpanContext::remote(
                TraceId::from_bytes([5; 16]),
                SpanId::from_bytes([1; 8]),
                TraceFlags::SAMPLED,
            );
            simulation.below_remote(0, caller, Carried::default())
        } else {
            simulation.root(0)
        };
        let id = trace(&root);
        simulation.child(&root.context()).end();
        let surplus = simulation.child(&root.context());
        assert_eq!(surplus.span_context(), root.span_context());
        // What begins below it is surplus too, and no root either.
        let below = simulation.child(&surplus.context());
        simulation.run(SOON);
        assert_eq!(simulation.undecided(), 1, "its root is under way");
        fail(root);
        simulation.run(SOON);
        assert_eq!(simulation.undecided(), 0, "no root is");
        assert_eq!(simulation.stats().decided_without_root, 0);
        // Below a span that has ended nothing is surplus.
        let late = simulation.child(&surplus.context());
        // Another root in the slot of the first one changes nothing.
        let other = simulation.root(0);
        [below, surplus, late].into_iter().for_each(Span::end);
        other.end();
        simulation.run(Duration::from_secs(6));
        assert_eq!(simulation.delivered(id).spans, 3);
        let ledger = simulation.ledger();
        assert_eq!((ledger.dropped(DropReason::Surplus), ledger.in_flight()), (2, 0));
        assert_eq!((simulation.stats().traces_kept, simulation.stats().traces_dropped), (1, 1));
    }
}

/// It may be sending: what it has not taken from its rings yet counts too.
#[test]
fn an_error_in_a_pipeline_whose_flusher_is_behind_is_waited_for() {
    let mut simulation = TailSimulation::new(TailSetup { pipelines: 2, ..failures() });
    let customer = simulation.root(0);
    let id = trace(&customer);
    fail(simulation.below_remote(1, customer.span_context(), Carried::default()));
    customer.end();
    for _ in 0..50 {
        simulation.poll_one(0);
        simulation.advance(Duration::from_millis(100));
    }
    assert_eq!(simulation.undecided(), 1);
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(id).spans, 2);
    assert_eq!(simulation.stats().error_traces_kept, 1);
}

/// A pipeline whose flusher is held up must not hold up another one's flush.
#[test]
fn a_flush_does_not_wait_long_for_a_pipeline_that_is_stuck() {
    let mut simulation = TailSimulation::new(TailSetup { pipelines: 2, ..failures() });
    let root = simulation.root(0);
    let id = trace(&root);
    fail(root);
    assert!(simulation.flush_one(0) <= Duration::from_millis(510));
    assert_eq!(simulation.delivered(id).spans, 1);
}

#[test]
fn what_has_no_room_is_decided_early_by_the_same_rules_the_oldest_first() {
    let mut simulation = TailSimulation::new(TailSetup { units: 21, ..failures() });
    let roots: Vec<Span> = (0..40).map(|_| simulation.root(0)).collect();
    let ids: Vec<TraceId> = roots.iter().map(trace).collect();
    for (i, root) in roots.iter().enumerate() {
        for _ in 0..3 {
            let child = simulation.child(&root.context());
            if i % 4 == 0 { fail(child) } else { child.end() }
        }
    }
    simulation.poll();
    // The frames of each of 40 traces take a unit.
    let stats = simulation.stats();
    assert_eq!((stats.decided_early, simulation.used_bytes()), (19, 21 * 960));
    assert!(simulation.undecided() == 21 && stats.traces_kept == 5);
    roots.into_iter().for_each(Span::end);
    simulation.run(Duration::from_secs(6));
    for (i, id) in ids.into_iter().enumerate() {
        assert_eq!(simulation.delivered(id).spans, if i % 4 == 0 { 4 } else { 0 });
    }
    let stats = simulation.stats();
    assert_eq!((stats.error_traces, stats.error_traces_kept), (10, 10));
}

#[test]
fn more_traces_than_allowed_have_the_oldest_decided_early() {
    let mut setup = failures();
    setup.settings.max_traces = 8;
    let mut simulation = TailSimulation::new(setup);
    let roots: Vec<Span> = (0..20).map(|_| simulation.root(0)).collect();
    roots.iter().for_each(|root| simulation.child(&root.context()).end());
    simulation.poll();
    assert_eq!((simulation.undecided(), simulation.stats().decided_early), (8, 12));
    assert_eq!(simulation.sampled_out(), 12);
}

/// One flood must not have everything else decided early.
#[test]
fn a_trace_that_takes_its_share_of_the_memory_is_decided_alone() {
    let mut simulation = TailSimulation::new(TailSetup { units: 36, ..failures() });
    let (victim, flood) = (simulation.root(0), simulation.root(0));
    let (victim_id, flood_id) = (trace(&victim), trace(&flood));
    fail(simulation.child(&victim.context()));
    for _ in 0..10_000 {
        simulation.child(&flood.context()).end();
    }
    simulation.poll();
    assert_eq!((simulation.stats().decided_early, simulation.undecided()), (1, 1));
    // Its error comes too late, and is told.
    fail(flood);
    victim.end();
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(victim_id).spans, 2);
    assert_eq!((simulation.delivered(flood_id).spans, simulation.sampled_out()), (0, 10_001));
    let stats = simulation.stats();
    assert_eq!((stats.error_traces, stats.error_traces_kept), (2, 1));
}

#[test]
fn a_trace_that_was_forgotten_is_decided_again_and_told() {
    let mut setup = TailSetup { traces: 16, ..failures() };
    setup.settings.max_traces = 4;
    let mut simulation = TailSimulation::new(setup);
    let root = simulation.root(0);
    let id = trace(&root);
    let late = simulation.child(&root.context());
    root.end();
    simulation.run(SOON);
    for _ in 0..18 {
        simulation.root(0).end();
        simulation.run(SOON);
    }
    fail(late);
    simulation.run(Duration::from_secs(6));
    assert_eq!(simulation.delivered(id).names, ["child"]);
    let stats = simulation.stats();
    assert_eq!((stats.decided_without_root, stats.traces_kept, stats.traces_dropped), (1, 1, 19));
}

#[test]
fn each_rule_finds_its_traces_and_the_first_that_matches_says_how_much() {
    let named = |span: &SpanView<'_>| span.name() == "server";
    let mut simulation = TailSimulation::new(TailSetup::new(vec![
        rule(HasAttribute("health", "true"), Amount::Nothing),
        rule(Failed.or(Panicked).or(Cancelled), Amount::All),
        rule(SlowerThan(Duration::from_millis(250)).and(HasAttribute("plan", "pro*")), Amount::All),
        rule(HasSpan(named).and(AnyTrace.not().not()), Amount::All),
    ]));
    let mut expected = Vec::new();
    let mut with =
        |simulation: &mut TailSimulation, kept, end: &dyn Fn(&mut TailSimulation, Span)| {
            let root = simulation.root(0);
            expected.push((trace(&root), kept));
            end(simulation, root);
        };
    with(&mut simulation, false, &|_, root| root.end());
    with(&mut simulation, true, &|_, root| fail(root));
    with(&mut simulation, true, &|_, root| root.end_as(Ending::Panicked));
    with(&mut simulation, true, &|_, root| root.end_as(Ending::Cancelled));
    with(&mut simulation, false, &|_, root| root.end_as(Ending::Dropped));
    with(&mut simulation, false, &|_, mut root| {
        root.set_attribute("health", true);
        fail(root);
    });
    for (millis, plan, kept) in [(251, "pro-1", true), (249, "pro-1", false), (251, "free", false)]
    {
        with(&mut simulation, kept, &|simulation, root| {
            let mut child = simulation.child(&root.context());
            child.set_attribute("plan", plan);
            child.end();
            simulation.advance(Duration::from_millis(millis));
            root.end();
        });
    }
    with(&mut simulation, true, &|simulation, root| {
        simulation.below_remote(0, root.span_context(), Carried::default()).end();
        root.end();
    });
    simulation.run(Duration::from_secs(6));
    for (i, (id, kept)) in expected.into_iter().enumerate() {
        assert_eq!(simulation.delivered(id).spans > 0, kept, "case {i}");
    }
}

/// PRB-9 ("Downstream threshold" of tracestate-probability-sampling): the higher
/// threshold counts. PRB-7: none is invented where the head's is not known.
#[test]
fn each_span_says_how_many_traces_it_stands_for() {
    let mut simulation = TailSimulation::new(TailSetup::new(vec![
        rule(Failed, Amount::All),
        rule(AnyTrace, Amount::ratio(0.25)),
    ]));
    // Kept by every threshold, and by `c` but not by more.
    let (high, low) = (0x00ff_ffff_ffff_ffff_u64, 0x00c0_0000_0000_0000);
    for (i, (randomness, state, fails, kept, adjusted, relative)) in [
        (high, "ot=th:8", false, true, Some(4.0), None),
        (high, "ot=th:e", false, true, Some(8.0), None),
        (low, "ot=th:8", false, true, Some(4.0), None),
        (low - 1, "ot=th:8", false, false, None, None),
        (low - 1, "ot=th:8", true, true, Some(2.0), None),
        (high, "", false, true, None, Some(4.0)),
        (high, "", true, true, None, Some(1.0)),
        (0, "ot=rv:ffffffffffffff", false, true, None, Some(4.0)),
        (high, "ot=rv:00000000000000", false, false, None, None),
    ]
    .into_iter()
    .enumerate()
    {
        // Each is another trace.
        let mut id = [i as u8 + 1; 16];
        id[9..].copy_from_slice(&randomness.to_be_bytes()[1..]);
        let id = TraceId::from_bytes(id);
        let caller = SpanContext::remote(id, SpanId::from_bytes([1; 8]), TraceFlags::SAMPLED);
        let state = TraceStateBuf::from_headers([state.as_bytes()]).expect("well-formed");
        let carried = Carried::default().with_trace_state(&state);
        let server = simulation.below_remote(0, caller, carried);
        simulation.child(&server.context()).end();
        if fails {
            fail(server)
        } else {
            server.end()
        }
        simulation.flush();
        let delivered = simulation.take_delivered(id);
        let found = (delivered.spans, delivered.adjusted_count, delivered.relative_count);
        let expected = (if kept { 2 } else { 0 }, adjusted, relative);
        assert_eq!(found, expected, "case {i}");
    }
}

/// A sampler that decides by itself what part it keeps leaves the head unknown.
#[test]
fn a_trace_that_begins_here_says_a_threshold_only_if_all_such_traces_are_sampled() {
    #[derive(Debug)]
    struct Moody;
    impl Sampler for Moody {
        fn should_sample(
            &self,
            _: &throughline_core::SamplingParameters<'_>,
            _: &mut throughline_core::Additions<'_>,
        ) -> Decision {
            Decision::RecordAndSample
        }
        fn description(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("Moody")
        }
    }
    for (sampler, adjusted, relative) in [(None, Some(1.0), None), (Some(&Moody), None, Some(1.0))]
    {
        let mut setup = failures();
        if let Some(moody) = sampler {
            setup.sampler = moody;
        }
        let mut simulation = TailSimulation::new(setup);
        let root = simulation.root(0);
        let id = trace(&root);
        fail(root);
        simulation.flush();
        let delivered = simulation.delivered(id);
        assert_eq!((delivered.adjusted_count, delivered.relative_count), (adjusted, relative));
    }
}

#[test]
fn a_limit_of_traces_per_second_holds_and_its_counts_are_true() {
    let limit = Amount::rate(20, Duration::from_secs(1));
    let mut simulation = TailSimulation::new(TailSetup::new(vec![rule(AnyTrace, limit)]));
    let (seconds, per_second) = (60, 500);
    for _ in 0..seconds * per_second {
        simulation.root(0).end();
        simulation.run(Duration::from_secs(1) / per_second);
    }
    simulation.run(Duration::from_secs(6));
    let kept = simulation.stats().traces_kept;
    assert!(kept <= 20 + 20 * 67, "{kept}");
    assert!(kept >= 20 * u64::from(seconds) / 2, "{kept}");
    let counts = simulation.all_delivered().values().filter_map(|trace| trace.adjusted_count);
    let (sum, all) = (counts.sum::<f64>(), f64::from(seconds * per_second));
    // Each stands for about 25: a standard deviation is 3 %.
    assert!((sum / all - 1.0).abs() < 0.15, "{sum} for {all}");
}

#[test]
fn trace_states_of_others_stay_as_they_are() {
    let mut simulation = TailSimulation::new(failures());
    let caller = SpanContext::remote(
        TraceId::from_bytes([9; 16]),
        SpanId::from_bytes([1; 8]),
        TraceFlags::SAMPLED,
    );
    let state = TraceStateBuf::from_headers([b"a=1,ot=th:08,b=2".as_slice()]).expect("well-formed");
    let carried = Carried::default().with_trace_state(&state);
    fail(simulation.below_remote(0, caller, carried));
    simulation.flush();
    let delivered = simulation.delivered(TraceId::from_bytes([9; 16]));
    assert_eq!(delivered.trace_state, TraceState::parse("a=1,ot=th:08,b=2").unwrap().as_str());
}

#[test]
fn more_conditions_than_can_be_noted_are_an_error() {
    let with = |conditions: usize| {
        let none = TailSampling::new();
        (0..conditions).fold(none, |tail, _| tail.keep(HasAttribute("a", "b"))).build()
    };
    assert!(with(64).is_ok());
    let error = with(65).expect_err("a bit for each");
    assert!(error.to_string().contains("64"), "{error}");
}
