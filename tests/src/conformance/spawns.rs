//! How work that is handed to others belongs to the span it comes from.

use futures::StreamExt;
use futures::channel::mpsc;
use throughline::w3c::BaggageBuf;
use throughline::{Carried, Carry, Context, InSpanExt, Message, SpawnPolicy, extract, span};

use super::{Stage, TestRuntime, current};

/// Each span of the work that has no other parent is a root with a link.
pub fn linked_work_begins_new_traces_that_link_back<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let origin = stage.run(async {
        let request = span!("request");
        async {
            let origin = Context::current().span_context();
            let work = async {
                // There is no span here, to log or to send along.
                assert!(!current().is_valid());
                span!("first").in_scope(|| span!("below").end());
                R::yield_now().await;
                // What is spawned in turn is no different.
                R::spawn(async { span!("second").end() }).await.expect("no panic");
                assert!(!current().is_valid());
            };
            R::spawn(work.with_context(Context::current().linked())).await.expect("no panic");
            let work = Context::current().linked().wrap(|| span!("third").end());
            R::spawn_blocking(work).await.expect("no panic");
            origin
        }
        .in_span(request)
        .await
    });
    stage.finish_with_tree(
        "
        request
        first
          below
        second
        third
        ",
    );
    let spans = ["first", "second", "third", "below"].map(|name| stage.memory.span(name));
    for root in &spans[..3] {
        assert_eq!(root.links, [origin]);
        assert_ne!(root.trace_id, origin.trace_id());
    }
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
    assert_eq!(spans[3].links, []);
}

/// Nothing refers to where it came from.
pub fn detached_work_begins_new_traces<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let work = async {
            let work = async { span!("detached").in_scope(|| assert!(current().is_valid())) };
            R::spawn(work.with_context(Context::current().detached())).await.expect("no panic");
            // Without a span there is nothing to link to.
            let nowhere = Context::current().detached().linked();
            R::spawn(async { span!("nowhere").end() }.with_context(nowhere))
                .await
                .expect("no panic");
        };
        work.in_span(span!("request")).await;
    });
    stage.finish_with_tree("request\ndetached\nnowhere");
    assert!(stage.memory.spans().iter().all(|span| span.links.is_empty()));
}

fn has_tenant(context: &Context) -> bool {
    context.carried().baggage().get("tenant").is_some_and(|value| value == "7")
}

/// A trace state is of its trace: neither a new one records it, nor does it go on.
/// TP-15 ([Restarting](https://www.w3.org/TR/trace-context-2/#restart-trace)).
pub fn a_new_trace_leaves_the_trace_state_behind<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    let headers = [
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "vendor=1"),
    ];
    stage.run(async {
        let pipeline = stage.telemetry.pipeline();
        let incoming = extract(&headers[..]).with_pipeline(pipeline);
        let state = || Context::current().carried().trace_state().as_str().to_owned();
        incoming.scope(|| span!("served").in_scope(|| assert_eq!(state(), "vendor=1")));
        let left = [incoming.clone().linked(), incoming.detached()];
        for context in left {
            let work = async move { span!("queued").in_scope(|| assert_eq!(state(), "")) };
            R::spawn(work.with_context(context)).await.expect("no panic");
        }
    });
    stage.finish_with_tree("served (remote parent)\nqueued\nqueued");
    for span in stage.memory.spans() {
        assert_eq!(span.trace_state, if span.name == "served" { "vendor=1" } else { "" });
    }
}

/// What is not the span goes along.
pub fn a_policy_keeps_pipeline_suppression_and_baggage<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let mut baggage = BaggageBuf::new();
        baggage.insert("tenant", "7", "").expect("it is valid");
        let carried = Carried::default().with_baggage(&baggage);
        let work = async {
            for policy in [SpawnPolicy::Child, SpawnPolicy::Linked, SpawnPolicy::Detached] {
                let context = policy.apply(Context::current());
                let work = async {
                    let context = Context::current();
                    assert!(has_tenant(&context));
                    span!("recorded").in_scope(|| {
                        let context = Context::current();
                        assert!(has_tenant(&context));
                    });
                };
                R::spawn(work.with_context(context.clone())).await.expect("no panic");
                let work = async {
                    assert!(Context::current().is_suppressed());
                    span!("suppressed").in_scope(|| span!("below").end());
                };
                R::spawn(work.with_context(policy.apply(Context::current().suppressed())))
                    .await
                    .expect("no panic");
                R::spawn(async {}.with_context(context.suppressed())).await.expect("no panic");
            }
        };
        let context = Context::current().with_carried(carried);
        context.scope(|| work.in_span(span!("request"))).await;
    });
    stage.finish_with_tree(
        "
        request
          recorded
        recorded
        recorded
        ",
    );
    let links = stage.memory.spans().iter().map(|span| span.links.len()).sum::<usize>();
    assert_eq!(links, 1);
}

/// A thread has a context of its own, and gets it back.
pub fn a_wrapped_closure_runs_in_its_context_on_any_thread<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let [a, b] = [span!("a"), span!("b")];
        let in_a = a.context().wrap(|| span!("in a").in_scope(current));
        let in_nothing = Context::empty().wrap(current);
        let thread = std::thread::spawn(b.context().wrap(move || {
            let mine = current();
            assert_ne!(in_a(), mine);
            assert!(!in_nothing().is_valid(), "no context is a context too");
            assert_eq!(current(), mine);
            span!("in b").end();
        }));
        thread.join().expect("no panic");
        a.end();
        b.end();
    });
    stage.finish_with_tree(
        "
        a
          in a
        b
          in b
        ",
    );
}

/// An actor with a span of its own, and messages from spans and from none.
pub fn a_message_is_handled_in_the_context_in_which_it_was_sent<R: TestRuntime>(runtime: R) {
    let stage = Stage::new(runtime);
    stage.run(async {
        let (sender, mut receiver) = mpsc::unbounded::<Message<&str>>();
        let actor = async move {
            let mine = current();
            while let Some(message) = receiver.next().await {
                let is_from_nowhere = *message.value() == "nowhere";
                let (order, context) = message.clone().into_parts();
                async {
                    assert_eq!(current().is_valid(), order != "nowhere");
                    R::yield_now().await;
                    span!("awaited").end();
                }
                .with_context(context)
                .await;
                message.scope(|_| {
                    assert_eq!(current().is_valid(), !is_from_nowhere);
                    span!("handled").end();
                });
                assert_eq!(current(), mine);
            }
        };
        let actor = R::spawn(actor.in_span(span!("actor")));
        let send = |order| sender.unbounded_send(Message::new(order)).expect("the actor is there");
        span!("one").in_scope(|| send("order"));
        send("nowhere");
        drop(sender);
        actor.await.expect("no panic");
    });
    stage.finish_with_tree(
        "
        actor
        one
          awaited
          handled
        awaited
        handled
        ",
    );
}
