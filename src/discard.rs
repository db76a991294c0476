//! An exporter that sends nothing.

use core::future::{Ready, ready};

use throughline_core::{Accepted, Batch, ExportError, SpanExporter};
use throughline_runtime::{Exporter, Runtime};

/// Takes every batch and forgets it: for programs that want ids in their logs
/// and headers, and no backend. Its spans count as
/// [`RecordOnly`](crate::DropReason::RecordOnly), and not as exported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl<R: Runtime> Exporter<R> for Discard {
    type Connection = Discard;

    fn connect(&self, _: &R) -> Discard {
        Discard
    }

    fn discards(&self) -> bool {
        true
    }
}

impl SpanExporter for Discard {
    type Sending = Ready<Result<Accepted, ExportError>>;

    fn export(&mut self, _: &Batch<'_>) -> Self::Sending {
        ready(Ok(Accepted::default()))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use throughline_core::{DropReason, Ledger};
    use throughline_runtime::{Destinations, Thread};

    use super::*;
    use crate::{Builder, builder, span};

    /// What became of three spans.
    fn settled(builder: Builder, destinations: Destinations<Thread>) -> Ledger {
        let telemetry = builder.start_to(Thread::start().expect("a thread"), destinations);
        telemetry.context().scope(|| {
            (0..3).for_each(|_| span!("work").in_scope(|| ()));
        });
        // Never reached: a test that waits so long has failed.
        let receipt = telemetry.shutdown_blocking(Duration::from_secs(60));
        assert!(receipt.is_complete(), "{receipt}");
        assert_eq!(receipt.failure(), None);
        *receipt.ledger()
    }

    #[test]
    fn what_is_handed_to_no_exporter_does_not_count_as_exported() {
        let one = || Destinations::to(Discard);
        for (builder, destinations) in [
            (builder(), one()),
            (builder().max_concurrent_exports(2), one()),
            (builder(), one().and(Discard)),
        ] {
            let ledger = settled(builder, destinations);
            assert_eq!(ledger.exported(), 0, "{ledger}");
            assert_eq!(ledger.dropped(DropReason::RecordOnly), 3, "{ledger}");
        }
    }
}
