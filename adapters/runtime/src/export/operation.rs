//! How long exports take, and how they end.

use core::time::Duration;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use throughline_core::{Accepted, ExportError, Failure, Value};

use crate::export::fan_out::Place;
use crate::report::metrics::Names;
use crate::{Context, grpc_code_name};

/// One export that has ended, over all its attempts and the waits between them: a value of
/// the histogram `otel.sdk.exporter.operation.duration`.
///
/// An export is what an exporter gets at a time. A batch that is too large for the
/// receiver becomes two; the first half has the time of the whole.
/// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/))
#[derive(Clone, Debug)]
pub struct ExportOperation {
    duration: Duration,
    end: End,
    exporter: usize,
    names: Arc<Names>,
}

/// The durations of exports that ended alike.
#[derive(Clone, Debug)]
pub struct ExportDurations {
    tally: Tally,
    end: End,
    exporter: usize,
    names: Arc<Names>,
}

impl ExportOperation {
    /// The name of the metric.
    pub const NAME: &'static str = "otel.sdk.exporter.operation.duration";

    /// What it measures, in a sentence.
    pub const DESCRIPTION: &'static str =
        "How long exporting a batch took, over all attempts and the waits between them.";

    /// The unit: seconds.
    pub const UNIT: &'static str = "s";

    /// The upper bounds of the histogram's buckets in seconds; a last bucket has none.
    /// ([Boundaries](https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration))
    pub const BOUNDS: [f64; 14] =
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

    /// From the beginning of the first attempt to the end of the last.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Why it failed; nothing where all spans were accepted.
    pub fn error_type(&self) -> Option<Cow<'static, str>> {
        self.end.error_type()
    }

    /// Hands the attributes of the metric to the closure: the component, the server if
    /// there is one, `error.type` if it failed, and `http.response.status_code` or
    /// `rpc.status_code` if there was an answer.
    pub fn with_attributes<R>(
        &self,
        use_them: impl FnOnce(&[(&'static str, Value<'_>)]) -> R,
    ) -> R {
        with_attributes(&self.names, self.exporter, self.end, use_them)
    }
}

impl ExportDurations {
    /// How many exports ended so.
    pub fn count(&self) -> u64 {
        self.tally.count
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        self.tally.sum
    }

    /// How many of them are in each bucket of [`BOUNDS`](ExportOperation::BOUNDS).
    pub fn buckets(&self) -> &[u64] {
        &self.tally.buckets
    }

    /// As [`ExportOperation::with_attributes`].
    pub fn with_attributes<R>(
        &self,
        use_them: impl FnOnce(&[(&'static str, Value<'_>)]) -> R,
    ) -> R {
        with_attributes(&self.names, self.exporter, self.end, use_them)
    }
}

/// How an export ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Accepted,
    /// Some of its spans, or all.
    Rejected,
    Http(u16),
    Grpc(u8),
    TooLarge,
    /// What happened, in a word.
    Failed(&'static str),
}

impl End {
    fn of(result: Result<Accepted, ExportError>) -> Self {
        let failure = match result {
            Ok(Accepted { rejected: 0, .. }) => return End::Accepted,
            Ok(_) => return End::Rejected,
            Err(ExportError::TooLarge) => return End::TooLarge,
            Err(ExportError::Retry { failure, .. } | ExportError::Permanent(failure)) => failure,
            Err(_) => return End::Failed(OTHER),
        };
        match failure {
            Failure::Http(status) => End::Http(status),
            Failure::Grpc(code) => End::Grpc(code),
            Failure::Connect => End::Failed("connect"),
            Failure::Certificate => End::Failed("certificate"),
            Failure::Disconnected => End::Failed("disconnected"),
            Failure::Timeout => End::Failed("timeout"),
            Failure::Protocol => End::Failed("protocol"),
            Failure::Write => End::Failed("write"),
            Failure::Panicked => End::Failed("panicked"),
            Failure::Shutdown => End::Failed("already_shutdown"),
            Failure::NoRuntime => End::Failed("no_runtime"),
            _ => End::Failed(OTHER),
        }
    }

    fn error_type(self) -> Option<Cow<'static, str>> {
        match self {
            End::Accepted => None,
            End::Rejected => Some("rejected".into()),
            End::Http(status) => Some(status.to_string().into()),
            End::Grpc(code) => Some(grpc_code_name(code.into()).into()),
            End::TooLarge => Some("too_large".into()),
            End::Failed(what) => Some(what.into()),
        }
    }
}

/// A failure in a word, as the attribute `error.type` has it.
pub(crate) fn error_type(error: ExportError) -> Cow<'static, str> {
    End::of(Err(error)).error_type().unwrap_or(Cow::Borrowed(OTHER))
}

fn with_attributes<R>(
    names: &Names,
    exporter: usize,
    end: End,
    use_them: impl FnOnce(&[(&'static str, Value<'_>)]) -> R,
) -> R {
    let mut attributes = names.of_exporter(exporter);
    let error_type = end.error_type();
    if let Some(error_type) = &error_type {
        attributes.push(("error.type", Value::Str(error_type)));
    }
    // An acceptance, of a part too, is answered as the protocol demands.
    let status = match (end, names.exporter_kind(exporter)) {
        (End::Http(status), _) => Some((HTTP_STATUS, Value::I64(status.into()))),
        (End::Grpc(code), _) => Some((RPC_STATUS, Value::Str(grpc_code_name(code.into())))),
        (End::Accepted | End::Rejected, OTLP_HTTP) => Some((HTTP_STATUS, Value::I64(200))),
        (End::Accepted | End::Rejected, OTLP_GRPC) => Some((RPC_STATUS, Value::Str("OK"))),
        _ => None,
    };
    attributes.extend(status);
    use_them(&attributes)
}

/// The exports of one exporter: those under way, and those that have ended.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    /// When the first attempt of the one under way began, for each request that may be in
    /// flight.
    began: Vec<Option<Duration>>,
    ended: BTreeMap<End, Tally>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    count: u64,
    sum: Duration,
    buckets: [u64; ExportOperation::BOUNDS.len() + 1],
}

impl Operations {
    /// An attempt begins, the first one or another.
    pub(crate) fn begin(&mut self, now: Duration, place: Place) {
        if self.began.len() <= place.slot {
            self.began.resize(place.slot + 1, None);
        }
        self.began[place.slot].get_or_insert(now);
    }

    /// The last attempt has ended so.
    pub(crate) fn end(
        &mut self,
        now: Duration,
        place: Place,
        result: Result<Accepted, ExportError>,
        names: &Arc<Names>,
    ) -> Option<ExportOperation> {
        self.end_as(now, place, End::of(result), names)
    }

    /// The deadline of the shutdown came before the end of one that is under way; to be
    /// called until there is none.
    pub(crate) fn abandon(
        &mut self,
        now: Duration,
        exporter: usize,
        names: &Arc<Names>,
    ) -> Option<ExportOperation> {
        let slot = self.began.iter().position(Option::is_some)?;
        self.end_as(now, Place { lane: exporter, slot }, End::Failed("abandoned"), names)
    }

    /// What was measured so far.
    pub(crate) fn durations(&self, exporter: usize, names: &Arc<Names>) -> Vec<ExportDurations> {
        let durations = |(end, tally): (&End, &Tally)| ExportDurations {
            tally: *tally,
            end: *end,
            exporter,
            names: names.clone(),
        };
        self.ended.iter().map(durations).collect()
    }

    fn end_as(
        &mut self,
        now: Duration,
        place: Place,
        end: End,
        names: &Arc<Names>,
    ) -> Option<ExportOperation> {
        let duration = now.saturating_sub(self.began.get_mut(place.slot)?.take()?);
        // A receiver that answers anything at all is not to fill the memory.
        let is_room = self.ended.len() < MAX_ENDS || self.ended.contains_key(&end);
        let end = if is_room { end } else { End::Failed(OTHER) };
        let tally = self.ended.entry(end).or_default();
        let bounds = ExportOperation::BOUNDS.iter();
        let bucket = bounds.take_while(|bound| duration.as_secs_f64() > **bound).count();
        tally.count += 1;
        tally.sum += duration;
        if let Some(count) = tally.buckets.get_mut(bucket) {
            *count += 1;
        }
        Some(ExportOperation { duration, end, exporter: place.lane, names: names.clone() })
    }
}

/// Who is told of each export that ends.
#[derive(Default)]
pub(crate) struct Listeners(RwLock<Vec<Listener>>);

type Listener = Arc<dyn Fn(&ExportOperation) + Send + Sync>;

impl Listeners {
    pub(crate) fn add(&self, listener: Listener) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Tells all of them, under no lock of the pipeline.
    pub(crate) fn tell(&self, operation: &ExportOperation) {
        // A copy: one that is told may add another.
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let context = Context::empty().suppressed();
        for listener in all {
            let tell = || context.scope(|| listener(operation));
            // User code: what it throws is not the flusher's to die of.
            let _ = std::panic::catch_unwind(core::panic::AssertUnwindSafe(tell));
        }
    }
}

const OTHER: &str = "_OTHER";
const MAX_ENDS: usize = 100;
const HTTP_STATUS: &str = "http.response.status_code";
const RPC_STATUS: &str = "rpc.status_code";
const OTLP_HTTP: &str = "otlp_http_span_exporter";
const OTLP_GRPC: &str = "otlp_grpc_span_exporter";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Component;
    use crate::report::observe::ONLY;

    fn names(kind: &'static str) -> Arc<Names> {
        Arc::new(Names::new([Component::new(kind).with_server("collector", 4318)].into_iter()))
    }

    fn attributes(operation: &ExportOperation) -> BTreeMap<String, String> {
        operation.with_attributes(|all| {
            all.iter().map(|(key, value)| ((*key).to_owned(), format!("{value:?}"))).collect()
        })
    }

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// OBS-8: one value per export over all attempts
    /// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
    #[test]
    fn an_export_lasts_from_its_first_attempt_to_the_end_of_its_last() {
        let (mut operations, names) = (Operations::default(), names(OTLP_HTTP));
        operations.begin(at(100), ONLY);
        operations.begin(at(400), ONLY);
        let ended =
            operations.end(at(2_700), ONLY, Ok(Accepted::default()), &names).expect("it began");
        assert_eq!((ended.duration(), ended.error_type()), (at(2_600), None));
        let said = attributes(&ended);
        assert_eq!(said["http.response.status_code"], "I64(200)");
        assert_eq!(said["server.address"], "Str(\"collector\")");
        assert_eq!(said["server.port"], "I64(4318)");
        assert!(!said.contains_key("error.type"));
        assert!(operations.abandon(at(9_000), 0, &names).is_none(), "none is under way");
        let [durations] = &operations.durations(0, &names)[..] else { panic!("all ended alike") };
        assert_eq!((durations.count(), durations.sum()), (1, at(2_600)));
        assert_eq!(durations.buckets().iter().position(|count| *count == 1), Some(11));
    }

    /// OBS-8: why it failed, and the last answer
    /// ([SDK metrics](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/)).
    #[test]
    fn what_failed_says_why_and_what_the_last_answer_was() {
        let unavailable = ExportError::Retry { after: None, failure: Failure::Grpc(14) };
        let lost = ExportError::Permanent(Failure::Timeout);
        let cases = [
            (OTLP_HTTP, Ok(Accepted { rejected: 1 }), "rejected", Some("I64(200)")),
            (OTLP_HTTP, Err(ExportError::Permanent(Failure::Http(401))), "401", Some("I64(401)")),
            (OTLP_HTTP, Err(lost), "timeout", None),
            (OTLP_HTTP, Err(ExportError::TooLarge), "too_large", None),
            (OTLP_GRPC, Err(unavailable), "UNAVAILABLE", Some("Str(\"UNAVAILABLE\")")),
            (OTLP_GRPC, Ok(Accepted { rejected: 1 }), "rejected", Some("Str(\"OK\")")),
            ("memory", Ok(Accepted { rejected: 1 }), "rejected", None),
        ];
        for (kind, result, why, status) in cases {
            let (mut operations, names) = (Operations::default(), names(kind));
            operations.begin(at(0), ONLY);
            let ended = operations.end(at(1), ONLY, result, &names).expect("it began");
            let said = attributes(&ended);
            assert_eq!(said["error.type"], format!("Str({why:?})"));
            let found = said.get(HTTP_STATUS).or_else(|| said.get(RPC_STATUS));
            assert_eq!(found.map(String::as_str), status, "{kind} {why}");
        }
    }

    #[test]
    fn answers_of_all_kinds_do_not_fill_the_memory() {
        let (mut operations, names) = (Operations::default(), names(OTLP_HTTP));
        for status in 0..1_000 {
            operations.begin(at(0), ONLY);
            let result = Err(ExportError::Permanent(Failure::Http(status)));
            operations.end(at(1), ONLY, result, &names);
        }
        let durations = operations.durations(0, &names);
        assert_eq!(durations.len(), MAX_ENDS + 1);
        assert_eq!(durations.iter().map(ExportDurations::count).sum::<u64>(), 1_000);
    }
}
