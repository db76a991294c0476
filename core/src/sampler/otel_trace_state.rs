//! The member `ot` of the trace state.

use core::fmt::Write;

use heapless::String;

use super::{Randomness, Threshold};
use crate::w3c::{TraceState, TraceStateBuf};

/// What OpenTelemetry hands on in the trace state: the value of its member `ot`,
/// which is pairs `key:value` with semicolons between them.
///
/// ```
/// use throughline_core::{OtelTraceState, w3c::TraceState};
///
/// let state = TraceState::parse("ot=th:c;rv:6e6d1a75832a2f,vendor=1").unwrap();
/// let ot = OtelTraceState::of(state);
/// assert_eq!(ot.threshold().unwrap().adjusted_count(), 4.0);
/// assert_eq!(ot.randomness().unwrap().to_string(), "6e6d1a75832a2f");
/// ```
///
/// ([TraceState handling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/))
#[derive(Clone, Copy, Debug)]
pub struct OtelTraceState<'a> {
    state: TraceState<'a>,
    value: &'a str,
}

impl<'a> OtelTraceState<'a> {
    /// What this trace state has of it, possibly nothing.
    #[inline]
    pub fn of(state: TraceState<'a>) -> Self {
        OtelTraceState { state, value: state.get(OT).unwrap_or_default() }
    }

    /// The threshold by which the span was kept, `th`. None where its adjusted
    /// count is not known, and where the text is none.
    pub fn threshold(&self) -> Option<Threshold> {
        self.get(TH).and_then(Threshold::parse)
    }

    /// The explicit randomness of the trace, `rv`.
    pub fn randomness(&self) -> Option<Randomness> {
        self.get(RV).and_then(Randomness::parse)
    }

    /// The value of a sub-key, from the left-most pair that has it.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.pairs().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The whole trace state with this `th`, or without one; `None` where it is
    /// so already.
    ///
    /// Every other sub-key stays. Where they leave no room below 256 characters,
    /// there is no `th`: an unknown count is better than a wrong one.
    /// ([Setting values](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/#setting-values))
    pub fn with_threshold(&self, threshold: Option<Threshold>) -> Option<TraceStateBuf> {
        let is_so = match threshold {
            Some(_) => self.threshold() == threshold,
            None => self.get(TH).is_none(),
        };
        if is_so {
            return None;
        }
        let mut value = String::<MAX_LENGTH>::new();
        let written = match threshold {
            Some(threshold) => write!(value, "{TH}:{threshold}"),
            None => Ok(()),
        };
        if (written.is_err() || self.copy_others(&mut value).is_err()) && threshold.is_some() {
            return self.with_threshold(None);
        }
        // The key is valid, and so is a part of a valid value.
        Some(match value.as_str() {
            "" => self.state.remove(OT),
            value => self.state.insert(OT, value).unwrap_or_else(|_| self.state.remove(OT)),
        })
    }

    /// Everything but `th`.
    fn copy_others(&self, value: &mut String<MAX_LENGTH>) -> core::fmt::Result {
        for pair in self.value.split(';').filter(|pair| !pair.is_empty()) {
            if pair.split_once(':').is_none_or(|(key, _)| key != TH) {
                let separator = if value.is_empty() { "" } else { ";" };
                write!(value, "{separator}{pair}")?;
            }
        }
        Ok(())
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.value.split(';').filter_map(|pair| pair.split_once(':'))
    }
}

const OT: &str = "ot";
const TH: &str = "th";
const RV: &str = "rv";
/// The longest value of a member of the trace state.
const MAX_LENGTH: usize = 256;

#[cfg(test)]
mod tests {
    use std::string::String;

    use proptest::prelude::*;

    use super::*;

    fn with(state: &str, threshold: Option<&str>) -> Option<String> {
        let state = OtelTraceState::of(TraceState::parse(state).unwrap());
        let threshold = threshold.map(|text| Threshold::parse(text).unwrap());
        state.with_threshold(threshold).map(|state| state.as_str().into())
    }

    #[test]
    fn a_threshold_is_added_replaced_and_removed_and_all_else_stays() {
        let rv = "rv:6e6d1a75832a2f";
        for (before, threshold, after) in [
            ("", Some("c"), "ot=th:c"),
            ("vendor=1", Some("0"), "ot=th:0,vendor=1"),
            ("vendor=1,ot=th:8", Some("c"), "ot=th:c,vendor=1"),
            (&format!("ot={rv};th:8;a:b"), Some("c"), &format!("ot=th:c;{rv};a:b")),
            (&format!("ot={rv};th:8"), None, &format!("ot={rv}")),
            ("ot=th:8,vendor=1", None, "vendor=1"),
            ("ot=th:8", None, ""),
            ("ot=th:BAD;x;th:8", Some("4"), "ot=th:4;x"),
            ("ot=th:BAD", None, ""),
        ] {
            assert_eq!(with(before, threshold).as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        assert_eq!(with("vendor=1", None), None);
        assert_eq!(with("ot=rv:6e6d1a75832a2f", None), None);
        assert_eq!(with("ot=th:c", Some("c")), None);
        assert_eq!(with("ot=th:c0", Some("c")), None);
    }

    #[test]
    fn a_threshold_that_does_not_fit_is_left_out_with_the_former_one() {
        let others = format!("a:{}", "x".repeat(250));
        assert_eq!(with(&format!("ot={others}"), Some("c")), None);
        let full = format!("ot=th:8;{}", "a:".to_owned() + &"x".repeat(247));
        let wider = with(&full, Some("8888")).unwrap();
        assert_eq!(wider, full.replace("th:8;", ""));
    }

    proptest! {
        #[test]
        fn any_value_keeps_its_other_pairs(value in "[a-z]{1,3}:[A-Za-z0-9._:-]{0,9}(;[a-z]{1,3}:[a-z0-9;]{0,9}){0,6}", threshold in 0..1u64 << 56) {
            let text = format!("ot={value}");
            let state = OtelTraceState::of(TraceState::parse(&text).unwrap());
            let threshold = Threshold::new(threshold);
            if let Some(changed) = state.with_threshold(threshold) {
                let changed = OtelTraceState::of(changed.as_trace_state());
                prop_assert_eq!(changed.threshold(), threshold);
                prop_assert_eq!(changed.randomness(), state.randomness());
                for (key, value) in state.pairs().filter(|(key, _)| *key != TH) {
                    prop_assert!(changed.pairs().any(|pair| pair == (key, value)));
                }
            }
        }
    }
}
