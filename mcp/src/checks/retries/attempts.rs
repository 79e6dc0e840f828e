//! Which calls are attempts at the same thing.
//!
//! Attempts have the same source, destination, method, path, query and body; one is made when the one
//! before it has failed. A connection that could not be made is an attempt at the call that came
//! through in the end.

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
const LONGEST_DELAY_NS: i64 = 5 * 60 * 1_000_000_000;
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
    /// The longest delay between them.
    longest_ns: i64,
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
    fn add(&mut self, call: &'a Observed) {
        let delay = self.attempts.last().and_then(|last| delay_ns(last, call));
        self.longest_ns = self.longest_ns.max(delay.unwrap_or_default());
        self.attempts.push(call);
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
    let mut chains: Vec<Chain<'a>> = Vec::new();
    let mut waiting: HashMap<Same<'a>, VecDeque<usize>> = HashMap::new();
    let mut rhythms: HashMap<Same<'a>, Rhythm> = HashMap::new();
    for call in view.calls() {
        let unconnected = is_unconnected(call);
        let takes_part = unconnected || (call.is_request() && !call.found.call.is_stream());
        if !takes_part || is_greeting(call) || call.found.call.state == State::Open {
            continue;
        }
        let failed = has_failed(call);
        let rhythm = rhythms.entry(Same::of(call, unconnected)).or_default();
        let mut goes_on = waiting
            .get_mut(&Same::of(call, unconnected))
            .and_then(|places| take_next(places, &chains, call, rhythm));
        rhythm.hear(call.began_ns(), failed);
        if goes_on.is_none() && !unconnected && call.is_first_on_connection() {
            goes_on = waiting
                .get_mut(&Same::of(call, true))
                .and_then(|places| take_next(places, &chains, call, &Rhythm::default()));
        }
        let place = match goes_on {
            Some(place) => {
                if let Some(chain) = chains.get_mut(place) {
                    chain.add(call);
                }
                place
            }
            None if failed => {
                chains.push(Chain {
                    attempts: vec![call],
                    longest_ns: 0,
                });
                chains.len() - 1
            }
            None => continue,
        };
        if failed {
            let places = waiting.entry(Same::of(call, unconnected)).or_default();
            if places.len() == WAITING {
                places.pop_front();
            }
            places.push_back(place);
        }
    }
    chains
}

/// The request that `call` tries again: of those that failed before it began, the one that has waited
/// longest. Those that have waited too long are given up, and those of which it is the next in turn.
fn take_next(
    places: &mut VecDeque<usize>,
    chains: &[Chain<'_>],
    call: &Observed,
    rhythm: &Rhythm,
) -> Option<usize> {
    let mut place = 0;
    while let Some(chain) = places.get(place).and_then(|it| chains.get(*it)) {
        let last = chain.attempts.last()?;
        match last
            .ended_ns()
            .map(|ended| call.began_ns().saturating_sub(ended))
        {
            Some(delay) if delay < -CLOCKS_APART_NS => place += 1,
            Some(delay)
                if goes_on_after(chain, delay)
                    && !rhythm.is_next(call.began_ns().saturating_sub(last.began_ns())) =>
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
