//! What tail sampling counts, as metrics.

use std::sync::Arc;

use throughline_core::Value;
use throughline_core::tail::TailStats;

use super::{MetricPoint, SdkMetric};

/// What a tail sampler says about itself at a moment.
#[derive(Clone, Debug)]
pub(crate) struct TailReading {
    pub(crate) stats: TailStats,
    /// The traces that wait.
    pub(crate) undecided: u64,
    /// What metrics call it, whichever pipeline tells them.
    pub(crate) name: Arc<str>,
    pub(crate) kind: &'static str,
}

impl TailReading {
    /// The values of one of [`SdkMetric::TAIL`].
    pub(super) fn points(&self, metric: SdkMetric) -> Vec<MetricPoint<'_>> {
        const DECISION: &str = "throughline.tail.decision";
        let stats = &self.stats;
        let point = |value, attribute: &[(&'static str, Value<'static>)]| {
            let sampler = [
                ("otel.component.name", Value::Str(&self.name)),
                ("otel.component.type", Value::Str(self.kind)),
            ];
            let attributes = [&sampler, attribute].concat();
            MetricPoint { metric, value, attributes }
        };
        let (kept, dropped) = ((DECISION, Value::Str("kept")), (DECISION, Value::Str("dropped")));
        match metric {
            SdkMetric::TailDecided => {
                let rules = stats.kept_by_rule.iter().enumerate().filter(|(_, count)| **count > 0);
                let rule = |number: usize| ("throughline.tail.rule", Value::I64(number as i64));
                let of_rules = rules.map(|(number, count)| point(*count, &[kept, rule(number)]));
                of_rules.chain([point(stats.traces_dropped, &[dropped])]).collect()
            }
            SdkMetric::TailFailed => {
                let lost = stats.error_traces.saturating_sub(stats.error_traces_kept);
                vec![point(stats.error_traces_kept, &[kept]), point(lost, &[dropped])]
            }
            SdkMetric::TailForced => {
                let causes = [
                    ("early", stats.decided_early),
                    ("overdue", stats.decided_overdue),
                    ("flush", stats.decided_by_flush),
                    ("without_root", stats.decided_without_root),
                ];
                let cause = |name| ("throughline.tail.cause", Value::Str(name));
                causes.map(|(name, count)| point(count, &[cause(name)])).into()
            }
            SdkMetric::TailUndecided => vec![point(self.undecided, &[])],
            _ => Vec::new(),
        }
    }
}
