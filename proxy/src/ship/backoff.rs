//! How long to wait before the hub is tried again.

use std::time::Duration;

/// First wait after a success.
const FIRST: Duration = Duration::from_millis(100);

/// Longest wait that a hub may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Waits that double, up to a bound, with some chance in them so that sidecars do not march in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The hub answered well.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The wait after a failure: between half of the next step and all of it, up to `longest`.
    pub(crate) fn wait(&mut self, longest: Duration) -> Duration {
        let step = self.next.min(longest);
        self.next = (self.next * 2).min(longest);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// The wait that a hub asked for in `Retry-After`, and a little more, so that not all come at
    /// once.
    pub(crate) fn asked(after: Duration) -> Duration {
        let after = after.min(RETRY_AFTER_MAX);
        after
            + after
                .min(Duration::from_secs(1))
                .mul_f64(rand::random_range(0.0..=0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_begin_anew() {
        let longest = Duration::from_secs(1);
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..8).map(|_| backoff.wait(longest)).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
        assert!(waits.iter().all(|wait| *wait <= longest));
        assert!(waits[7] >= longest / 2);
        backoff.reset();
        assert!(backoff.wait(longest) <= FIRST);
    }

    #[test]
    fn a_hub_cannot_ask_for_for_ever() {
        let wait = Backoff::asked(Duration::from_secs(100_000));
        assert!(wait <= RETRY_AFTER_MAX + Duration::from_secs(1));
        assert!(Backoff::asked(Duration::from_secs(3)) >= Duration::from_secs(3));
    }
}
