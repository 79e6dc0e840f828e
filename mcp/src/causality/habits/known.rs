//! What is known of a pod's habits: how often something was seen, and what that says.

use std::collections::HashMap;

use super::super::pod::{Outbound, Pod};
use super::{
    AFTER, BEFORE, BEHIND_ANSWER, BEHIND_END, Fit, GAPS, Look, NOT_KNOWN, Numbers, OTHERS, TRACED,
};

/// How many calls' worth the beliefs are that a pod begins with.
const BELIEF: f64 = 8.0;
/// How many calls' worth the habits of the whole pod are for one route and what it calls.
const COMMON: f64 = 6.0;
/// How many calls of each kind a route is believed to make before any is seen.
const LEAST_CALLS: f64 = 0.05;
/// Nothing is answered for at least such a share of the time: of less, little can be told.
const LEAST_IDLE: f64 = 0.02;
/// How many calls of a kind are believed to come from elsewhere, all the time, where none was seen to.
const LEAST_ELSEWHERE: f64 = 0.002;
/// No habit speaks more for or against than this.
const MOST_RATIO: f64 = 100.0;
/// A call is taken to be answered for at least so long.
const LEAST_NS: f64 = 1_000.0;

/// What is known of a pod's habits.
pub(super) struct Known {
    pod: Tables,
    each: Vec<Tables>,
    /// How many inbound calls there are of the route of each habit.
    of_route: Vec<f64>,
    /// How long they are answered on average, in nanoseconds.
    lasting: Vec<f64>,
    /// How many calls of each kind come from elsewhere in a nanosecond, where some do.
    elsewhere: HashMap<u64, f64>,
    /// How many of another kind may.
    seldom: f64,
}

/// How often a look was seen of a call and its cause, and of a call and another candidate.
#[derive(Debug, Clone)]
struct Tables {
    before: Table<BEFORE>,
    after: Table<AFTER>,
    others: Table<OTHERS>,
    traced: Table<TRACED>,
    /// How many calls were caused.
    calls: f64,
}

#[derive(Debug, Clone)]
struct Table<const N: usize> {
    of_cause: [f64; N],
    of_other: [f64; N],
    causes: f64,
    others: f64,
}

impl Known {
    /// What is believed before anything is seen: calls follow soon, and answers wait for them.
    pub(super) fn believed(pod: &Pod, numbers: &Numbers) -> Self {
        let mut tables = Tables::EMPTY;
        for bin in 0..BEFORE {
            let soon = if bin % GAPS <= 12 { 1.0 } else { 0.25 }; // within 4 ms
            let busy = if bin >= GAPS { 0.3 } else { 1.0 };
            tables.before.believe(bin, soon * busy, 1.0);
        }
        for bin in 0..OTHERS {
            tables.others.believe(bin, 1.0, 1.0);
        }
        for bin in 0..AFTER {
            let (of_cause, of_other) = match bin {
                BEHIND_END => (0.3, 8.0),
                BEHIND_ANSWER => (0.3, 2.0),
                NOT_KNOWN => (1.0, 1.0),
                bin if bin <= 12 => (1.0, 0.6),
                _ => (0.4, 0.6),
            };
            tables.after.believe(bin, of_cause, of_other);
        }
        for (bin, of_cause) in [1.0, 0.5, 0.5, 1.0].into_iter().enumerate() {
            tables.traced.believe(bin, of_cause, 1.0);
        }
        tables.before.weigh(BELIEF);
        tables.after.weigh(BELIEF);
        tables.others.weigh(BELIEF);
        tables.traced.weigh(BELIEF);
        let (_, last) = stretch(pod);
        let mut all = (0.0, 0.0);
        let mut routes: HashMap<u64, (f64, f64)> = HashMap::new();
        for call in &pod.inbound {
            let over = call.answered_ns.unwrap_or(call.end_ns).min(last);
            let lasted = (over.saturating_sub(call.start_ns) as f64).max(LEAST_NS);
            for (calls, time) in [&mut all, routes.entry(call.route).or_default()] {
                *calls += 1.0;
                *time += lasted;
            }
        }
        let of_habit = |route: &u64| routes.get(route).copied().unwrap_or_default();
        let of_each: Vec<(f64, f64)> = std::iter::once(all)
            .chain(numbers.routes.iter().map(of_habit))
            .collect();
        Self {
            pod: tables,
            each: vec![Tables::EMPTY; numbers.routes.len() + 1],
            of_route: of_each.iter().map(|(calls, _)| *calls).collect(),
            lasting: of_each
                .iter()
                .map(|(calls, time)| time / calls.max(1.0))
                .collect(),
            elsewhere: elsewhere(pod),
            seldom: LEAST_ELSEWHERE / idle_and_all(pod).1,
        }
    }

    pub(super) fn add(&mut self, look: &Look, fit: Option<&Fit>, share: f64) {
        if let Some(each) = self.each.get_mut(look.habit) {
            each.calls += share;
            if let Some(fit) = fit {
                self.pod.add(look, fit, share);
                each.add(look, fit, share);
            }
        }
    }

    /// How many calls of the kind come from elsewhere in a nanosecond.
    pub(super) fn elsewhere(&self, call: &Outbound) -> f64 {
        let often = self.elsewhere.get(&call.kind).copied();
        often.unwrap_or(0.0).max(self.seldom)
    }

    /// How many calls of the kind a candidate usually makes in a nanosecond.
    pub(super) fn usual(&self, look: &Look) -> f64 {
        let made = self.each.get(look.habit).map_or(0.0, |each| each.calls);
        let of_route = self.of_route.get(look.habit).copied().unwrap_or(0.0);
        let lasting = self.lasting.get(look.habit).copied().unwrap_or(LEAST_NS);
        (made + LEAST_CALLS) / (of_route + 1.0) / lasting.max(LEAST_NS)
    }

    /// How much more often a call looks so beside its cause than beside another.
    pub(super) fn fits(&self, look: &Look, fit: &Fit) -> f64 {
        let each = self.each.get(look.habit);
        self.pod.before.ratio(each.map(|t| &t.before), fit.before)
            * self.pod.after.ratio(each.map(|t| &t.after), fit.after)
            * self.pod.others.ratio(each.map(|t| &t.others), fit.others)
            * self.pod.traced.ratio(each.map(|t| &t.traced), look.traced)
    }
}

/// How many calls of each kind came in a nanosecond in which nothing was answered.
fn elsewhere(pod: &Pod) -> HashMap<u64, f64> {
    let (idle, all) = idle_and_all(pod);
    let mut came: HashMap<u64, f64> = HashMap::new();
    for call in &pod.outbound {
        if call.is_outside() {
            *came.entry(call.kind).or_insert(0.0) += 1.0;
        }
    }
    for often in came.values_mut() {
        *often /= idle.max(all * LEAST_IDLE);
    }
    came
}

/// For how long nothing was answered, and how long it is from the first call to the last: in nanoseconds.
fn idle_and_all(pod: &Pod) -> (f64, f64) {
    let (first, last) = stretch(pod);
    let (mut busy, mut until) = (0.0, first);
    for call in &pod.inbound {
        let end = call.end_ns.min(last);
        if end > until {
            busy += end.saturating_sub(call.start_ns.max(until)) as f64;
            until = end;
        }
    }
    let all = (last.saturating_sub(first) as f64).max(LEAST_NS);
    ((all - busy).max(0.0), all)
}

/// From when to when there are calls of a pod.
fn stretch(pod: &Pod) -> (i64, i64) {
    let inbound = pod.inbound.iter().map(|call| (call.start_ns, call.end_ns));
    let outbound = pod.outbound.iter().map(|call| {
        let end_ns = call.end_ns.unwrap_or(call.start_ns);
        (call.start_ns, end_ns)
    });
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for (start, end) in inbound.chain(outbound) {
        // One that still runs has no end yet.
        let end = if end == i64::MAX { start } else { end };
        (first, last) = (first.min(start), last.max(end));
    }
    (first, last)
}

impl Tables {
    const EMPTY: Self = Self {
        before: Table::EMPTY,
        after: Table::EMPTY,
        others: Table::EMPTY,
        traced: Table::EMPTY,
        calls: 0.0,
    };

    fn add(&mut self, look: &Look, fit: &Fit, share: f64) {
        self.before.add(fit.before, share);
        self.after.add(fit.after, share);
        self.others.add(fit.others, share);
        self.traced.add(look.traced, share);
    }
}

impl<const N: usize> Table<N> {
    const EMPTY: Self = Self {
        of_cause: [0.0; N],
        of_other: [0.0; N],
        causes: 0.0,
        others: 0.0,
    };

    fn believe(&mut self, bin: usize, of_cause: f64, of_other: f64) {
        if let (Some(a), Some(b)) = (self.of_cause.get_mut(bin), self.of_other.get_mut(bin)) {
            *a += of_cause;
            *b += of_other;
        }
        self.causes += of_cause;
        self.others += of_other;
    }

    fn add(&mut self, bin: usize, share: f64) {
        self.believe(bin, share, 1.0 - share);
    }

    /// Makes what is believed worth so many calls.
    fn weigh(&mut self, calls: f64) {
        for (counts, sum) in [
            (&mut self.of_cause, &mut self.causes),
            (&mut self.of_other, &mut self.others),
        ] {
            for count in counts {
                *count *= calls / *sum;
            }
            *sum = calls;
        }
    }

    /// How much more often a look was seen beside a cause than beside another; `each` counts more than the pod,
    /// the more was seen of it.
    fn ratio(&self, each: Option<&Self>, bin: usize) -> f64 {
        let at = |counts: &[f64; N]| counts.get(bin).copied().unwrap_or(0.0);
        let each = each.unwrap_or(&Self::EMPTY);
        let of_cause = at(&each.of_cause) + COMMON * at(&self.of_cause) / self.causes;
        let of_other = at(&each.of_other) + COMMON * at(&self.of_other) / self.others;
        let ratio = of_cause / (each.causes + COMMON) * ((each.others + COMMON) / of_other);
        ratio.clamp(1.0 / MOST_RATIO, MOST_RATIO)
    }
}
