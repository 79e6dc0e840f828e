//! What two samples let one say: not every difference between numbers is one between programs (pure).

/// Fewer values than this tell nothing of a percentile.
pub(super) const ENOUGH: usize = 20;
/// How many standard deviations make 95 of 100 intervals right.
const Z: f64 = 1.96;

/// The range in which the median of whatever made these values lies, 95 times of 100, by order statistics:
/// nothing is assumed of how the values are spread. `None` for too few of them; `sorted` is.
pub(super) fn median_interval(sorted: &[u64]) -> Option<(u64, u64)> {
    if sorted.len() < ENOUGH {
        return None;
    }
    let n = sorted.len() as f64;
    let half_width = Z * n.sqrt() / 2.0;
    let low = (n / 2.0 - half_width).floor().max(0.0) as usize;
    let high = ((n / 2.0 + half_width).ceil() as usize).min(sorted.len() - 1);
    Some((*sorted.get(low)?, *sorted.get(high)?))
}

/// Whether two shares differ by more than chance makes of it 95 times of 100 (Wilson's intervals apart).
pub(super) fn shares_differ(part_a: usize, whole_a: usize, part_b: usize, whole_b: usize) -> bool {
    let (low_a, high_a) = wilson(part_a, whole_a);
    let (low_b, high_b) = wilson(part_b, whole_b);
    low_a > high_b || low_b > high_a
}

fn wilson(part: usize, whole: usize) -> (f64, f64) {
    let n = whole.max(1) as f64;
    let share = part as f64 / n;
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    (
        ((middle - spread) / scale).max(0.0),
        ((middle + spread) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;
    use crate::checks::rank::nearest_rank;

    #[test_case(0, 100, 20, 100, true)]
    #[test_case(0, 100, 1, 100, false; "one failure is chance")]
    #[test_case(0, 3, 3, 3, false; "three calls tell little")]
    #[test_case(0, 10, 10, 10, true)]
    #[test_case(50, 100, 50, 100, false)]
    fn shares_that_are_apart(
        part_a: usize,
        whole_a: usize,
        part_b: usize,
        whole_b: usize,
        expected: bool,
    ) {
        assert_eq!(shares_differ(part_a, whole_a, part_b, whole_b), expected);
        assert_eq!(shares_differ(part_b, whole_b, part_a, whole_a), expected);
    }

    #[test]
    fn a_few_values_have_no_interval() {
        assert_eq!(median_interval(&[1; 19]), None);
        assert_eq!(median_interval(&[1; 20]), Some((1, 1)));
    }

    proptest! {
        #[test]
        fn the_median_lies_within_its_interval(mut values in proptest::collection::vec(any::<u64>(), 20..300)) {
            values.sort_unstable();
            let (low, high) = median_interval(&values).expect("there are enough");
            let median = nearest_rank(&values, 0.5).expect("there are some");
            prop_assert!(low <= median && median <= high);
        }
    }
}
