//! Durations as people read them: three digits and a unit.

use core::fmt;

/// Nanoseconds, shown as `850ns`, `12.3µs`, `4.56ms`, `1.23s`, `2m05s`, `3h07m`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Human(pub(crate) u64);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0;
        if nanos < 1_000 {
            return write!(f, "{nanos}ns");
        }
        for (unit, name) in [(1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")] {
            // Hundredths of the unit, rounded to what three digits can show; when
            // that reaches the next unit (999.6µs), the next unit shows it.
            let hundredths = scaled(nanos, unit);
            let limit = if name == "s" { 6_000 } else { 100_000 };
            if hundredths < limit {
                let (whole, part) = (hundredths / 100, hundredths % 100);
                return match whole {
                    0..10 => write!(f, "{whole}.{part:02}{name}"),
                    10..100 => write!(f, "{whole}.{}{name}", part / 10),
                    _ => write!(f, "{whole}{name}"),
                };
            }
        }
        let seconds = nanos.saturating_add(500_000_000) / 1_000_000_000;
        if seconds < 3_600 {
            write!(f, "{}m{:02}s", seconds / 60, seconds % 60)
        } else {
            write!(f, "{}h{:02}m", seconds / 3_600, seconds / 60 % 60)
        }
    }
}

/// Hundredths of `unit`, rounded to the step that three digits can show.
fn scaled(nanos: u64, unit: u64) -> u64 {
    let step = match nanos / unit {
        0..10 => 1,
        10..100 => 10,
        _ => 100,
    };
    // A hundred times the largest `u64` fits in 128 bits.
    let divisor = u128::from(unit) * step;
    let rounded = (u128::from(nanos) * 100 + divisor / 2) / divisor * step;
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Human;

    #[test]
    fn three_digits_and_the_unit_that_fits() {
        for (nanos, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (12_345, "12.3µs"),
            (345_678, "346µs"),
            (999_600, "1.00ms"),
            (4_560_000, "4.56ms"),
            (1_230_000_000, "1.23s"),
            (59_990_000_000, "1m00s"),
            (125_000_000_000, "2m05s"),
            (11_220_000_000_000, "3h07m"),
            (u64::MAX, "5124095h34m"),
        ] {
            assert_eq!(Human(nanos).to_string(), text);
        }
    }
}
