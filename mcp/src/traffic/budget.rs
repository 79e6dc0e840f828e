//! How long one question may read from the store, however many times it asks.

use std::time::{Duration, Instant};

/// Longest time of one question, in which it holds one of few turns. Its calls and what was open before them may
/// take a third each, so that there is always some for its filters.
pub const QUESTION: Duration = Duration::from_secs(60);

/// Time that passes.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    ends: Instant,
}

impl Budget {
    /// One that begins now.
    pub fn of(time: Duration) -> Self {
        Self {
            ends: Instant::now() + time,
        }
    }

    /// A part of it that begins now, and is over with the whole at the latest.
    #[must_use]
    pub fn part(self, time: Duration) -> Self {
        Self {
            ends: self.ends.min(Self::of(time).ends),
        }
    }

    /// What is left of it.
    pub fn left(self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is.
    pub fn is_spent(self) -> bool {
        self.left().is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_part_ends_with_the_whole_and_with_itself() {
        let spent = Budget::of(Duration::ZERO);
        assert!(spent.is_spent() && spent.part(LONG).is_spent());
        let whole = Budget::of(LONG);
        assert!(!whole.is_spent() && whole.part(Duration::ZERO).is_spent());
        assert!(whole.part(2 * LONG).left() <= LONG);
    }
}
