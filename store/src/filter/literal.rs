//! Durations and times as they are written in a filter.

/// Nanoseconds of a duration such as `5m`, `1.5s` or `1h30m`, as Go writes them; `None` if it is none.
pub(crate) fn span(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match rest {
        "" => return None,
        "0" => return Some(0),
        _ => {}
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        total = total.checked_add(part(number, unit)?)?;
        rest = after;
    }
    if negative {
        total.checked_neg()
    } else {
        Some(total)
    }
}

/// Nanoseconds of `number` times `unit`, the decimals cut at one nanosecond.
fn part(number: &str, unit: &str) -> Option<i64> {
    let unit_ns: i64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && decimals.is_empty() || decimals.len() > 15 || decimals.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let numerator: i128 = if decimals.is_empty() {
        0
    } else {
        decimals.parse().ok()?
    };
    let scale = 10_i128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let fraction = i64::try_from(numerator * i128::from(unit_ns) / scale).ok()?;
    whole.checked_mul(unit_ns)?.checked_add(fraction)
}

/// Nanoseconds since the Unix epoch of a time such as `2026-11-22T18:00:00Z`; `None` if it is none.
pub(crate) fn time(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// The wall clock: nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("5m", Some(300_000_000_000))]
    #[test_case("1h30m", Some(5_400_000_000_000))]
    #[test_case("1.5s", Some(1_500_000_000))]
    #[test_case(".5s", Some(500_000_000))]
    #[test_case("100ms", Some(100_000_000))]
    #[test_case("20us", Some(20_000))]
    #[test_case("20µs", Some(20_000); "micro sign")]
    #[test_case("-1s", Some(-1_000_000_000))]
    #[test_case("0", Some(0))]
    #[test_case("", None)]
    #[test_case("-", None; "a lone sign")]
    #[test_case("5", None; "no unit")]
    #[test_case("m", None; "no number")]
    #[test_case("1d", None; "no such unit")]
    #[test_case("1.2.3s", None; "two points")]
    #[test_case("99999999999h", None; "too long")]
    fn spans(text: &str, expected: Option<i64>) {
        assert_eq!(span(text), expected);
    }

    #[test]
    fn times() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(time("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(time("yesterday"), None);
        assert_eq!(time("9999-01-01T00:00:00Z"), None);
    }
}
