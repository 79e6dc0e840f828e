//! How long is waited between attempts, and by which rule.

/// Delays shorter than this are none.
const IMMEDIATE_NS: f64 = 25e6;
/// Delays that are as even as this, as a share, are one delay.
const EVEN: f64 = 0.15;
/// Of so many delays that are one delay one may be later than that: a timer is never early, and on a busy
/// machine now and then late.
const LATE: usize = 4;
/// How often as long as the others a late one is at most.
const LATEST: f64 = 2.0;
/// A delay that grows by less than this factor does not grow.
const GROWS: f64 = 1.25;
/// The shortest delay that a logarithm is taken of.
const SHORTEST_NS: f64 = 1e6;

/// How long is waited between attempts at several requests of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Mean of the first delays, of the second ones, and so on: nanoseconds.
    pub means_ns: Vec<f64>,
    /// By how much each delay is longer than the one before it, fitted over all; 1 for a constant
    /// delay. `None` below two delays in a row.
    pub factor: Option<f64>,
    /// The first delay by that rule, in nanoseconds.
    pub base_ns: f64,
    /// How far a delay was from the mean of its place at most, as a share of it.
    pub jitter: f64,
    /// By which rule.
    pub shape: Shape,
    /// How many delays were measured.
    pub measured: usize,
}

/// By which rule is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Too few delays to tell.
    Unknown,
    /// Not at all.
    Immediate,
    /// Always the same.
    Constant,
    /// Longer each time.
    Growing,
    /// By none that can be told.
    Irregular,
}

impl Shape {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "too few to tell",
            Self::Immediate => "immediate",
            Self::Constant => "constant",
            Self::Growing => "growing",
            Self::Irregular => "irregular",
        }
    }
}

impl Schedule {
    /// Fits the delays of several requests, each in order, in nanoseconds.
    pub fn fit(requests: &[Vec<f64>]) -> Self {
        let longest = requests.iter().map(Vec::len).max().unwrap_or_default();
        let at = |place: usize| requests.iter().filter_map(move |it| it.get(place).copied());
        let means_ns: Vec<f64> = (0..longest)
            .map(|place| at(place).sum::<f64>() / at(place).count().max(1) as f64)
            .collect();
        let jitter = (0..longest)
            .zip(&means_ns)
            .flat_map(|(place, mean)| at(place).map(move |it| (it - mean).abs() / mean.max(1.0)))
            .fold(0.0, f64::max);
        let (factor, base_ns) = fit_geometric(&means_ns);
        let all = || requests.iter().flatten().copied();
        Self {
            shape: shape(factor, all),
            measured: all().count(),
            means_ns,
            factor,
            base_ns,
            jitter,
        }
    }

    /// The longest of the mean delays, in nanoseconds.
    pub fn longest_ns(&self) -> f64 {
        self.means_ns.iter().copied().fold(0.0, f64::max)
    }
}

fn shape<I: Iterator<Item = f64>>(factor: Option<f64>, all: impl Fn() -> I) -> Shape {
    let Some(factor) = factor else {
        return Shape::Unknown;
    };
    if all().all(|delay| delay < IMMEDIATE_NS) {
        return Shape::Immediate;
    }
    let mean = all().sum::<f64>() / all().count().max(1) as f64;
    match factor {
        _ if all().all(|delay| is_near(delay, mean)) => Shape::Constant,
        // What grows from place to place is not late.
        factor if factor >= GROWS => Shape::Growing,
        _ if is_even_but_late(all().collect()) => Shape::Constant,
        _ => Shape::Irregular,
    }
}

fn is_near(delay: f64, middle: f64) -> bool {
    (delay - middle).abs() <= (middle * EVEN).max(SHORTEST_NS)
}

/// Whether all delays are one, but for a few late ones.
fn is_even_but_late(mut delays: Vec<f64>) -> bool {
    delays.sort_by(f64::total_cmp);
    let (Some(&median), Some(&latest)) = (delays.get(delays.len() / 2), delays.last()) else {
        return true;
    };
    let mut on_time = delays.iter().take(delays.len() - delays.len() / LATE);
    on_time.all(|delay| is_near(*delay, median)) && latest <= median * LATEST
}

/// The factor and the first member of the geometric sequence that is nearest to `delays`, by least
/// squares of the logarithms.
fn fit_geometric(delays: &[f64]) -> (Option<f64>, f64) {
    let logs: Vec<f64> = delays.iter().map(|it| it.max(SHORTEST_NS).ln()).collect();
    let n = logs.len() as f64;
    let [_, _, ..] = logs.as_slice() else {
        return (None, delays.first().copied().unwrap_or_default());
    };
    let middle = (n - 1.0) / 2.0;
    let mean = logs.iter().sum::<f64>() / n;
    let places = || (0..logs.len()).map(|place| place as f64 - middle);
    let slope =
        places().zip(&logs).map(|(x, y)| x * y).sum::<f64>() / places().map(|x| x * x).sum::<f64>();
    (Some(slope.exp()), (mean - slope * middle).exp())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn seconds(delays: &[f64]) -> Vec<f64> {
        delays.iter().map(|it| it * 1e9).collect()
    }

    #[test_case(&[], Shape::Unknown; "none")]
    #[test_case(&[1.0], Shape::Unknown; "one says nothing")]
    #[test_case(&[1.01, 1.0, 1.0], Shape::Constant; "the same")]
    #[test_case(&[1.0, 1.1], Shape::Constant; "nearly the same")]
    #[test_case(&[1.0, 2.0, 4.0], Shape::Growing; "doubled")]
    #[test_case(&[1.0, 2.0, 3.0], Shape::Growing; "a step longer each time")]
    #[test_case(&[0.0, 1.0, 2.0], Shape::Growing; "the first at once, as urllib3 does")]
    #[test_case(&[0.001, 0.0, 0.02], Shape::Immediate; "at once")]
    #[test_case(&[4.0, 0.2, 1.0], Shape::Irregular; "without a rule")]
    #[test_case(&[4.0, 2.0, 1.0], Shape::Irregular; "shorter each time")]
    fn the_rule_of_one_request(delays: &[f64], expected: Shape) {
        assert_eq!(Schedule::fit(&[seconds(delays)]).shape, expected);
    }

    #[test_case(&[0.2, 0.2, 0.26, 0.2, 0.21, 0.2], Shape::Constant; "late once")]
    #[test_case(&[0.2, 0.2, 0.26, 0.2], Shape::Constant; "late once of four")]
    #[test_case(&[0.26, 0.2, 0.2], Shape::Irregular; "late once of three")]
    #[test_case(&[0.2, 0.2, 0.9, 0.2, 0.2, 0.2], Shape::Irregular; "too late for a timer")]
    #[test_case(&[0.2, 0.26, 0.2, 0.2, 0.27, 0.2], Shape::Irregular; "late too often")]
    #[test_case(&[0.2, 0.1, 0.2, 0.2, 0.2, 0.2], Shape::Irregular; "early")]
    fn a_timer_may_be_late_now_and_then_and_is_never_early(delays: &[f64], expected: Shape) {
        assert_eq!(Schedule::fit(&[seconds(delays)]).shape, expected);
    }

    #[test]
    fn second_delays_are_not_late_first_ones() {
        let requests = [&[0.2003][..], &[0.2004], &[0.2002, 0.4003]];
        let requests: Vec<_> = requests.iter().map(|delays| seconds(delays)).collect();
        assert_eq!(Schedule::fit(&requests).shape, Shape::Growing);
    }

    #[test]
    fn the_rule_behind_full_jitter_shows_in_many_requests() {
        let requests: Vec<_> = [[0.2, 1.9, 3.0], [0.9, 0.4, 1.1], [0.6, 1.2, 2.9]]
            .iter()
            .map(|delays| seconds(delays))
            .collect();
        let schedule = Schedule::fit(&requests);
        assert_eq!(schedule.shape, Shape::Growing);
        assert!(schedule.jitter > 0.5, "{schedule:?}");
    }

    #[test]
    fn base_and_factor_are_those_of_the_sequence() {
        let schedule = Schedule::fit(&[seconds(&[0.5, 1.5, 4.5])]);
        let factor = schedule.factor.expect("three delays have a factor");
        assert!((factor - 3.0).abs() < 1e-9, "{factor}");
        assert!((schedule.base_ns - 0.5e9).abs() < 1.0, "{schedule:?}");
    }
}
