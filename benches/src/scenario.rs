//! What is measured.

use crate::system::Load;

/// One thing that programs do, which every system does in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scenario {
    /// Two clock reads.
    Clock,
    /// Two clock reads and the copy of a record: no span costs less.
    Floor,
    /// A span below the current one, current itself while it lasts.
    Child,
    /// The same with two static strings, a number and a `String` that the
    /// program keeps, and one event.
    Attributes,
    /// A root and its 100 children, per child.
    Trace,
    /// The same, where each child is one of [`Attributes`](Self::Attributes).
    TraceAttributes,
    /// A root that the sampler refuses.
    UnsampledRoot,
    /// A child below an unsampled span.
    Unsampled,
    /// A child where nobody listens.
    Disabled,
    /// A future that awaits ten times, in a span, on tokio.
    Awaits,
    /// The same with a child around each await.
    AwaitsChildren,
    /// A poll of a future in a span.
    Poll,
    /// A context that was captured becomes current, and no longer is.
    Attach,
    /// A snapshot of what is current.
    Capture,
    /// A task that carries the context, on tokio.
    SpawnTokio,
    /// The same on smol.
    SpawnSmol,
    /// The same on async-std.
    SpawnAsyncStd,
    /// `traceparent` of a request is read, and written into another one.
    Traceparent,
    /// Both ids as hexadecimal digits.
    Hex,
    /// The ids of the current span are looked up, and are digits for a log line.
    LogFields,
    /// [`Attributes`](Self::Attributes), as CPU time of the whole process until
    /// the OTLP bytes of the batches are there.
    TotalCpu,
}

impl Scenario {
    pub(crate) const ALL: [Scenario; 21] = [
        Scenario::Clock,
        Scenario::Floor,
        Scenario::Child,
        Scenario::Attributes,
        Scenario::Trace,
        Scenario::TraceAttributes,
        Scenario::UnsampledRoot,
        Scenario::Unsampled,
        Scenario::Disabled,
        Scenario::Awaits,
        Scenario::AwaitsChildren,
        Scenario::Poll,
        Scenario::Attach,
        Scenario::Capture,
        Scenario::SpawnTokio,
        Scenario::SpawnSmol,
        Scenario::SpawnAsyncStd,
        Scenario::Traceparent,
        Scenario::Hex,
        Scenario::LogFields,
        Scenario::TotalCpu,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Scenario::Clock => "two clock reads",
            Scenario::Floor => "floor",
            Scenario::Child => "child",
            Scenario::Attributes => "child, 4 attributes + 1 event",
            Scenario::Trace => "100 children and root, each",
            Scenario::TraceAttributes => "the same, 4 attr. + 1 event",
            Scenario::UnsampledRoot => "unsampled root",
            Scenario::Unsampled => "unsampled child",
            Scenario::Disabled => "disabled",
            Scenario::Awaits => "10 awaits in a span, net",
            Scenario::AwaitsChildren => "10 awaits in children, net",
            Scenario::Poll => "poll in a span, net",
            Scenario::Attach => "attach + detach",
            Scenario::Capture => "capture",
            Scenario::SpawnTokio => "spawn on tokio, net",
            Scenario::SpawnSmol => "spawn on smol, net",
            Scenario::SpawnAsyncStd => "spawn on async-std, net",
            Scenario::Traceparent => "traceparent extract + inject",
            Scenario::Hex => "ids as hex",
            Scenario::LogFields => "log fields",
            Scenario::TotalCpu => "total CPU to OTLP bytes",
        }
    }

    /// What one sample repeats. A sample of 1,000 spans fits every queue as it is
    /// by default, so that nobody is measured while it drops.
    pub(crate) const fn operations(self) -> u32 {
        match self {
            // Flushing wakes threads; it has to vanish behind the spans.
            Scenario::TotalCpu => 8 * SPANS_PER_TRACE,
            Scenario::AwaitsChildren => SPANS_PER_TRACE / 10,
            _ => SPANS_PER_TRACE,
        }
    }

    /// Whether the time is that of all threads, instead of the caller's.
    pub(crate) const fn is_process_time(self) -> bool {
        matches!(self, Scenario::TotalCpu)
    }

    /// Whether the floor's figures are what the operation costs without tracing,
    /// and are taken off.
    pub(crate) const fn is_net(self) -> bool {
        matches!(
            self,
            Scenario::Poll
                | Scenario::Awaits
                | Scenario::AwaitsChildren
                | Scenario::SpawnTokio
                | Scenario::SpawnSmol
                | Scenario::SpawnAsyncStd
        )
    }

    /// The load, if the scenario is [whole traces](crate::system::System::traces).
    pub(crate) const fn load(self) -> Option<Load> {
        match self {
            Scenario::Trace => Some(Load::Bare),
            Scenario::TraceAttributes => Some(Load::Attributes),
            _ => None,
        }
    }
}

/// The children of each root, where the root shall not count.
pub(crate) const SPANS_PER_TRACE: u32 = 1_000;

/// The children of each root in [`Scenario::Trace`].
pub(crate) const CHILDREN_PER_TRACE: u32 = 100;
