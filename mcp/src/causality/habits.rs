//! How a pod goes about its work, learnt from the very calls that are asked about: which calls a route makes, how
//! soon they follow on its beginning, how soon its answer follows on them.
//!
//! A call is taken to come from one of its candidates or from elsewhere, in proportion to how often each of them
//! makes such calls in so much time, and to how well the call fits it. What is usual and what fits is learnt from
//! those proportions, again and again, a fixed number of times (expectation maximization). Every number is made by
//! sums, products and quotients in an order that depends on times and ids alone, so that it is the same everywhere.

mod known;

use std::collections::HashMap;

use super::pod::{Inbound, Outbound, Pod, Tie};
use known::Known;

/// How often only how many calls of a kind a route makes is learnt.
const COUNTING_ROUNDS: usize = 8;
/// How often what fits is learnt as well, after that.
const FITTING_ROUNDS: usize = 4;
/// Most pairs of a route and a kind of call that habits are learnt of one by one.
const MAX_HABITS: usize = 1_024;
/// The habit of all others together.
const OTHER_HABIT: usize = 0;

/// Powers of two of microseconds: up to a minute and beyond.
const GAPS: usize = 28;
/// How long since the step before: with another call of the candidate's under way, and without.
const BEFORE: usize = 2 * GAPS;
/// How long until the next step: or not known, behind the beginning of the answer, behind its end.
const AFTER: usize = GAPS + 3;
const NOT_KNOWN: usize = GAPS;
const BEHIND_ANSWER: usize = GAPS + 1;
const BEHIND_END: usize = GAPS + 2;
/// How many others of the kind it has.
const OTHERS: usize = 4;
/// Whether both, one or none of them belong to traces.
const TRACED: usize = 4;
/// How many of a candidate's steps before a call are looked at.
const STEPS: usize = 8;
/// A call is a step of a candidate's if this much of it is the candidate's.
const OWN: f64 = 0.9;

/// How an outbound call is shared out.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Each candidate with its share, 0 to 1.
    pub(super) caused: Vec<(u32, f64)>,
    /// What is left: it comes from elsewhere.
    pub(super) background: f64,
}

/// The shares of all calls of a pod.
pub(super) struct Habits {
    looks: Vec<Look>,
    shares: Vec<f64>,
    background: Vec<f64>,
}

/// How an outbound call looks beside one of its candidates.
#[derive(Debug, Clone, Copy)]
struct Look {
    candidate: u32,
    habit: usize,
    traced: usize,
}

/// The steps of each inbound call, as far as they were found in the round before.
struct Steps(Vec<Vec<Step>>);

/// A call that an inbound one made.
#[derive(Debug, Clone, Copy)]
struct Step {
    outbound: usize,
    kind: u64,
    start_ns: i64,
    end_ns: i64,
}

/// How an outbound call fits between the steps of a candidate.
#[derive(Debug, Clone, Copy)]
struct Fit {
    before: usize,
    after: usize,
    others: usize,
}

impl Habits {
    /// Shares out the calls of a pod.
    pub(super) fn learn(pod: &Pod) -> Self {
        let mut numbers = Numbers::default();
        let looks: Vec<Look> = pod
            .outbound
            .iter()
            .enumerate()
            .flat_map(|(number, call)| {
                let candidates = pod.candidates(number).iter();
                candidates
                    .filter_map(move |&candidate| Some((candidate, pod.inbound(candidate)?, call)))
            })
            .map(|(candidate, inbound, call)| numbers.look(candidate, inbound, call))
            .collect();
        let mut habits = Self {
            shares: vec![0.0; looks.len()],
            background: vec![0.0; pod.outbound.len()],
            looks,
        };
        let mut known = Known::believed(pod, &numbers);
        let mut steps = None;
        for round in 0..COUNTING_ROUNDS + FITTING_ROUNDS {
            let mut learnt = Known::believed(pod, &numbers);
            let mut found = Steps(vec![Vec::new(); pod.inbound.len()]);
            for (number, call) in pod.outbound.iter().enumerate() {
                habits.share_out(pod, (number, call), &known, steps.as_ref());
                habits.teach(pod, (number, call), steps.as_ref(), &mut learnt);
                habits.find_step(pod, (number, call), &mut found);
            }
            known = learnt;
            steps = (round + 1 >= COUNTING_ROUNDS).then_some(found);
        }
        habits
    }

    /// How a call is shared out.
    pub(super) fn of(&self, pod: &Pod, number: usize) -> Shares {
        let range = pod.candidate_range(number);
        let looks = self.looks.get(range.clone()).unwrap_or_default();
        let shares = self.shares.get(range).unwrap_or_default();
        let candidates = looks.iter().map(|look| look.candidate);
        Shares {
            caused: candidates.zip(shares.iter().copied()).collect(),
            background: self.background.get(number).copied().unwrap_or(0.0),
        }
    }

    /// Shares a call out; what fits counts only with `steps`.
    fn share_out(
        &mut self,
        pod: &Pod,
        (number, call): (usize, &Outbound),
        known: &Known,
        steps: Option<&Steps>,
    ) {
        let background = match call.tie() {
            Tie::Trace | Tie::RequestId => 0.0,
            Tie::Path | Tie::Time => known.elsewhere(call),
        };
        let range = pod.candidate_range(number);
        let (Some(looks), Some(shares)) =
            (self.looks.get(range.clone()), self.shares.get_mut(range))
        else {
            return;
        };
        let mut sum = background;
        for (look, share) in looks.iter().zip(shares.iter_mut()) {
            let fit = steps.and_then(|steps| steps.fit(pod, look.candidate, (number, call)));
            *share = known.usual(look) * fit.map_or(1.0, |fit| known.fits(look, &fit));
            sum += *share;
        }
        for share in shares {
            *share /= sum;
        }
        if let Some(place) = self.background.get_mut(number) {
            *place = background / sum;
        }
    }

    fn teach(
        &self,
        pod: &Pod,
        (number, call): (usize, &Outbound),
        steps: Option<&Steps>,
        learnt: &mut Known,
    ) {
        let range = pod.candidate_range(number);
        let looks = self.looks.get(range.clone()).unwrap_or_default();
        let shares = self.shares.get(range).unwrap_or_default();
        for (look, share) in looks.iter().zip(shares) {
            let fit = steps.and_then(|steps| steps.fit(pod, look.candidate, (number, call)));
            learnt.add(look, fit.as_ref(), *share);
        }
    }

    fn find_step(&self, pod: &Pod, (number, call): (usize, &Outbound), found: &mut Steps) {
        let range = pod.candidate_range(number);
        let looks = self.looks.get(range.clone()).unwrap_or_default();
        let shares = self.shares.get(range).unwrap_or_default();
        let own = looks.iter().zip(shares).find(|(_, share)| **share >= OWN);
        let steps = own.and_then(|(look, _)| found.0.get_mut(look.candidate as usize));
        if let Some(steps) = steps {
            steps.push(Step {
                outbound: number,
                kind: call.kind,
                start_ns: call.start_ns,
                end_ns: call.end_ns.unwrap_or(i64::MAX),
            });
        }
    }
}

impl Steps {
    /// How a call fits between the steps of a candidate.
    fn fit(&self, pod: &Pod, candidate: u32, (number, call): (usize, &Outbound)) -> Option<Fit> {
        let inbound = pod.inbound(candidate)?;
        // They are in the order of their numbers, which is that of their beginnings.
        let steps = self.0.get(candidate as usize)?;
        let (earlier, rest) = steps.split_at(steps.partition_point(|step| step.outbound < number));
        let later = rest.iter().find(|step| step.outbound != number);
        let mut since = inbound.start_ns;
        let mut is_busy = false;
        let mut others = 0;
        for step in earlier.iter().rev().take(STEPS) {
            since = since.max(step.start_ns);
            match step.end_ns <= call.start_ns {
                true => since = since.max(step.end_ns),
                false => is_busy = true,
            }
            others += usize::from(step.kind == call.kind);
        }
        Some(Fit {
            before: gap(since, call.start_ns) + GAPS * usize::from(is_busy),
            after: after(inbound, call, later),
            others: others.min(OTHERS - 1),
        })
    }
}

/// Numbers of habits: pairs of a route and a kind of call, in the order in which they are met.
#[derive(Default)]
struct Numbers {
    numbers: HashMap<(u64, u64), usize>,
    routes: Vec<u64>,
}

impl Numbers {
    fn of(&mut self, route: u64, kind: u64) -> usize {
        let next = self.numbers.len() + 1;
        if let Some(known) = self.numbers.get(&(route, kind)) {
            return *known;
        }
        if next > MAX_HABITS {
            return OTHER_HABIT;
        }
        self.numbers.insert((route, kind), next);
        self.routes.push(route);
        next
    }

    fn look(&mut self, candidate: u32, inbound: &Inbound, call: &Outbound) -> Look {
        let traced = |traces: &[(u128, u64)]| usize::from(!traces.is_empty());
        Look {
            candidate,
            habit: self.of(inbound.route, call.kind),
            traced: 2 * traced(&inbound.context.traces) + traced(&call.context.traces),
        }
    }
}

/// How long after the call the next step came: another call, or the answer.
fn after(inbound: &Inbound, call: &Outbound, later: Option<&Step>) -> usize {
    let (Some(end), Some(answered)) = (call.end_ns, inbound.answered_ns) else {
        return NOT_KNOWN;
    };
    if end > inbound.end_ns {
        BEHIND_END
    } else if end > answered {
        BEHIND_ANSWER
    } else {
        let next = later
            .map(|step| step.start_ns)
            .filter(|&start| start >= end);
        gap(end, next.map_or(answered, |start| start.min(answered)))
    }
}

fn gap(from_ns: i64, to_ns: i64) -> usize {
    let micros = to_ns.saturating_sub(from_ns).max(0).unsigned_abs() / 1_000;
    let power = micros.checked_ilog2().map_or(0, |power| power as usize + 1);
    power.min(GAPS - 1)
}
