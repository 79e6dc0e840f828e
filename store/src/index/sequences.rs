//! A set of sequence numbers, kept as ranges: a sidecar numbers its blocks without gaps, so a set of
//! any size is a few entries.

use std::collections::BTreeMap;

/// Sequences of one incarnation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sequences {
    /// First and last of each range; ranges neither overlap nor touch.
    ranges: BTreeMap<u64, u64>,
}

impl Sequences {
    /// Whether `sequence` is in the set.
    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.range_at(sequence).is_some()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The highest.
    pub(crate) fn last(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, &last)| last)
    }

    /// How many numbers above `floor` and below the highest are not in the set.
    pub(crate) fn missing_above(&self, floor: u64) -> u64 {
        let Some(last) = self.last() else { return 0 };
        let present = self.ranges.iter().fold(0_u64, |present, (&first, &last)| {
            let below = first.saturating_sub(1).max(floor);
            present.saturating_add(last.saturating_sub(below))
        });
        last.saturating_sub(floor).saturating_sub(present)
    }

    /// Adds a number; `false` if it was there.
    pub(crate) fn insert(&mut self, sequence: u64) -> bool {
        if self.contains(sequence) {
            return false;
        }
        let mut range = (sequence, sequence);
        if let Some((&first, &last)) = self.ranges.range(..sequence).next_back()
            && last.checked_add(1) == Some(sequence)
        {
            range.0 = first;
        }
        if let Some(next) = sequence.checked_add(1)
            && let Some(last) = self.ranges.remove(&next)
        {
            range.1 = last;
        }
        self.ranges.insert(range.0, range.1);
        true
    }

    /// Takes a number away.
    pub(crate) fn remove(&mut self, sequence: u64) {
        let Some((first, last)) = self.range_at(sequence) else {
            return;
        };
        self.ranges.remove(&first);
        if first < sequence {
            self.ranges.insert(first, sequence - 1);
        }
        if sequence < last {
            self.ranges.insert(sequence + 1, last);
        }
    }

    fn range_at(&self, sequence: u64) -> Option<(u64, u64)> {
        let (&first, &last) = self.ranges.range(..=sequence).next_back()?;
        (sequence <= last).then_some((first, last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_is_one_range_in_any_order() {
        let mut sequences = Sequences::default();
        for sequence in [5, 3, 4, 1, 2, u64::MAX] {
            assert!(sequences.insert(sequence));
            assert!(!sequences.insert(sequence));
        }
        assert_eq!(sequences.ranges, [(1, 5), (u64::MAX, u64::MAX)].into());
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 1..40u64), 0..200), floor in 0..40u64) {
            let mut sequences = Sequences::default();
            let mut naive = BTreeSet::new();
            for (insert, sequence) in steps {
                if insert {
                    prop_assert_eq!(sequences.insert(sequence), naive.insert(sequence));
                } else {
                    sequences.remove(sequence);
                    naive.remove(&sequence);
                }
                prop_assert_eq!(sequences.contains(sequence), naive.contains(&sequence));
                prop_assert_eq!(sequences.last(), naive.last().copied());
                let last = naive.last().copied().unwrap_or(0);
                let missing = (floor + 1..=last).filter(|n| !naive.contains(n)).count();
                prop_assert_eq!(sequences.missing_above(floor), missing as u64);
            }
        }
    }
}
