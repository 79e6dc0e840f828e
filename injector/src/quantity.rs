//! Quantities as Kubernetes writes them, such as `100m` or `128Mi`: read and compared, never changed.

use std::cmp::Ordering;
use std::fmt;

/// Digits after the point that count; Kubernetes keeps no more either.
const FRACTION_DIGITS: usize = 9;

/// An amount of a resource, in the words of whoever wrote it. Equal and ordered by amount.
#[derive(Debug, Clone)]
pub struct Quantity {
    text: String,
    billionths: u128,
}

impl Quantity {
    /// Reads `text`. `None` if it is not a quantity, is negative, or is too large to be meant.
    pub fn parse(text: &str) -> Option<Self> {
        let number_len = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(number_len)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let fraction: String = fraction.chars().take(FRACTION_DIGITS).collect();
        let digits = format!("{whole}{fraction:0<FRACTION_DIGITS$}");
        let (times, divide) = scale(suffix)?;
        let billionths = digits.parse::<u128>().ok()?.checked_mul(times)? / divide;
        Some(Self {
            text: text.to_owned(),
            billionths,
        })
    }

    /// The quantity as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What a suffix multiplies by, and what it divides by.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let binary = |power: u32| Some((1024_u128.pow(power), 1));
    let decimal = |power: u32| Some((10_u128.pow(power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let times = 10_u128.checked_pow(power.unsigned_abs())?;
            Some(if power < 0 { (1, times) } else { (times, 1) })
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.billionths == other.billionths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.billionths.cmp(&other.billionths)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use test_case::test_case;

    use super::Quantity;

    #[test_case("1000m", "1"; "thousandths")]
    #[test_case("0.5", "500m"; "a fraction")]
    #[test_case("1Gi", "1024Mi"; "powers of two")]
    #[test_case("1.5Gi", "1536Mi"; "a fraction of a power of two")]
    #[test_case("1e3", "1k"; "an exponent")]
    #[test_case("5e-1", "500m"; "a negative exponent")]
    #[test_case("2E", "2000P"; "exa is no exponent")]
    fn the_same_amount_is_equal_however_it_is_written(left: &str, right: &str) {
        assert_eq!(
            Quantity::parse(left).unwrap(),
            Quantity::parse(right).unwrap()
        );
    }

    #[test_case("" ; "nothing")]
    #[test_case("." ; "a point")]
    #[test_case("1.2.3" ; "two points")]
    #[test_case("-1" ; "less than nothing")]
    #[test_case("10 Mi" ; "a space")]
    #[test_case("10mb" ; "a unit of another world")]
    #[test_case("999999999999999999999999999999999999999999Ei" ; "more than there is")]
    #[test_case("1e999999999" ; "an endless exponent")]
    fn what_is_not_a_quantity_is_refused(text: &str) {
        assert!(Quantity::parse(text).is_none());
    }
}
