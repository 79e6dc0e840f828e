//! Requests that come at regular times, whatever became of the one before: a poll that failed is not tried
//! again, its next turn comes.

/// Fewest gaps between requests that went well by which a rhythm is known.
const LEAST_GAPS: u32 = 3;
/// The shortest rhythm: what comes more often is no poll, and may be as regular by chance.
const SHORTEST_NS: i64 = 1_000_000_000;
/// The longest gap may be so much longer than the shortest, in percent.
const UNEVEN_PERCENT: i64 = 20;

/// The gaps between the beginnings of equal requests, the first of each pair having gone well.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    gaps: u32,
    shortest_ns: i64,
    longest_ns: i64,
    last_good_ns: Option<i64>,
}

impl Rhythm {
    /// A request began, and so it ended.
    pub(super) fn hear(&mut self, began_ns: i64, failed: bool) {
        if let Some(last_ns) = self.last_good_ns {
            let gap_ns = began_ns.saturating_sub(last_ns);
            self.shortest_ns = match self.gaps {
                0 => gap_ns,
                _ => self.shortest_ns.min(gap_ns),
            };
            self.longest_ns = self.longest_ns.max(gap_ns);
            self.gaps = self.gaps.saturating_add(1);
        }
        self.last_good_ns = (!failed).then_some(began_ns);
    }

    /// Whether a request that begins so long after one that failed is the next in turn.
    pub(super) fn is_next(&self, gap_ns: i64) -> bool {
        let least_ns = percent(self.shortest_ns, 100 - UNEVEN_PERCENT);
        let most_ns = percent(self.longest_ns, 100 + UNEVEN_PERCENT);
        self.gaps >= LEAST_GAPS
            && self.shortest_ns >= SHORTEST_NS
            && self.longest_ns <= percent(self.shortest_ns, 100 + UNEVEN_PERCENT)
            && (least_ns..=most_ns).contains(&gap_ns)
    }
}

fn percent(time_ns: i64, share: i64) -> i64 {
    (time_ns / 100).saturating_mul(share)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(&[60, 60, 60], 60, true; "a poll every minute")]
    #[test_case(&[60, 61, 59], 62, true; "about every minute")]
    #[test_case(&[60, 60, 60], 5, false; "sooner than its turn")]
    #[test_case(&[60, 60, 60], 90, false; "later than its turn")]
    #[test_case(&[60], 60, false; "too few to tell")]
    #[test_case(&[60, 20, 60], 60, false; "at any time")]
    #[test_case(&[0, 0, 0], 0, false; "one after the other")]
    fn the_next_in_turn(gaps_s: &[i64], gap_s: i64, expected: bool) {
        let mut rhythm = Rhythm::default();
        let mut at_s = 0;
        rhythm.hear(0, false);
        for gap_s in gaps_s {
            at_s += gap_s;
            rhythm.hear(at_s * 1_000_000_000, false);
        }
        rhythm.hear((at_s + 60) * 1_000_000_000, true);
        assert_eq!(rhythm.is_next(gap_s * 1_000_000_000), expected);
    }
}
