//! The headers of a request, in memory that is reused.

/// What comes in.
pub(crate) const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Incoming headers as a parser hands them out.
pub(crate) const INCOMING: [(&str, &str); 3] =
    [("host", "example.com"), ("traceparent", TRACEPARENT), ("accept", "*/*")];

/// The value of an outgoing header, overwritten each time.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) traceparent: String,
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        Outgoing { traceparent: String::with_capacity(64) }
    }

    #[inline]
    pub(crate) fn set_traceparent(&mut self, value: &str) {
        self.traceparent.clear();
        self.traceparent.push_str(value);
    }
}
