//! Counts and latencies that add up, whatever the order they are added in.

/// Values below this are counted one by one; above, each octave has this many halves of steps.
const EXACT: u64 = 128;
/// Steps per octave, as a power of two: 64 steps, each at most 1/64 wide, so that its middle is
/// within 0.8 % of every value in it.
const STEP_BITS: u32 = 6;
/// The place of a step within its octave.
const STEP_MASK: usize = (1 << STEP_BITS) - 1;

/// Steps of one octave, with how many latencies lie in each. More than four billion of them in one step
/// are told as so many.
type Octave = [u32; 1 << STEP_BITS];

/// How often each latency occurred, within 1 %.
///
/// A histogram with steps of fixed bounds: the same calls give the same answer in any order, and two
/// of them add up exactly. Octaves in which nothing lies take no room: calls of one kind take few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// By number of the octave; those of the longest latency end the list.
    octaves: Vec<Option<Box<Octave>>>,
    count: u64,
    longest_ns: u64,
    shortest_ns: u64,
}

impl Latencies {
    /// Counts one latency.
    pub fn add(&mut self, ns: u64) {
        let step = step_of(ns);
        if let Some(count) = self.octave(step >> STEP_BITS).get_mut(step & STEP_MASK) {
            *count = count.saturating_add(1);
        }
        self.widen(ns, ns);
        self.count += 1;
    }

    /// Counts everything that another one has counted.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        for (number, added) in other.octaves.iter().enumerate() {
            if let Some(added) = added {
                let counts = self.octave(number).iter_mut();
                for (count, added) in counts.zip(added.iter()) {
                    *count = count.saturating_add(*added);
                }
            }
        }
        self.widen(other.shortest_ns, other.longest_ns);
        self.count += other.count;
    }

    fn octave(&mut self, number: usize) -> &mut Octave {
        if self.octaves.len() <= number {
            self.octaves.resize(number + 1, None);
        }
        let octave = self.octaves.get_mut(number).expect("it was just made");
        octave.get_or_insert_with(|| Box::new([0; 1 << STEP_BITS]))
    }

    /// How many latencies were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The least latency that `share` of all are not above, in nanoseconds, within 1 %; `None` where
    /// none was counted. A share of 0.5 gives the median.
    pub fn quantile_ns(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let wanted = (share.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut counted = 0;
        let octaves = (0..).zip(&self.octaves);
        let mut steps = octaves.flat_map(|(number, octave)| {
            let first = number << STEP_BITS;
            (first..).zip(octave.iter().flat_map(|octave| octave.iter()))
        });
        let (step, _) = steps.find(|(_, count)| {
            counted += u64::from(**count);
            counted >= wanted
        })?;
        let middle = middle_of(step);
        Some(middle.clamp(self.shortest_ns as f64, self.longest_ns as f64))
    }

    fn widen(&mut self, shortest_ns: u64, longest_ns: u64) {
        self.longest_ns = self.longest_ns.max(longest_ns);
        self.shortest_ns = match self.count {
            0 => shortest_ns,
            _ => self.shortest_ns.min(shortest_ns),
        };
    }
}

fn step_of(ns: u64) -> usize {
    if ns < EXACT {
        return ns as usize;
    }
    // From 128 on, the highest bit is at least the seventh.
    let octave = ns.ilog2() - STEP_BITS;
    let within = ns >> octave;
    ((u64::from(octave) << STEP_BITS) + within) as usize
}

/// The value in the middle of a step.
fn middle_of(step: u64) -> f64 {
    if step < EXACT {
        return step as f64;
    }
    let octave = (step >> STEP_BITS) - 1;
    let within = step - (octave << STEP_BITS);
    let width = (1_u128 << octave) as f64;
    within as f64 * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(latencies: &[u64]) -> Latencies {
        let mut counted = Latencies::default();
        latencies.iter().for_each(|ns| counted.add(*ns));
        counted
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Latencies::default().quantile_ns(0.5), None);
    }

    #[test]
    fn few_latencies_are_told_exactly() {
        assert_eq!(counted(&[5_000_000]).quantile_ns(0.99), Some(5_000_000.0));
        assert_eq!(counted(&[u64::MAX]).quantile_ns(0.5), Some(u64::MAX as f64));
        assert_eq!(counted(&[1, 2, 3]).quantile_ns(0.5), Some(2.0));
        assert_eq!(counted(&[0, 100]).quantile_ns(0.0), Some(0.0));
    }

    #[test]
    fn steps_ascend_without_gaps() {
        let mut before = step_of(0);
        for ns in (1..100_000).chain((17..64).map(|bit| 1_u64 << bit)) {
            let step = step_of(ns);
            assert!(step == before || ns > 100_000 || step == before + 1, "{ns}");
            assert!(step >= before, "{ns}");
            before = step;
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_hundredth(
            mut latencies in proptest::collection::vec(prop_oneof![0..1_000_u64, any::<u64>(), 1_000_000..60_000_000_000_u64], 1..200),
            share in 0.0..=1.0_f64,
        ) {
            let told = counted(&latencies).quantile_ns(share).unwrap();
            latencies.sort_unstable();
            let rank = ((share * latencies.len() as f64).ceil() as usize).max(1) - 1;
            let truth = latencies[rank] as f64;
            prop_assert!((told - truth).abs() <= truth * 0.01 + 0.5, "{told} for {truth}");
        }

        #[test]
        fn added_up_is_counted_together(
            one in proptest::collection::vec(any::<u64>(), 0..50),
            other in proptest::collection::vec(any::<u64>(), 0..50),
        ) {
            let mut merged = counted(&one);
            merged.merge(&counted(&other));
            let all: Vec<u64> = one.into_iter().chain(other).collect();
            prop_assert_eq!(merged, counted(&all));
        }
    }
}
