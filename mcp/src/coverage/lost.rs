//! How much of what sidecars recorded was lost in a stretch of time (pure).

use std::fmt;

use remora_store::block::Drop;

use super::Window;

/// A number of what was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// How many; sidecars make these numbers up, and whatever they say, the sum holds.
    pub(crate) count: u64,
    /// Some of them may have been lost before or after: there are no more than so many.
    pub(crate) at_most: bool,
}

impl Lost {
    /// Calls that were dropped while a window was open.
    pub(crate) fn dropped<'a>(drops: impl IntoIterator<Item = &'a Drop>, window: Window) -> Self {
        let drops = drops.into_iter();
        let then = drops.filter(|drop| window.touches(drop.since_ns, drop.until_ns));
        then.fold(Self::default(), |sum, drop| {
            sum.and(Self {
                count: drop.calls,
                at_most: !window.holds(drop.since_ns, drop.until_ns),
            })
        })
    }

    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            at_most: self.at_most || other.at_most,
        }
    }
}

/// `7`, or `at most 7`.
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at_most {
            f.write_str("at most ")?;
        }
        write!(f, "{}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(100, 201, "10"; "all of one stretch")]
    #[test_case(150, 300, "at most 10"; "the end of one")]
    #[test_case(0, 200, "at most 10"; "what ends with the window lies beyond it")]
    #[test_case(201, 500, "0"; "the time between")]
    #[test_case(0, 10_000, "5010"; "all of both")]
    #[test_case(150, 10_000, "at most 5010"; "one and a part of another")]
    fn drops_count_in_their_own_time(since_ns: i64, until_ns: i64, told: &str) {
        let drop = |calls, since_ns, until_ns| Drop {
            reason: "queue".to_owned(),
            calls,
            since_ns,
            until_ns,
        };
        let drops = [drop(10, 100, 200), drop(5_000, 500, 600)];
        let window = Window {
            since_ns: Some(since_ns),
            until_ns: Some(until_ns),
        };
        assert_eq!(Lost::dropped(&drops, window).to_string(), told);
    }
}
