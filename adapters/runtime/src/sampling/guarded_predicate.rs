//! A predicate of the program's own, which may panic.

use core::any::TypeId;
use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use throughline_core::SpanView;
use throughline_core::tail::{Facts, HasAttribute, Predicate};

use crate::export::transmission::exporting;
use crate::report::notice::Notice;

/// Asks a predicate of tail sampling, and catches what it throws: of a span it has noted
/// nothing then, a trace does not match. Told once.
/// ([ERR-4](https://opentelemetry.io/docs/specs/otel/error-handling/#guidance))
pub(crate) struct GuardedPredicate<P> {
    predicate: P,
    width: u32,
    is_ours: bool,
    panicked: Arc<Notice>,
}

impl<P: Predicate + 'static> GuardedPredicate<P> {
    pub(crate) fn new(predicate: P, panicked: Arc<Notice>) -> Self {
        // The one that is asked about each span and has no closure.
        let is_ours = TypeId::of::<P>() == TypeId::of::<HasAttribute<&'static str>>()
            || TypeId::of::<P>() == TypeId::of::<HasAttribute<String>>();
        GuardedPredicate { width: predicate.width(), predicate, is_ours, panicked }
    }
}

impl<P> GuardedPredicate<P> {
    /// The thread that drives asks, under its locks: what a panic hook then wants of the
    /// pipeline is refused, as in an exporter.
    fn ask<T>(&self, question: impl FnOnce(&P) -> T) -> Option<T> {
        let answer = exporting(|| question(&self.predicate));
        if answer.is_err() {
            self.panicked.note();
        }
        answer.ok()
    }
}

impl<P: Predicate> Predicate for GuardedPredicate<P> {
    fn width(&self) -> u32 {
        self.width
    }

    fn note(&self, span: &SpanView<'_>) -> u64 {
        match (self.width, self.is_ours) {
            (0, _) => 0,
            (_, true) => self.predicate.note(span),
            _ => self.ask(|predicate| predicate.note(span)).unwrap_or(0),
        }
    }

    fn matches(&self, trace: &Facts) -> bool {
        self.ask(|predicate| predicate.matches(trace)).unwrap_or(false)
    }

    fn description(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        catch_unwind(AssertUnwindSafe(|| self.predicate.description(f))).unwrap_or(Ok(()))
    }
}
