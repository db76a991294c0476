//! What is measured.

/// One thing that programs do, which every system does in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scenario {
    /// Two clock reads and the copy of a record: no span costs less.
    Floor,
    /// A span below the current one, current itself while it lasts.
    Child,
    /// The same with two static strings, a number and a `String` that the
    /// program keeps, and one event.
    Attributes,
    /// A child below an unsampled span.
    Unsampled,
    /// A child where nobody listens.
    Disabled,
    /// A poll of a future in a span.
    Poll,
    /// A context that was captured becomes current, and no longer is.
    Attach,
    /// A snapshot of what is current.
    Capture,
    /// `traceparent` of a request is read, and written into another one.
    Traceparent,
    /// Both ids as hexadecimal digits, for a log line.
    Hex,
    /// [`Attributes`](Self::Attributes), as CPU time of the whole process until
    /// the OTLP bytes of the batches are there.
    TotalCpu,
}

impl Scenario {
    pub(crate) const ALL: [Scenario; 11] = [
        Scenario::Floor,
        Scenario::Child,
        Scenario::Attributes,
        Scenario::Unsampled,
        Scenario::Disabled,
        Scenario::Poll,
        Scenario::Attach,
        Scenario::Capture,
        Scenario::Traceparent,
        Scenario::Hex,
        Scenario::TotalCpu,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Scenario::Floor => "floor",
            Scenario::Child => "child",
            Scenario::Attributes => "child, 4 attributes + 1 event",
            Scenario::Unsampled => "unsampled child",
            Scenario::Disabled => "disabled",
            Scenario::Poll => "poll in a span, net",
            Scenario::Attach => "attach + detach",
            Scenario::Capture => "capture",
            Scenario::Traceparent => "traceparent extract + inject",
            Scenario::Hex => "ids as hex",
            Scenario::TotalCpu => "total CPU to OTLP bytes",
        }
    }

    /// What one sample repeats. A trace of 1,000 spans fits every queue as it is
    /// by default, so that nobody is measured while it drops.
    pub(crate) const fn operations(self) -> u32 {
        match self {
            // Flushing wakes threads; it has to vanish behind the spans.
            Scenario::TotalCpu => 8 * SPANS_PER_TRACE,
            _ => SPANS_PER_TRACE,
        }
    }

    /// Whether the time is that of all threads, instead of the caller's.
    pub(crate) const fn is_process_time(self) -> bool {
        matches!(self, Scenario::TotalCpu)
    }

    /// Whether the floor's figure is what the operation costs without tracing,
    /// and is taken off.
    pub(crate) const fn is_net(self) -> bool {
        matches!(self, Scenario::Poll)
    }
}

/// The children of each root.
pub(crate) const SPANS_PER_TRACE: u32 = 1_000;
