//! What a span tells of children that were too many to export.

use throughline_core::{
    SURPLUS_COUNT_ATTRIBUTE, SURPLUS_MAX_ATTRIBUTE, SURPLUS_MIN_ATTRIBUTE, SURPLUS_SUM_ATTRIBUTE,
    SURPLUS_UNTIMED_ATTRIBUTE,
};

use crate::duration::Human;
use crate::{FinishedSpan, Value};

/// `2000 more children, not sent: min/avg/max 1ms/2ms/3ms`, if there are any.
pub(crate) fn surplus(span: &FinishedSpan) -> Option<String> {
    let number = |key| match span.attribute(key) {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let count = number(SURPLUS_COUNT_ATTRIBUTE).filter(|count| *count > 0)?;
    let plural = if count == 1 { "child" } else { "children" };
    let mut text = format!("{count} more {plural}, not sent");
    let untimed = number(SURPLUS_UNTIMED_ATTRIBUTE).unwrap_or(0);
    let timed = count.saturating_sub(untimed);
    let [sum, min, max] = [SURPLUS_SUM_ATTRIBUTE, SURPLUS_MIN_ATTRIBUTE, SURPLUS_MAX_ATTRIBUTE]
        .map(|key| number(key).unwrap_or(0));
    if let Some(mean) = sum.checked_div(timed) {
        text += &format!(": min/avg/max {}/{}/{}", Human(min), Human(mean), Human(max));
    }
    if untimed > 0 && timed > 0 {
        text += &format!(", {untimed} untimed");
    }
    Some(text)
}
