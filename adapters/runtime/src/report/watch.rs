//! Watches how the pipeline fares, as a machine that is told the time: what is to
//! be told once per change, and since when it has been so.
//!
//! ```text
//!                 a transmission failed
//!   ┌───────────┐ ─────────────────────▶ ┌─────────┐ given up ┌───────┐
//!   │ Delivered │                        │ Failing │ ───────▶ │ Lossy │
//!   └───────────┘ ◀───────────────────── └─────────┘          └───────┘
//!         ▲                accepted                               │
//!         └───────────────────────────────────────────────────────┘
//! ```
//!
//! Losses for want of room are watched beside it: they begin with the first one
//! and end after [`PAUSE`] without any.

use core::time::Duration;
use std::sync::Arc;

use throughline_core::tail::TailStats;
use throughline_core::{Accepted, DropReason, ExportError, Ledger};

use crate::{Diagnostic, FailedExport, Target};

#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    delivery: Delivery,
    /// When that state began.
    since: Duration,
    /// The failure of the last transmission; `None` after a success.
    failing: Option<FailedExport>,
    last_failure: Option<(FailedExport, Duration)>,
    /// Whether the last success came with a remark.
    warned: bool,
    losing: Option<Losing>,
    /// When a span was last seen to be short of something, and not for long: because of a
    /// limit, and for want of memory.
    limiting: Option<Duration>,
    lacking_memory: Option<Duration>,
    /// When a trace was last seen to be decided early, and not for long.
    hurrying: Option<Duration>,
    /// How many had been.
    hurried: u64,
    /// The losses at the last look.
    seen: Ledger,
}

/// How transmissions fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The last one succeeded, or there was none yet.
    #[default]
    Delivered,
    /// The last one failed, and is repeated.
    Failing { given_up_before: u64 },
    /// Spans were given up since the last success.
    Lossy { given_up_before: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Losing {
    before: u64,
    /// When the last loss was seen.
    last: Duration,
}

impl Watch {
    /// What became of a transmission; the ledger is from before the result was
    /// counted, and from after it.
    pub(crate) fn on_export(
        &mut self,
        now: Duration,
        result: Result<Accepted, FailedExport>,
        before: &Ledger,
        after: &Ledger,
    ) -> Option<Diagnostic> {
        self.failing = result.as_ref().err().cloned();
        let failed = match result {
            Ok(_) => return self.on_success(now, after),
            // The halves may pass: nothing has failed yet.
            Err(FailedExport { error: ExportError::TooLarge, .. }) => return None,
            Err(failed) => failed,
        };
        let error = failed.error;
        self.last_failure = Some((failed, now));
        let is_lost = given_up(after) > given_up(before);
        let (given_up_before, is_new) = match self.delivery {
            Delivery::Delivered => (given_up(before), true),
            Delivery::Failing { given_up_before } | Delivery::Lossy { given_up_before } => {
                (given_up_before, false)
            }
        };
        if is_new {
            self.since = now;
        }
        if is_lost {
            self.delivery = Delivery::Lossy { given_up_before };
        } else if is_new {
            self.delivery = Delivery::Failing { given_up_before };
        }
        is_new.then(|| Diagnostic::failing(error))
    }

    /// What the receiver said beside accepting a batch: told when it begins to, and not
    /// again before a batch was accepted without a word.
    pub(crate) fn on_warning(
        &mut self,
        result: Result<Accepted, ExportError>,
        remark: Option<&Arc<str>>,
    ) -> Option<Diagnostic> {
        let Ok(Accepted { rejected }) = result else { return None };
        let was_warned = core::mem::replace(&mut self.warned, remark.is_some());
        let message = remark.filter(|_| !was_warned)?.clone();
        Some(Diagnostic::PartialSuccess { target: Target::default(), rejected, message })
    }

    fn on_success(&mut self, now: Duration, after: &Ledger) -> Option<Diagnostic> {
        let given_up_before = match core::mem::take(&mut self.delivery) {
            Delivery::Delivered => return None,
            Delivery::Failing { given_up_before } | Delivery::Lossy { given_up_before } => {
                given_up_before
            }
        };
        let after_failing = now.saturating_sub(self.since);
        self.since = now;
        let lost = given_up(after).saturating_sub(given_up_before);
        Some(Diagnostic::ExportRecovered { after: after_failing, lost })
    }

    /// Looks for spans of which something was left out: told when that begins, once
    /// for all of them until [`PAUSE`] is over without any. To be called before
    /// [`look`](Self::look).
    pub(crate) fn look_at_limits(&mut self, now: Duration, ledger: &Ledger) -> Option<Diagnostic> {
        let spans = ledger.since(&self.seen).limited();
        begins(&mut self.limiting, now, spans).then_some(Diagnostic::LimitsExceeded { spans })
    }

    /// Looks for spans whose memory was too small, in the same way.
    pub(crate) fn look_at_memory(&mut self, now: Duration, ledger: &Ledger) -> Option<Diagnostic> {
        let spans = ledger.since(&self.seen).memory_limited();
        let begins = begins(&mut self.lacking_memory, now, spans);
        begins.then_some(Diagnostic::SpanMemoryExceeded { spans })
    }

    /// Looks for traces that tail sampling had to decide early: told when that begins, once
    /// for all of them until [`PAUSE`] is over without any.
    pub(crate) fn look_at_tail(&mut self, now: Duration, tail: &TailStats) -> Option<Diagnostic> {
        let traces = tail.decided_early.saturating_sub(self.hurried);
        self.hurried = tail.decided_early;
        begins(&mut self.hurrying, now, traces).then_some(Diagnostic::TailDecidesEarly { traces })
    }

    /// Looks at the losses for want of room. To be called now and then; a call too
    /// many does nothing.
    pub(crate) fn look(&mut self, now: Duration, ledger: &Ledger) -> Option<Diagnostic> {
        let new = ledger.since(&self.seen);
        let count = refused(&new);
        self.seen = *ledger;
        match (&mut self.losing, count) {
            (None, 0) => None,
            (None, lost) => {
                let before = refused(ledger) - lost;
                self.losing = Some(Losing { before, last: now });
                let most = |reason: &DropReason| new.dropped(*reason);
                let reason = REFUSED.into_iter().max_by_key(most).unwrap_or(DropReason::QueueFull);
                Some(Diagnostic::LosingSpans { reason, lost })
            }
            (Some(losing), 0) if now.saturating_sub(losing.last) >= PAUSE => {
                let lost = refused(ledger).saturating_sub(losing.before);
                self.losing = None;
                Some(Diagnostic::LossEnded { lost })
            }
            (Some(_), 0) => None,
            (Some(losing), _) => {
                losing.last = now;
                None
            }
        }
    }

    /// How transmissions fare, and since when.
    pub(crate) fn delivery(&self) -> (Delivery, Duration) {
        (self.delivery, self.since)
    }

    /// The failure of the last transmission, if it failed.
    pub(crate) fn failing(&self) -> Option<&FailedExport> {
        self.failing.as_ref()
    }

    /// The last failure of a transmission and its time, also after a success.
    pub(crate) fn last_failure(&self) -> Option<&(FailedExport, Duration)> {
        self.last_failure.as_ref()
    }

    /// Whether spans are being lost for want of room.
    pub(crate) fn is_losing(&self) -> bool {
        self.losing.is_some()
    }
}

/// Whether it is new that there are such spans; it is again after [`PAUSE`] without any.
fn begins(last: &mut Option<Duration>, now: Duration, spans: u64) -> bool {
    match *last {
        _ if spans > 0 => return last.replace(now).is_none(),
        Some(before) if now.saturating_sub(before) >= PAUSE => *last = None,
        _ => {}
    }
    false
}

/// Spans that the exporter was given and did not deliver.
fn given_up(ledger: &Ledger) -> u64 {
    ledger.dropped(DropReason::ExportFailed) + ledger.dropped(DropReason::RetriesExhausted)
}

/// Spans that were lost before the exporter, or refused behind it.
fn refused(ledger: &Ledger) -> u64 {
    REFUSED.into_iter().map(|reason| ledger.dropped(reason)).sum()
}

const REFUSED: [DropReason; 4] =
    [DropReason::LiveTableFull, DropReason::QueueFull, DropReason::TooLarge, DropReason::Rejected];

/// How long no span is lost before that is told.
const PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use throughline_core::{Callsite, Failure, Scope, Value};

    use super::*;
    use crate::setup::pipeline::create;
    use crate::{Context, PipelineOptions, Span};

    fn now(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const DOWN: ExportError = ExportError::Retry { after: None, failure: Failure::Connect };

    fn failed(error: ExportError) -> FailedExport {
        FailedExport { error, endpoint: None, detail: Some("refused".into()) }
    }

    fn fail(watch: &mut Watch, seconds: u64) -> Option<Diagnostic> {
        let ledger = Ledger::default();
        watch.on_export(now(seconds), Err(failed(DOWN)), &ledger, &ledger)
    }

    fn succeed(watch: &mut Watch, seconds: u64) -> Option<Diagnostic> {
        let ledger = Ledger::default();
        watch.on_export(now(seconds), Ok(Accepted::default()), &ledger, &ledger)
    }

    /// ERR-6: told once per change of state
    /// ([Self-diagnostics](https://opentelemetry.io/docs/specs/otel/error-handling/#self-diagnostics)).
    #[test]
    fn a_failure_is_told_once_and_so_is_the_recovery() {
        let mut watch = Watch::default();
        assert_eq!(succeed(&mut watch, 1), None);
        assert_eq!(fail(&mut watch, 2), Some(Diagnostic::failing(DOWN)));
        assert_eq!(fail(&mut watch, 3), None);
        assert_eq!(watch.delivery(), (Delivery::Failing { given_up_before: 0 }, now(2)));
        assert_eq!(watch.last_failure(), Some(&(failed(DOWN), now(3))));
        assert_eq!(watch.failing(), Some(&failed(DOWN)));
        let recovered = Diagnostic::ExportRecovered { after: now(8), lost: 0 };
        assert_eq!(succeed(&mut watch, 10), Some(recovered));
        assert_eq!(succeed(&mut watch, 11), None);
        assert_eq!(watch.failing(), None);
        assert_eq!(watch.last_failure(), Some(&(failed(DOWN), now(3))));
        assert_eq!(watch.delivery(), (Delivery::Delivered, now(10)));
        assert_eq!(fail(&mut watch, 12), Some(Diagnostic::failing(DOWN)));
    }

    /// OTLP-11: a partial success may be a warning alone
    /// ([Partial success](https://opentelemetry.io/docs/specs/otlp/#partial-success-1)).
    #[test]
    fn a_warning_of_the_receiver_is_told_until_it_accepts_without_a_word() {
        let mut watch = Watch::default();
        let (soon, later) = (Arc::from("the key `a` is deprecated"), Arc::from("so is `b`"));
        let mut accept = |rejected, remark: Option<&Arc<str>>| {
            watch.on_warning(Ok(Accepted { rejected }), remark)
        };
        let told = |rejected, message: &Arc<str>| {
            let (target, message) = (Target::default(), message.clone());
            Some(Diagnostic::PartialSuccess { target, rejected, message })
        };
        assert_eq!(accept(0, None), None);
        assert_eq!(accept(0, Some(&soon)), told(0, &soon));
        assert_eq!(accept(7, Some(&later)), None);
        assert_eq!(accept(0, None), None);
        assert_eq!(accept(7, Some(&later)), told(7, &later));
        assert_eq!(watch.on_warning(Err(DOWN), Some(&soon)), None);
    }

    #[test]
    fn a_batch_that_is_halved_has_not_failed() {
        let mut watch = Watch::default();
        let ledger = Ledger::default();
        let too_large = failed(ExportError::TooLarge);
        assert_eq!(watch.on_export(now(1), Err(too_large.clone()), &ledger, &ledger), None);
        assert_eq!((watch.failing(), watch.last_failure()), (Some(&too_large), None));
        assert_eq!(watch.delivery().0, Delivery::Delivered);
    }

    /// The ledger of a pipeline for one live span, after `lost` found no room.
    fn ledger_of(lost: usize) -> Ledger {
        let options = PipelineOptions { max_live_spans: 1, ..PipelineOptions::default() };
        let pipeline = create(&options).pipeline;
        Context::current().with_pipeline(pipeline).scope(|| {
            let held = Span::start(&CALLSITE, |_| ());
            held.in_scope(|| (0..lost).for_each(|_| drop(Span::start(&CALLSITE, |_| ()))));
        });
        pipeline.ledger()
    }

    static CALLSITE: Callsite = Callsite::new("work", &Scope::new("", ""));

    /// LIM-7: said at most once per span, and for a burst of spans once
    /// ([Span limits](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits)).
    #[test]
    fn limits_that_are_exceeded_are_told_once_until_a_pause_without_any() {
        let mut limits = throughline_core::SpanLimits::new();
        (limits.attribute_count, limits.event_count) = (1, 1);
        let options = PipelineOptions { limits, ..PipelineOptions::default() };
        let pipeline = create(&options).pipeline;
        let end_one = |attributes: usize| {
            Context::current().with_pipeline(pipeline).scope(|| {
                let mut span = Span::start(&CALLSITE, |_| ());
                for key in ["a", "b", "c"].into_iter().take(attributes) {
                    span.set_attribute(key, 1i64);
                    span.add_event(key, &[]);
                }
                span.end();
            });
        };
        let mut watch = Watch::default();
        let mut look = |seconds| {
            let ledger = pipeline.ledger();
            let said = watch.look_at_limits(now(seconds), &ledger);
            assert_eq!(watch.look(now(seconds), &ledger), None);
            said
        };
        end_one(1);
        assert_eq!(look(1), None);
        // What is left out of one span is one span, however much it is.
        end_one(3);
        end_one(2);
        assert_eq!(look(2), Some(Diagnostic::LimitsExceeded { spans: 2 }));
        end_one(3);
        assert_eq!(look(3), None);
        assert_eq!(look(12), None);
        assert_eq!(look(13), None);
        end_one(3);
        assert_eq!(look(14), Some(Diagnostic::LimitsExceeded { spans: 1 }));
        assert_eq!(pipeline.ledger().limited(), 4);
    }

    /// LIM-7: what no limit is to blame for is told as what it is, and apart
    /// ([Span limits](https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-limits)).
    #[test]
    fn spans_that_do_not_fit_their_memory_are_told_apart_from_limits() {
        let mut limits = throughline_core::SpanLimits::new();
        limits.event_count = 1;
        let options = PipelineOptions { limits, ..PipelineOptions::default() };
        let pipeline = create(&options).pipeline;
        let end_one = |events: usize, bytes: usize| {
            Context::current().with_pipeline(pipeline).scope(|| {
                let mut span = Span::start(&CALLSITE, |_| ());
                (0..events).for_each(|_| span.add_event("event", &[]));
                // The second finds no room that would be worth anything.
                span.set_attribute("text", "x".repeat(bytes).as_str());
                span.set_attribute("numbers", Value::I64s(&vec![i64::MAX; bytes]));
                span.end();
            });
        };
        let mut watch = Watch::default();
        let mut look = |seconds| {
            let ledger = pipeline.ledger();
            let said = [
                watch.look_at_limits(now(seconds), &ledger),
                watch.look_at_memory(now(seconds), &ledger),
            ];
            assert_eq!(watch.look(now(seconds), &ledger), None);
            said
        };
        end_one(1, 10);
        assert_eq!(look(1), [None, None]);
        end_one(1, 20_000);
        end_one(1, 20_000);
        assert_eq!(look(2), [None, Some(Diagnostic::SpanMemoryExceeded { spans: 2 })]);
        end_one(1, 20_000);
        assert_eq!(look(3), [None, None]);
        assert_eq!(look(13), [None, None]);
        let limited = Diagnostic::LimitsExceeded { spans: 1 };
        end_one(2, 20_000);
        let lacking = Diagnostic::SpanMemoryExceeded { spans: 1 };
        assert_eq!(look(14), [Some(limited), Some(lacking)]);
        let ledger = pipeline.ledger();
        assert_eq!((ledger.limited(), ledger.memory_limited()), (1, 4));
    }

    #[test]
    fn traces_decided_early_are_told_once_until_a_pause_without_any() {
        let mut watch = Watch::default();
        let mut tail = TailStats::default();
        let mut look = |seconds, early| {
            tail.decided_early = early;
            watch.look_at_tail(now(seconds), &tail)
        };
        assert_eq!(look(1, 0), None);
        assert_eq!(look(2, 3), Some(Diagnostic::TailDecidesEarly { traces: 3 }));
        assert_eq!(look(3, 9), None);
        assert_eq!(look(12, 9), None);
        assert_eq!(look(13, 9), None);
        assert_eq!(look(14, 10), Some(Diagnostic::TailDecidesEarly { traces: 1 }));
    }

    /// BSP-9: said when loss starts and when it stops
    /// ([Non-blocking and memory](https://opentelemetry.io/docs/specs/otel/performance/#trade-off-between-non-blocking-and-memory-consumption)).
    #[test]
    fn losses_are_told_when_they_begin_and_after_a_pause_without_any() {
        let [none, two, five] = [0, 2, 5].map(ledger_of);
        let mut watch = Watch::default();
        assert_eq!(watch.look(now(1), &none), None);
        let reason = DropReason::LiveTableFull;
        assert_eq!(watch.look(now(2), &two), Some(Diagnostic::LosingSpans { reason, lost: 2 }));
        assert!(watch.is_losing());
        assert_eq!(watch.look(now(11), &five), None);
        assert_eq!(watch.look(now(20), &five), None);
        assert_eq!(watch.look(now(21), &five), Some(Diagnostic::LossEnded { lost: 5 }));
        assert!(!watch.is_losing());
        assert_eq!(watch.look(now(99), &five), None);
    }
}
