//! How long to wait before sending again.

use core::time::Duration;

/// Exponential back-off with jitter, in a bounded number of repetitions.
///
/// The specification leaves the numbers open
/// ([retry](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#retry)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The delay before the first repetition. 1 s by default; doubled each time.
    pub initial_delay: Duration,
    /// The longest delay, also when the receiver asks for more. 30 s by default.
    pub max_delay: Duration,
    /// The most repetitions. 5 by default; 0 never sends again.
    pub max_repetitions: u32,
}

impl Retry {
    /// The defaults.
    pub const fn new() -> Self {
        Retry {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            max_repetitions: 5,
        }
    }

    /// The delay before the repetition after `attempt` earlier ones; `None` when
    /// there are no more. What the receiver asked for is never undercut, up to
    /// [`max_delay`](Self::max_delay).
    pub fn delay(&self, attempt: u32, asked: Option<Duration>, random: u64) -> Option<Duration> {
        if attempt >= self.max_repetitions {
            return None;
        }
        let doubled =
            self.initial_delay.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX));
        let most = doubled.min(self.max_delay);
        // Between a half and the whole, so that many programs do not return at
        // the same moment.
        let jittered = most / 2 + most / 2 * ((random >> 40) as u32) / (1 << 24);
        let asked = asked.unwrap_or(Duration::ZERO).min(self.max_delay);
        Some(jittered.max(asked))
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OTLP-8 ([Retry](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#retry)).
    #[test]
    fn delays_double_up_to_the_longest_and_end() {
        let retry = Retry { max_repetitions: 8, ..Retry::new() };
        let longest: std::vec::Vec<_> = (0..9)
            .map(|attempt| retry.delay(attempt, None, u64::MAX).map(|d| d.as_millis()))
            .collect();
        let expected = [999, 1999, 3999, 7999, 15_999, 29_999, 29_999, 29_999];
        assert_eq!(longest[..8], expected.map(Some));
        assert_eq!(longest[8], None);
    }

    /// OTLP-8 ([Retry](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#retry)).
    #[test]
    fn jitter_takes_at_most_a_half() {
        let retry = Retry::new();
        assert_eq!(retry.delay(0, None, 0), Some(Duration::from_millis(500)));
    }

    /// GRPC-6 ([OTLP/gRPC throttling](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling)).
    #[test]
    fn the_receiver_is_obeyed_up_to_the_longest_delay() {
        let retry = Retry::new();
        let asked = |secs| retry.delay(0, Some(Duration::from_secs(secs)), 0);
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(3_600), Some(Duration::from_secs(30)));
    }
}
