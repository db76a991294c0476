//! Times as RFC 3339 has them, in UTC.

use core::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends `2027-01-31T12:00:00.000000Z`. Times before 1970 are 1970.
pub(crate) fn write(time: SystemTime, out: &mut String) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since.subsec_micros();
    // A string takes everything.
    let _ =
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z");
}

/// The date so many days after 1970 began, in the Gregorian calendar.
///
/// Years are counted from March, so that the day that some of them have more is the last
/// one; 400 of them always have the same number of days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, day) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days, twice and a bit.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (400 * era + year + u64::from(is_next_year), month, day)
}

const DAY: u64 = 24 * 60 * 60;
const DAYS_OF_ERA: u64 = 146_097;
/// From the first of March of the year 0.
const DAYS_BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn text(seconds: u64, nanos: u32) -> String {
        let mut text = String::new();
        write(UNIX_EPOCH + Duration::new(seconds, nanos), &mut text);
        text
    }

    #[test]
    fn times_are_in_utc_with_microseconds() {
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(951_782_399, 999_999_999), "2000-02-28T23:59:59.999999Z");
        assert_eq!(text(951_782_400, 1_000), "2000-02-29T00:00:00.000001Z");
        assert_eq!(text(1_709_251_199, 0), "2024-02-29T23:59:59.000000Z");
        assert_eq!(text(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
        assert_eq!(text(253_402_300_799, 0), "9999-12-31T23:59:59.000000Z");
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = (1969, 12, 31);
        for days in 0..200_000 {
            let (year, month, day) = date(days);
            let is_next = match before {
                (y, 12, 31) => (year, month, day) == (y + 1, 1, 1),
                (y, m, d) => {
                    (year, month, day) == (y, m, d + 1)
                        || (year, month, day) == (y, m + 1, 1) && d >= 28
                }
            };
            assert!(is_next, "{before:?}, {year}-{month}-{day}");
            before = (year, month, day);
        }
    }

    #[test]
    fn a_time_before_the_epoch_is_the_epoch() {
        let mut text = String::new();
        write(UNIX_EPOCH - Duration::from_secs(1), &mut text);
        assert_eq!(text, "1970-01-01T00:00:00.000000Z");
    }
}
