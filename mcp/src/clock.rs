//! Times and durations as people write them, to and from nanoseconds since the Unix epoch (pure,
//! but for [`now_ns`]).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Longest duration that is taken: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// What the clock shows: nanoseconds since the Unix epoch.
pub fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, to the nanosecond, so that a time that was printed names the same instant when
/// it comes back as `since` or `until`.
pub fn rfc3339(ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(ns))
        .map_or_else(|_| ns.to_string(), |time| format!("{time:.9}"))
}

/// Reads `2026-11-22T18:26:00Z`, or `15m` for "so long before `now_ns`".
pub fn parse_time(text: &str, now_ns: i64) -> Option<i64> {
    if let Some(ago) = parse_duration(text) {
        let ago = i64::try_from(ago.as_nanos()).ok()?;
        return now_ns.checked_sub(ago);
    }
    let time: Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// Reads `90s`, `15m`, `1h30m`, `2d` and the like.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(60 * 60),
            "d" => Duration::from_secs(24 * 60 * 60),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number.parse().ok()?)?)?;
        rest = tail;
    }
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("15m", Some(900_000); "minutes")]
    #[test_case("1h30m", Some(5_400_000); "two units")]
    #[test_case("250ms", Some(250); "milliseconds")]
    #[test_case("2d", Some(172_800_000); "days")]
    #[test_case("", None; "nothing")]
    #[test_case("15", None; "a number without a unit")]
    #[test_case("m", None; "a unit without a number")]
    #[test_case("15 m", None; "a space")]
    #[test_case("-15m", None; "a sign")]
    #[test_case("99999999999999999999d", None; "more than can be counted")]
    #[test_case("99999d", None; "more than ten years")]
    fn duration(text: &str, expected_ms: Option<u64>) {
        assert_eq!(parse_duration(text), expected_ms.map(Duration::from_millis));
    }

    #[test]
    fn a_printed_time_reads_back_as_the_same_instant() {
        let ns = 1_763_837_160_123_456_789;
        assert_eq!(rfc3339(ns), "2025-11-22T18:46:00.123456789Z");
        assert_eq!(parse_time(&rfc3339(ns), 0), Some(ns));
    }

    #[test]
    fn a_duration_is_counted_back_from_now() {
        assert_eq!(parse_time("1s", 5_000_000_000), Some(4_000_000_000));
        assert_eq!(parse_time("soon", 5_000_000_000), None);
    }
}
