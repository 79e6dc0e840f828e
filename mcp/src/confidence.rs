//! How sure an answer is, as a number that is the same on every machine (pure).

use std::fmt;

/// A share of certainty from 0 to 1, in thousandths: 0.95 is right in 95 of 100 cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence(u16);

impl Confidence {
    /// There is no doubt.
    pub const CERTAIN: Self = Self(1_000);

    /// So many thousandths; more than 1,000 are certain.
    pub const fn thousandths(thousandths: u16) -> Self {
        if thousandths > 1_000 {
            Self::CERTAIN
        } else {
            Self(thousandths)
        }
    }

    /// One of `among` that have nothing to choose between them, at most one half.
    pub fn even(among: usize) -> Self {
        let among = u16::try_from(among.max(2)).unwrap_or(u16::MAX);
        Self(1_000 / among)
    }

    /// From 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_a_share() {
        let shown = [1_000, 950, 905, 0, 2_000].map(|n| Confidence::thousandths(n).to_string());
        assert_eq!(shown, ["1", "0.95", "0.905", "0", "1"]);
    }

    #[test]
    fn where_there_is_nothing_to_choose_nobody_has_more_than_half() {
        let shares = [0, 1, 2, 3, 100_000].map(|among| Confidence::even(among).as_f64());
        assert_eq!(shares, [0.5, 0.5, 0.5, 0.333, 0.0]);
    }
}
