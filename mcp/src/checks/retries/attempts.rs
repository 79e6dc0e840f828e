//! Which calls are attempts at the same thing.
//!
//! Attempts have the same source, destination, method, path, query and body, and where that is sure, the same
//! cause; one is made when the one before it has failed. A connection that could not be made is an attempt at
//! the call that came through in the end.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use remora_store::call::{CallError, Leg, State};
use remora_store::head::find_field;
use remora_store::outcome::Refusal;
use remora_store::query::Outcome;

use super::rhythm::Rhythm;
use crate::checks::database::is_greeting;
use crate::traffic::{Observed, Question, View};

/// Longest time between two attempts: whoever asks again after longer asks anew.
pub(super) const LONGEST_DELAY_NS: i64 = 5 * 60 * 1_000_000_000;
/// A delay that is so many times longer than the longest before it begins a request of its own.
const PATIENCE: i64 = 6;
/// ... unless it is shorter than this.
const SHORT_DELAY_NS: i64 = 1_000_000_000;
/// The clock is read once per connection, so that two of a sidecar may be this far apart.
const CLOCKS_APART_NS: i64 = 100_000;
/// Most requests of one kind that wait for their next attempt at a time; the oldest are given up.
const WAITING: usize = 256;

/// A request that failed, and what was tried after it.
#[derive(Debug)]
pub struct Chain<'a> {
    /// The attempts, in order; all but the last have failed.
    pub attempts: Vec<&'a Observed>,
    /// Whether a call has begun, and runs, that may be another one: its head is the same, its body is not known.
    pub is_running: bool,
    /// The longest delay between them.
    longest_ns: i64,
    /// The inbound leg that surely caused them.
    cause: Option<usize>,
}

/// A call, and the inbound leg that surely caused it.
#[derive(Clone, Copy)]
struct Caused<'a> {
    call: &'a Observed,
    cause: Option<usize>,
}

/// What attempts have in common.
#[derive(PartialEq, Eq, Hash)]
struct Same<'a> {
    source: Source,
    destination: Destination<'a>,
    /// `None` for attempts to connect, which have the two ends in common and no more.
    question: Option<Question<'a>>,
    /// Two requests with different keys are meant as two.
    idempotency_key: Option<&'a [u8]>,
}

/// Whose attempts they are: a run of a sidecar, or where only the callee's side was recorded, the
/// caller's host.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Source {
    Run(u128),
    Host(IpAddr),
}

#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Destination<'a> {
    /// Namespace and workload or service.
    Named(&'a str, &'a str),
    At(SocketAddr),
}

impl<'a> Chain<'a> {
    fn begin(first: Caused<'a>) -> Self {
        Self {
            attempts: vec![first.call],
            is_running: false,
            longest_ns: 0,
            cause: first.cause,
        }
    }

    fn add(&mut self, next: Caused<'a>) {
        let delay = self
            .attempts
            .last()
            .and_then(|last| delay_ns(last, next.call));
        self.longest_ns = self.longest_ns.max(delay.unwrap_or_default());
        self.attempts.push(next.call);
        self.cause = self.cause.or(next.cause);
    }

    /// Whether a call has, or may have, the same cause: who is asked twice asks twice.
    fn may_share_cause(&self, call: Caused<'_>) -> bool {
        let both = self.cause.zip(call.cause);
        both.is_none_or(|(one, other)| one == other)
    }

    /// How many times it was tried again.
    pub fn retries(&self) -> usize {
        self.attempts.len().saturating_sub(1)
    }

    /// From the end of each failed attempt to the first byte of the next, in nanoseconds.
    pub fn delays_ns(&self) -> impl Iterator<Item = i64> {
        let pairs = self.attempts.iter().zip(self.attempts.iter().skip(1));
        pairs.filter_map(|(failed, next)| delay_ns(failed, next))
    }

    /// Whether it came through in the end.
    pub fn succeeded(&self) -> bool {
        self.attempts.last().is_some_and(|last| !has_failed(last))
    }
}

/// From the end of an attempt to the beginning of the next; `None` where the first has no end.
pub fn delay_ns(failed: &Observed, next: &Observed) -> Option<i64> {
    let waited = next.began_ns().saturating_sub(failed.ended_ns()?);
    Some(waited.max(0))
}

/// Whether a client has reason to try again: a failure, an answer that says "later", or a statement that was
/// cancelled.
pub fn has_failed(call: &Observed) -> bool {
    let says_later = match call.outcome() {
        Outcome::Status(status) => matches!(status, 408 | 425 | 429),
        // RESOURCE_EXHAUSTED and ABORTED.
        Outcome::Grpc(status) => matches!(status, 8 | 10),
        _ => matches!(
            call.ending.refusal(),
            Some(Refusal::Later | Refusal::Cancelled)
        ),
    };
    call.ending.failed() || says_later
}

/// Whether a call is a connection to the server that never was.
pub(in crate::checks) fn is_unconnected(call: &Observed) -> bool {
    matches!(
        call.error(),
        Some(
            CallError::ConnectRefused
                | CallError::ConnectTimeout
                | CallError::ConnectUnreachable
                | CallError::ConnectFailed
        )
    )
}

/// The requests of `view` whose first attempt failed, in the order in which they began.
pub fn chains<'a>(view: &View<'a>) -> Vec<Chain<'a>> {
    let mut following = Following::default();
    let mut running = Vec::new();
    for call in attempts(view) {
        match call.call.found.call.state {
            State::Open => running.push(call),
            State::Complete | State::Lost => following.hear(call),
        }
    }
    note_running(&mut following.chains, &running);
    following.chains
}

/// The calls of `view` that may be attempts at something.
fn attempts<'a>(view: &View<'a>) -> impl Iterator<Item = Caused<'a>> {
    let traffic = view.traffic();
    let calls = view.exchanges().filter_map(|exchange| {
        Some(Caused {
            call: traffic.told(exchange)?,
            cause: exchange.outbound.and_then(|leg| traffic.cause(leg)),
        })
    });
    calls.filter(|Caused { call, .. }| {
        let is_attempt = call.is_request() && !call.found.call.is_stream();
        (is_attempt || is_unconnected(call)) && !is_greeting(call)
    })
}

/// What was tried so far, and what may be tried again.
#[derive(Default)]
struct Following<'a> {
    chains: Vec<Chain<'a>>,
    /// Places of chains whose last attempt failed.
    waiting: HashMap<Same<'a>, VecDeque<usize>>,
    rhythms: HashMap<Same<'a>, Rhythm>,
}

impl<'a> Following<'a> {
    fn hear(&mut self, call: Caused<'a>) {
        let Some(place) = self.place_of(call) else {
            return;
        };
        if has_failed(call.call) {
            let same = Same::of(call.call, is_unconnected(call.call));
            let places = self.waiting.entry(same).or_default();
            if places.len() == WAITING {
                places.pop_front();
            }
            places.push_back(place);
        }
    }

    /// The chain that `call` goes on with, or begins if it failed.
    fn place_of(&mut self, call: Caused<'a>) -> Option<usize> {
        let unconnected = is_unconnected(call.call);
        let failed = has_failed(call.call);
        let same = Same::of(call.call, unconnected);
        let rhythm = self.rhythms.entry(same).or_default();
        let waiting = self.waiting.get_mut(&Same::of(call.call, unconnected));
        let mut goes_on = waiting.and_then(|places| take_next(places, &self.chains, call, rhythm));
        rhythm.hear(call.call.began_ns(), failed);
        if goes_on.is_none() && !unconnected && call.call.is_first_on_connection() {
            let waiting = self.waiting.get_mut(&Same::of(call.call, true));
            goes_on = waiting
                .and_then(|places| take_next(places, &self.chains, call, &Rhythm::default()));
        }
        match goes_on {
            Some(place) => self.chains.get_mut(place)?.add(call),
            None if failed => self.chains.push(Chain::begin(call)),
            None => return None,
        }
        Some(goes_on.unwrap_or(self.chains.len() - 1))
    }
}

/// Notes at which chains another attempt may run: of its body it is not known yet whether it is the same.
fn note_running<'a>(chains: &mut [Chain<'a>], running: &[Caused<'a>]) {
    let mut begun: HashMap<Same<'a>, Vec<Caused<'a>>> = HashMap::new();
    for call in running {
        let heads = [Same::of_head(call.call), Same::of(call.call, true)];
        for same in heads {
            begun.entry(same).or_default().push(*call);
        }
    }
    for chain in chains {
        let Some(last) = chain.attempts.last().filter(|last| has_failed(last)) else {
            continue;
        };
        let same = match is_unconnected(last) {
            true => Same::of(last, true),
            false => Same::of_head(last),
        };
        let Some(ended) = last.ended_ns() else {
            continue;
        };
        let mut begun = begun.get(&same).into_iter().flatten();
        chain.is_running = begun.any(|next| {
            let delay = next.call.began_ns().saturating_sub(ended);
            delay >= -CLOCKS_APART_NS && goes_on_after(chain, delay) && chain.may_share_cause(*next)
        });
    }
}

/// The request that `call` tries again: of those that failed before it began, the one that has waited
/// longest. Those that have waited too long are given up, and those of which it is the next in turn.
fn take_next(
    places: &mut VecDeque<usize>,
    chains: &[Chain<'_>],
    call: Caused<'_>,
    rhythm: &Rhythm,
) -> Option<usize> {
    let began = call.call.began_ns();
    let mut place = 0;
    while let Some(chain) = places.get(place).and_then(|it| chains.get(*it)) {
        let last = chain.attempts.last()?;
        match last.ended_ns().map(|ended| began.saturating_sub(ended)) {
            Some(delay) if delay < -CLOCKS_APART_NS || !chain.may_share_cause(call) => place += 1,
            Some(delay)
                if goes_on_after(chain, delay)
                    && !rhythm.is_next(began.saturating_sub(last.began_ns())) =>
            {
                return places.remove(place);
            }
            _ => {
                places.remove(place);
            }
        }
    }
    None
}

fn goes_on_after(chain: &Chain<'_>, delay_ns: i64) -> bool {
    let longest = match chain.retries() {
        0 | 1 => None,
        _ => Some(chain.longest_ns),
    };
    let patience = longest.map_or(LONGEST_DELAY_NS, |longest| {
        longest.saturating_mul(PATIENCE).max(SHORT_DELAY_NS)
    });
    delay_ns <= patience.min(LONGEST_DELAY_NS)
}

impl<'a> Same<'a> {
    /// The same without the body.
    fn of_head(call: &'a Observed) -> Self {
        Self {
            question: Some(call.question().without_body()),
            ..Self::of(call, false)
        }
    }

    /// What attempts at `call` have in common; of attempts to connect, the two ends alone.
    fn of(call: &'a Observed, connecting: bool) -> Self {
        let found = &call.found;
        let source = match found.call.leg {
            Leg::Outbound => Source::Run(found.origin.incarnation),
            Leg::Inbound => Source::Host(found.call.src.ip().to_canonical()),
        };
        let dst = &found.dst;
        let name = match dst.workload.as_str() {
            "" => dst.service.as_str(),
            workload => workload,
        };
        let destination = match name {
            "" => Destination::At(found.call.dst),
            name => Destination::Named(&dst.namespace, name),
        };
        let request = (!connecting).then_some(call);
        let head = request.map(|it| &it.found.call.request.head);
        Self {
            source,
            destination,
            question: request.map(Observed::question),
            idempotency_key: head.and_then(|head| find_field(head, b"idempotency-key")),
        }
    }
}
