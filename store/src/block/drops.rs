//! Drops of several blocks, told as stretches of time.

use std::collections::BTreeSet;

use super::{Drop, OTHER_DROPS};
use crate::stretches::{Stretch, join_nearest};

/// All drops in no more than `most` entries, sorted by reason and time. Where there are more, those of one reason
/// that lie nearest to each other are one; where there are more reasons than that, the last are [`OTHER_DROPS`].
pub(crate) fn join_drops<'a>(drops: impl IntoIterator<Item = &'a Drop>, most: usize) -> Vec<Drop> {
    let mut drops: Vec<Drop> = drops.into_iter().cloned().collect();
    let reasons: BTreeSet<&str> = drops.iter().map(|drop| drop.reason.as_str()).collect();
    if reasons.len() > most {
        let listed = reasons.into_iter().take(most.saturating_sub(1));
        let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        for drop in &mut drops {
            if !listed.contains(&drop.reason) {
                OTHER_DROPS.clone_into(&mut drop.reason);
            }
        }
    }
    drops.sort_by(|a, b| {
        (&a.reason, a.since_ns, a.until_ns).cmp(&(&b.reason, b.since_ns, b.until_ns))
    });
    join_nearest(drops, most)
}

impl Stretch for Drop {
    fn since_ns(&self) -> i64 {
        self.since_ns
    }

    fn until_ns(&self) -> i64 {
        self.until_ns
    }

    fn is_like(&self, other: &Self) -> bool {
        self.reason == other.reason
    }

    fn join(&mut self, later: Self) {
        self.calls = self.calls.saturating_add(later.calls);
        self.since_ns = self.since_ns.min(later.since_ns);
        self.until_ns = self.until_ns.max(later.until_ns);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drop(reason: &str, calls: u64, since_ns: i64, until_ns: i64) -> Drop {
        Drop {
            reason: reason.to_owned(),
            calls,
            since_ns,
            until_ns,
        }
    }

    #[test]
    fn drops_that_are_few_stay_as_they_were_told() {
        let monday = drop("queue", 10, 100, 110);
        let friday = drop("queue", 5_000, 500, 510);
        assert_eq!(join_drops([&friday, &monday], 2), [monday, friday]);
    }

    #[test]
    fn the_nearest_of_one_reason_are_joined_first() {
        let told = [
            drop("queue", 1, 0, 10),
            drop("budget", 2, 11, 12),
            drop("queue", 4, 20, 30),
            drop("queue", 8, 32, 40),
        ];
        let three = [
            drop("budget", 2, 11, 12),
            drop("queue", 1, 0, 10),
            drop("queue", 12, 20, 40),
        ];
        assert_eq!(join_drops(&told, 3), three);
        let two = [drop("budget", 2, 11, 12), drop("queue", 13, 0, 40)];
        assert_eq!(join_drops(&told, 2), two);
    }

    #[test]
    fn one_that_lies_within_a_longer_one_is_no_step_away() {
        let told = [
            drop("queue", 1, 0, 100),
            drop("queue", 1, 10, 11),
            drop("queue", 1, 99, 120),
            drop("queue", 1, 121, 122),
        ];
        let joined = [drop("queue", 3, 0, 120), drop("queue", 1, 121, 122)];
        assert_eq!(join_drops(&told, 2), joined);
    }

    proptest! {
        /// Whatever is told: no call is lost from the count, no entry from its time.
        #[test]
        fn no_drop_is_left_out(
            told in prop::collection::vec((0..12u8, any::<u64>(), any::<i64>(), any::<i64>()), 0..60),
            most in 1..10usize,
        ) {
            let told: Vec<Drop> = told.into_iter().map(|(reason, calls, a, b)| {
                drop(&format!("reason {reason}"), calls, a.min(b), a.max(b))
            }).collect();
            let joined = join_drops(&told, most);
            prop_assert!(joined.len() <= most);
            let calls = |drops: &[Drop]| drops.iter().fold(0, |sum: u64, it| sum.saturating_add(it.calls));
            prop_assert_eq!(calls(&joined), calls(&told));
            for it in &told {
                let covers = |by: &&Drop| by.since_ns <= it.since_ns && it.until_ns <= by.until_ns;
                let like = |by: &&Drop| by.reason == it.reason || by.reason == OTHER_DROPS;
                prop_assert!(joined.iter().filter(like).any(|by| covers(&by)));
            }
        }
    }
}
