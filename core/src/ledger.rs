//! The ledger: what became of every span.
//!
//! `started = exported + dropped{reason} + in flight`, at every moment.

use core::fmt;

use crate::sync::{AtomicUsize, Ordering, const_fn};

/// Why a span that was started is not exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The live-span table had no slot when the span began.
    LiveTableFull,
    /// The queue had no room when the span ended.
    QueueFull,
    /// The span was larger than the queue or a batch accepts.
    TooLarge,
    /// The span was recorded for processors and logs only, or there is no exporter.
    RecordOnly,
    /// There were too many children of its parent, or spans of its call site: the
    /// parent [tells](crate::SpanBudgets) how many, and how long they took.
    Surplus,
    /// The span ended after shutdown.
    AfterShutdown,
    /// Its trace was not kept by tail sampling.
    TailSampledOut,
    /// The receiver refused it in a partial success.
    Rejected,
    /// The exporter failed for good.
    ExportFailed,
    /// The exporter failed until the attempts were used up.
    RetriesExhausted,
    /// The deadline of shutdown came first.
    Abandoned,
}

impl DropReason {
    /// All reasons, in the order of a span's way.
    pub const ALL: [DropReason; 11] = [
        DropReason::LiveTableFull,
        DropReason::QueueFull,
        DropReason::TooLarge,
        DropReason::RecordOnly,
        DropReason::Surplus,
        DropReason::AfterShutdown,
        DropReason::TailSampledOut,
        DropReason::Rejected,
        DropReason::ExportFailed,
        DropReason::RetriesExhausted,
        DropReason::Abandoned,
    ];

    /// The reason's name in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            DropReason::LiveTableFull => "live_table_full",
            DropReason::QueueFull => "queue_full",
            DropReason::TooLarge => "too_large",
            DropReason::RecordOnly => "record_only",
            DropReason::Surplus => "surplus",
            DropReason::AfterShutdown => "after_shutdown",
            DropReason::TailSampledOut => "tail_sampled_out",
            DropReason::Rejected => "rejected",
            DropReason::ExportFailed => "export_failed",
            DropReason::RetriesExhausted => "retries_exhausted",
            DropReason::Abandoned => "abandoned",
        }
    }
}

/// A reading of the counters.
///
/// Counts are of recording spans; spans that the sampler did not keep are
/// counted apart. They wrap on 32-bit targets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    started: u64,
    unsampled: u64,
    exported: u64,
    dropped: [u64; DropReason::ALL.len()],
    heartbeats: u64,
    limited: u64,
    #[cfg(not(target_os = "none"))]
    memory_limited: u64,
}

impl Ledger {
    /// Recording spans that were started.
    pub const fn started(&self) -> u64 {
        self.started
    }

    /// Spans that the sampler decided not to record.
    pub const fn unsampled(&self) -> u64 {
        self.unsampled
    }

    /// Spans that the exporter delivered.
    pub const fn exported(&self) -> u64 {
        self.exported
    }

    /// Records of spans that still ran, which were delivered: see
    /// [`Heartbeats`](crate::Heartbeats). They are counted nowhere else.
    pub const fn heartbeats(&self) -> u64 {
        self.heartbeats
    }

    /// Spans of which attributes, events or links were left out because of a
    /// [limit](crate::SpanLimits). They are among the others; the record of each says how
    /// many.
    pub const fn limited(&self) -> u64 {
        self.limited
    }

    /// Spans of which something was cut or left out because all of it did not fit into the
    /// memory that a [pipeline](crate::Parts) has for one span: a slot's, or a spill block's.
    /// They are among the others, and counted when it happens. Always 0 on bare targets.
    pub const fn memory_limited(&self) -> u64 {
        #[cfg(not(target_os = "none"))]
        return self.memory_limited;
        #[cfg(target_os = "none")]
        0
    }

    /// Spans that were lost for this reason.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Spans that were lost, for all reasons.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Spans that are neither exported nor lost: under way, queued, or being
    /// sent.
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.exported + self.dropped_total())
    }

    /// The reasons for which something was lost, with the number of spans.
    pub fn losses(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let dropped = self.dropped;
        DropReason::ALL
            .into_iter()
            .map(move |reason| (reason, dropped[reason as usize]))
            .filter(|(_, count)| *count > 0)
    }

    /// Counts spans that began, for whoever keeps books of a part of them: of what one
    /// destination of several was given, for example.
    pub fn add_started(&mut self, spans: u64) {
        self.started += spans;
    }

    /// Counts spans that were delivered.
    pub fn add_exported(&mut self, spans: u64) {
        self.exported += spans;
    }

    /// Counts spans that were lost for this reason.
    pub fn add_dropped(&mut self, reason: DropReason, spans: u64) {
        self.dropped[reason as usize] += spans;
    }

    /// Counts records of spans that still ran, which were delivered.
    pub fn add_heartbeats(&mut self, records: u64) {
        self.heartbeats += records;
    }

    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Ledger) -> Ledger {
        let mut dropped = self.dropped;
        for (count, before) in dropped.iter_mut().zip(earlier.dropped) {
            *count = count.saturating_sub(before);
        }
        Ledger {
            started: self.started.saturating_sub(earlier.started),
            unsampled: self.unsampled.saturating_sub(earlier.unsampled),
            exported: self.exported.saturating_sub(earlier.exported),
            dropped,
            heartbeats: self.heartbeats.saturating_sub(earlier.heartbeats),
            limited: self.limited.saturating_sub(earlier.limited),
            #[cfg(not(target_os = "none"))]
            memory_limited: self.memory_limited.saturating_sub(earlier.memory_limited),
        }
    }
}

impl core::ops::Add for Ledger {
    type Output = Ledger;

    fn add(mut self, other: Ledger) -> Ledger {
        self.started += other.started;
        self.unsampled += other.unsampled;
        self.exported += other.exported;
        self.heartbeats += other.heartbeats;
        self.limited += other.limited;
        #[cfg(not(target_os = "none"))]
        {
            self.memory_limited += other.memory_limited;
        }
        for (count, more) in self.dropped.iter_mut().zip(other.dropped) {
            *count += more;
        }
        self
    }
}

impl core::iter::Sum for Ledger {
    fn sum<I: Iterator<Item = Ledger>>(ledgers: I) -> Ledger {
        ledgers.fold(Ledger::default(), core::ops::Add::add)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (started, exported) = (self.started, self.exported);
        write!(f, "started {started} = exported {exported} + dropped {}", self.dropped_total())?;
        let mut separator = " (";
        for (reason, count) in self.losses() {
            write!(f, "{separator}{} {count}", reason.as_str())?;
            separator = ", ";
        }
        f.write_str(if separator == ", " { ")" } else { "" })?;
        write!(f, " + in flight {}", self.in_flight())
    }
}

/// Losses by their reasons, and only those that there are.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("started", &self.started)
            .field("unsampled", &self.unsampled)
            .field("exported", &self.exported)
            .field("dropped", &Losses(self))
            .field("in_flight", &self.in_flight())
            .field("heartbeats", &self.heartbeats)
            .field("limited", &self.limited)
            .field("memory_limited", &self.memory_limited())
            .finish()
    }
}

struct Losses<'a>(&'a Ledger);

impl fmt::Debug for Losses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.losses()).finish()
    }
}

/// The counters behind a [`Ledger`], apart from those of the shards: on cache lines that no
/// span looks at.
#[derive(Debug)]
#[cfg_attr(not(target_os = "none"), repr(align(64)))]
pub(crate) struct Counters {
    exported: AtomicUsize,
    dropped: [AtomicUsize; DropReason::ALL.len()],
    heartbeats: AtomicUsize,
    limited: AtomicUsize,
    #[cfg(not(target_os = "none"))]
    memory_limited: AtomicUsize,
}

impl Counters {
    const_fn! {
        pub(crate) fn new() -> Self {
            Counters {
                exported: AtomicUsize::new(0),
                dropped: [
                    AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0),
                    AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0),
                    AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0),
                    AtomicUsize::new(0), AtomicUsize::new(0),
                ],
                heartbeats: AtomicUsize::new(0),
                limited: AtomicUsize::new(0),
                #[cfg(not(target_os = "none"))]
                memory_limited: AtomicUsize::new(0),
            }
        }
    }

    pub(crate) fn count_exported(&self, spans: u64) {
        // Ordering: Release pairs with the Acquire in `read`: a span is seen as
        // exported only by those who see that it was started.
        self.exported.fetch_add(spans as usize, Ordering::Release);
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn count_dropped(&self, reason: DropReason, spans: u64) {
        // Ordering: Release, as for `count_exported`.
        self.dropped[reason as usize].fetch_add(spans as usize, Ordering::Release);
    }

    pub(crate) fn count_heartbeats(&self, records: u64) {
        // Ordering: Relaxed, no value is read through it.
        self.heartbeats.fetch_add(records as usize, Ordering::Relaxed);
    }

    /// Counts a span once, whatever was left out of it.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn count_limited(&self) {
        // Ordering: Relaxed, no value is read through it.
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a span once, whatever did not fit.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn count_memory_limited(&self) {
        // Ordering: Relaxed, no value is read through it.
        self.memory_limited.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads what is behind first, so that no span ends before it started: `refused` tells
    /// how many the rings had no room for.
    pub(crate) fn read(
        &self,
        refused: impl FnOnce() -> u64,
        started: impl FnOnce() -> (u64, u64),
    ) -> Ledger {
        // Ordering: Acquire, see `count_exported`.
        let exported = self.exported.load(Ordering::Acquire) as u64;
        let mut dropped = [0; DropReason::ALL.len()];
        for (count, counter) in dropped.iter_mut().zip(&self.dropped) {
            *count = counter.load(Ordering::Acquire) as u64;
        }
        dropped[DropReason::QueueFull as usize] += refused();
        let (started, unsampled) = started();
        // Nobody sends heartbeats, nor tells of limits, where code is dearer.
        let (heartbeats, limited) = match cfg!(target_os = "none") {
            true => (0, 0),
            // Ordering: Relaxed, as they were counted.
            false => (
                self.heartbeats.load(Ordering::Relaxed) as u64,
                self.limited.load(Ordering::Relaxed) as u64,
            ),
        };
        Ledger {
            started,
            unsampled,
            exported,
            dropped,
            heartbeats,
            limited,
            #[cfg(not(target_os = "none"))]
            // Ordering: Relaxed, as they were counted.
            memory_limited: self.memory_limited.load(Ordering::Relaxed) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn it_names_the_reasons_that_there_are() {
        let mut ledger = Ledger::default();
        ledger.add_started(9);
        ledger.add_exported(4);
        assert_eq!(format!("{ledger}"), "started 9 = exported 4 + dropped 0 + in flight 5");
        ledger.add_dropped(DropReason::QueueFull, 2);
        ledger.add_dropped(DropReason::ExportFailed, 3);
        assert_eq!(
            format!("{ledger}"),
            "started 9 = exported 4 + dropped 5 (queue_full 2, export_failed 3) + in flight 0"
        );
        assert_eq!(
            format!("{ledger:?}"),
            "Ledger { started: 9, unsampled: 0, exported: 4, dropped: {QueueFull: 2, \
             ExportFailed: 3}, in_flight: 0, heartbeats: 0, limited: 0, memory_limited: 0 }"
        );
    }
}
