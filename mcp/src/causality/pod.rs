//! The legs of one recorder: which inbound ones were being answered when each outbound one began, and which of
//! them it is tied to.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use remora_store::about::About;
use remora_store::call::{Call, CallId, State};
use remora_store::query::FoundCall;

use super::context::Context;
use super::habits::{Habits, Shares};
use crate::confidence::Confidence;

use super::{Alternative, Cause, How, MAX_ALTERNATIVES, is_outbound, stated};

/// Of more inbound legs in flight than this nothing tells which one caused a call, but for ids.
const MOST_IN_FLIGHT: usize = 16;
/// Most inbound legs that are over already that are looked at for one outbound, by its ids.
const MOST_OVER: usize = 8;

/// The legs of one recorder.
pub(super) struct Pod {
    pub(super) inbound: Vec<Inbound>,
    pub(super) outbound: Vec<Outbound>,
    /// Candidates of all outbound legs, those of one behind the other: places in `inbound`.
    candidates: Vec<u32>,
}

/// A call while it is answered.
#[derive(Debug)]
pub(super) struct Inbound {
    leg: usize,
    id: CallId,
    pub(super) start_ns: i64,
    /// When the answer began.
    pub(super) answered_ns: Option<i64>,
    /// When it was over; never for one that still runs.
    pub(super) end_ns: i64,
    /// Method and route, digested.
    pub(super) route: u64,
    pub(super) context: Context,
}

/// A call that was made.
#[derive(Debug)]
pub(super) struct Outbound {
    leg: usize,
    id: CallId,
    pub(super) start_ns: i64,
    /// When it was over; `None` for one that still runs.
    pub(super) end_ns: Option<i64>,
    /// Whom it went to, method and route, digested.
    pub(super) kind: u64,
    pub(super) context: Context,
    tie: Tie,
    candidates: Range<usize>,
    /// How many were in flight, where they were too many to be candidates.
    crowd: Option<usize>,
}

/// What ties an outbound leg to its candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    /// They have a trace id in common.
    Trace,
    /// They have a request id in common.
    RequestId,
    /// They were being answered when it began, and their paths have an id in common with its own.
    Path,
    /// They were being answered when it began.
    Time,
}

impl Pod {
    /// Takes in the legs of one recorder.
    pub(super) fn of(calls: &[FoundCall], legs: &[usize]) -> Self {
        let mut pod = Self {
            inbound: Vec::new(),
            outbound: Vec::new(),
            candidates: Vec::new(),
        };
        for &leg in legs {
            let Some(found) = calls.get(leg) else {
                continue;
            };
            match is_outbound(found) {
                true => pod.outbound.push(Outbound::new(leg, found)),
                false => pod.inbound.push(Inbound::new(leg, found)),
            }
        }
        pod.inbound.sort_by_key(|call| (call.start_ns, call.id));
        pod.outbound.sort_by_key(|call| (call.start_ns, call.id));
        pod.find_candidates();
        pod
    }

    /// The cause of each outbound leg.
    pub(super) fn causes(&self) -> Vec<(usize, Cause)> {
        let shares = Habits::learn(self);
        let causes = self.outbound.iter().enumerate();
        causes
            .map(|(number, call)| (call.leg, self.cause(call, &shares.of(self, number))))
            .collect()
    }

    /// Which inbound legs an outbound one can be caused by.
    pub(super) fn candidates(&self, number: usize) -> &[u32] {
        let range = self
            .outbound
            .get(number)
            .map(|call| call.candidates.clone());
        range
            .and_then(|range| self.candidates.get(range))
            .unwrap_or_default()
    }

    pub(super) fn candidate_range(&self, number: usize) -> Range<usize> {
        self.outbound
            .get(number)
            .map_or(0..0, |call| call.candidates.clone())
    }

    pub(super) fn inbound(&self, number: u32) -> Option<&Inbound> {
        self.inbound.get(number as usize)
    }

    fn find_candidates(&mut self) {
        let by_trace = index(&self.inbound, |context| {
            context.traces.iter().map(|(trace, _)| *trace).collect()
        });
        let by_request_id = index(&self.inbound, |context| context.request_ids.clone());
        let by_path_id = index(&self.inbound, |context| context.path_ids.clone());
        let mut in_flight = InFlight::default();
        for call in &mut self.outbound {
            in_flight.move_to(call.start_ns, &self.inbound);
            let from = self.candidates.len();
            let traced = call.context.traces.iter().map(|(trace, _)| trace);
            let mut tied = tied(traced, &by_trace, &self.inbound, call.start_ns);
            call.tie = Tie::Trace;
            if tied.is_empty() {
                let ids = call.context.request_ids.iter();
                tied = self::tied(ids, &by_request_id, &self.inbound, call.start_ns);
                call.tie = Tie::RequestId;
            } else {
                keep_same_span(&mut tied, &self.inbound, &call.context);
            }
            if tied.is_empty() {
                let ids = call.context.path_ids.iter();
                tied = self::tied(ids, &by_path_id, &self.inbound, call.start_ns);
                // An id in a path is that of a thing, which many calls are about: only those in flight count.
                tied.retain(|&number| in_flight.running.contains(&number));
                call.tie = Tie::Path;
            }
            if tied.is_empty() {
                call.tie = Tie::Time;
                call.crowd = Some(in_flight.running.len()).filter(|&crowd| crowd > MOST_IN_FLIGHT);
                if call.crowd.is_none() {
                    tied.extend(&in_flight.running);
                }
            }
            self.candidates.extend(tied);
            call.candidates = from..self.candidates.len();
        }
    }

    /// What the shares of its candidates say of an outbound leg.
    fn cause(&self, call: &Outbound, shares: &Shares) -> Cause {
        if let Some(crowd) = call.crowd {
            return Cause {
                parent: None,
                how: How::Ambiguous,
                confidence: Confidence::even(crowd),
                alternatives: Vec::new(),
            };
        }
        let mut ranked: Vec<(f64, &Inbound)> = shares
            .caused
            .iter()
            .filter_map(|&(number, share)| Some((share, self.inbound(number)?)))
            .collect();
        ranked.sort_by(|(one, a), (other, b)| {
            let by_share = other.total_cmp(one);
            by_share.then_with(|| (a.start_ns, a.id).cmp(&(b.start_ns, b.id)))
        });
        let best = ranked.first().map_or(0.0, |(share, _)| *share);
        let verdict = stated::verdict(&stated::Field {
            how: Self::how(call, shares),
            candidates: ranked.len(),
            best,
            is_level: ranked.get(1).is_some_and(|(share, _)| *share >= best),
            background: shares.background,
        });
        let parent = match verdict.is_named {
            true => ranked.first().map(|(_, inbound)| inbound.leg),
            false => None,
        };
        let others = ranked.iter().skip(usize::from(parent.is_some()));
        Cause {
            parent,
            how: verdict.how,
            confidence: verdict.confidence,
            alternatives: others
                .map(|(share, inbound)| Alternative {
                    leg: inbound.leg,
                    confidence: stated::alternative(*share, ranked.len()),
                })
                .filter(|alternative| alternative.confidence >= stated::LEAST_LISTED)
                .take(MAX_ALTERNATIVES)
                .collect(),
        }
    }

    /// By what the cause of a call is found, if it is found.
    fn how(call: &Outbound, shares: &Shares) -> How {
        match (call.tie, shares.caused.len()) {
            (Tie::Trace, _) => How::TraceHeaders,
            (Tie::RequestId, _) => How::RequestId,
            (Tie::Path, 1) => How::SharedId,
            (Tie::Time, 0) => How::Background,
            (Tie::Time, 1) => How::OnlyOneInFlight,
            (Tie::Path | Tie::Time, _) => How::Timing,
        }
    }
}

impl Inbound {
    fn new(leg: usize, found: &FoundCall) -> Self {
        let call = &found.call;
        let about = About::of(call);
        let over = match call.state {
            State::Open => i64::MAX,
            State::Complete | State::Lost => last_ns(call),
        };
        Self {
            leg,
            id: found.id,
            start_ns: call.time_ns,
            answered_ns: call.phases.response_first.map(|phase| at_ns(call, phase)),
            end_ns: over,
            route: digest(&(call.protocol, &about.method, about.route())),
            context: Context::read(&call.request.head, &about),
        }
    }
}

impl Outbound {
    fn new(leg: usize, found: &FoundCall) -> Self {
        let call = &found.call;
        let about = About::of(call);
        let to = match (found.dst.workload.as_str(), found.dst.service.as_str()) {
            ("", "") => found.dst.address.to_string(),
            ("", name) | (name, _) => name.to_owned(),
        };
        Self {
            leg,
            id: found.id,
            start_ns: call.time_ns,
            end_ns: (call.state != State::Open).then(|| last_ns(call)),
            kind: digest(&(to, call.protocol, &about.method, about.route())),
            context: Context::read(&call.request.head, &about),
            tie: Tie::Time,
            candidates: 0..0,
            crowd: None,
        }
    }

    pub(super) fn tie(&self) -> Tie {
        self.tie
    }

    /// Whether it began while nothing was answered that it could come from.
    pub(super) fn is_outside(&self) -> bool {
        self.candidates.is_empty() && self.crowd.is_none()
    }
}

/// The recorder's wall clock at a phase of a call.
fn at_ns(call: &Call, phase: u64) -> i64 {
    let first = call.phases.request_first.unwrap_or(phase);
    let since = i128::from(phase) - i128::from(first);
    i64::try_from(i128::from(call.time_ns) + since).unwrap_or(i64::MAX)
}

/// The last that was seen of a call.
fn last_ns(call: &Call) -> i64 {
    let phases = &call.phases;
    let ended = phases.response_last.or(phases.closed);
    let seen = ended.or(phases.response_first).or(phases.request_last);
    seen.map_or(call.time_ns, |phase| at_ns(call, phase))
}

fn digest(value: &impl Hash) -> u64 {
    // With fixed keys: the same on every machine.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Inbound legs by something that they say, each list by when they began.
fn index<K: Eq + Hash>(
    inbound: &[Inbound],
    ids: impl Fn(&Context) -> Vec<K>,
) -> HashMap<K, Vec<u32>> {
    let mut by_id: HashMap<K, Vec<u32>> = HashMap::new();
    for (number, call) in (0..).zip(inbound) {
        for id in ids(&call.context) {
            let numbers = by_id.entry(id).or_default();
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
    }
    by_id
}

/// The inbound legs that began before a time and have one of the ids: those that were being answered then, else
/// those that were answered before.
fn tied<'k, K: Eq + Hash + 'k>(
    ids: impl Iterator<Item = &'k K>,
    by_id: &HashMap<K, Vec<u32>>,
    inbound: &[Inbound],
    start_ns: i64,
) -> Vec<u32> {
    let call = |number: &u32| inbound.get(*number as usize);
    let mut running = BTreeSet::new();
    let mut over = BTreeSet::new();
    for numbers in ids.filter_map(|id| by_id.get(id)) {
        let began = numbers
            .partition_point(|number| call(number).is_some_and(|call| call.start_ns <= start_ns));
        let (began, _) = numbers.split_at(began);
        for number in began.iter().rev().take(MOST_IN_FLIGHT) {
            match call(number) {
                Some(call) if call.end_ns >= start_ns => _ = running.insert(*number),
                _ => _ = over.insert(*number),
            }
        }
    }
    if running.is_empty() {
        return over.into_iter().rev().take(MOST_OVER).collect();
    }
    running.into_iter().rev().take(MOST_IN_FLIGHT).collect()
}

/// Of several with the same trace, those of which the very headers were passed on.
fn keep_same_span(tied: &mut Vec<u32>, inbound: &[Inbound], context: &Context) {
    let is_same = |number: &u32| {
        let call = inbound.get(*number as usize);
        let traces = call.map(|call| &call.context.traces);
        traces.is_some_and(|traces| {
            traces
                .iter()
                .any(|trace| trace.1 != 0 && context.traces.contains(trace))
        })
    };
    if tied.iter().any(is_same) {
        tied.retain(is_same);
    }
}

/// Which inbound legs are being answered, as time goes on.
#[derive(Default)]
struct InFlight {
    next: usize,
    /// By when they began: their numbers are in that order.
    running: BTreeSet<u32>,
    ends: BinaryHeap<Reverse<(i64, u32)>>,
}

impl InFlight {
    fn move_to(&mut self, now_ns: i64, inbound: &[Inbound]) {
        while let Some(call) = inbound.get(self.next) {
            if call.start_ns > now_ns {
                break;
            }
            let number = u32::try_from(self.next).unwrap_or(u32::MAX);
            self.running.insert(number);
            self.ends.push(Reverse((call.end_ns, number)));
            self.next += 1;
        }
        while let Some(&Reverse((end_ns, number))) = self.ends.peek() {
            if end_ns >= now_ns {
                break;
            }
            self.ends.pop();
            self.running.remove(&number);
        }
    }
}
