//! What somebody expects of retries, and whether a request was treated so.

mod arguments;

use std::fmt;

use super::super::words::{counted, evidence, span, spans};
use super::super::{Ground, Judgement, Verdict};
use super::Backoff;
use super::attempts::{Chain, LONGEST_DELAY_NS};
use super::schedule::{Schedule, Shape};

/// Most retries that can be expected.
const MOST_RETRIES: usize = 100;
/// Without an expected delay a client is taken to have given up after so many times its longest delay ...
const PATIENCE: f64 = 6.0;
/// ... and not before this.
const LEAST_PATIENCE_NS: f64 = 5e9;
/// No client's timer is more exact than this.
const SLACK_NS: f64 = 10e6;

/// What is expected of each request that fails.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    retries: Option<usize>,
    delays_ns: Vec<f64>,
    backoff: Option<Backoff>,
    tolerance: f64,
}

/// How one request did.
enum Fared {
    Well,
    /// As far as it went; it did not have to show all that is expected, and why.
    Untried(&'static str),
    /// It cannot be told, and why.
    Unknown(String),
    Badly(String),
}

impl Expected {
    /// Whether nothing was said: what is wrong is then left to the check.
    pub(super) fn is_open(&self) -> bool {
        self.retries.is_none() && self.backoff.is_none()
    }

    /// Whether every request fared as expected. There is at least one.
    pub(super) fn judge(&self, chains: &[Chain<'_>], ground: &Ground) -> Judgement {
        let mut well = Vec::new();
        let mut badly = Vec::new();
        let mut unknown = Vec::new();
        let mut untried = Vec::new();
        for chain in chains {
            match self.fares(chain, ground) {
                Fared::Well => well.push(chain),
                Fared::Badly(why) => badly.push((chain, why)),
                Fared::Unknown(why) => unknown.push((chain, why)),
                Fared::Untried(why) => untried.push((chain, why.to_owned())),
            }
        }
        let undecided = unknown.len() + untried.len();
        let is_shown = !well.is_empty();
        let open = unknown.first().or(untried.first().filter(|_| !is_shown));
        let (verdict, shown, why) = match (badly.first(), open, well.first()) {
            (Some((chain, why)), _, _) => (Verdict::Fail, *chain, why.clone()),
            (None, Some((chain, why)), _) => (Verdict::Inconclusive, *chain, why.clone()),
            (None, None, Some(chain)) => (Verdict::Pass, *chain, String::new()),
            (None, None, None) => return Judgement::inconclusive("no call failed"),
        };
        let mut actual = describe(shown);
        if chains.len() > 1 {
            actual = format!(
                "{actual} ({} failed at first: {} as expected, {} not, {} undecided)",
                counted(chains.len(), "request"),
                well.len(),
                badly.len(),
                undecided
            );
        }
        Judgement {
            verdict,
            expected: self.to_string(),
            actual,
            n: chains.len() as u64,
            evidence: evidence(shown.ids()),
            why,
        }
    }

    fn fares(&self, chain: &Chain<'_>, ground: &Ground) -> Fared {
        let delays: Vec<f64> = chain.delays();
        if let Some((place, delay)) = self.first_off(&delays) {
            if ground.has_gaps && self.may_hide_another(place, delay) {
                return unknown("records are missing, and an attempt may be among them");
            }
            return match self.room_before(chain, &delays, ground) {
                Some(room) => begins_before(room, ground),
                None => Fared::Badly(self.blame(&delays, place, delay)),
            };
        }
        let Some(expected) = self.retries else {
            return match delays.len() {
                0 | 1 => Fared::Untried("too few retries to tell by which rule the delays grow"),
                _ => Fared::Well,
            };
        };
        let retries = chain.retries();
        if retries > expected {
            return Fared::Badly(format!(
                "{} where {expected} were expected",
                counted(retries, "retry")
            ));
        }
        if chain.is_running {
            return unknown("a call is still running that may be a further attempt");
        }
        if chain.succeeded() {
            return match retries == expected {
                true => Fared::Well,
                false => Fared::Untried(
                    "an attempt succeeded before all retries were needed: have more of them fail, with a fault for example",
                ),
            };
        }
        let due_ns = self.due_ns(chain, &delays, expected);
        if ends_before(due_ns, chain, ground) {
            return Fared::Unknown(format!(
                "what was looked at ends before it is sure that there is no further retry: seal no sooner than {} after the last attempt",
                whole_seconds(due_ns)
            ));
        }
        if retries == expected {
            return Fared::Well;
        }
        if ground.has_gaps {
            return unknown("records are missing, and a retry may be among them");
        }
        match self.room_before(chain, &delays, ground) {
            Some(room) => begins_before(room, ground),
            None => Fared::Badly(format!(
                "given up after {} where {expected} were expected",
                counted(retries, "retry")
            )),
        }
    }

    /// Where the first attempt that was seen may be a later one, with those before it before what was looked at:
    /// how long before it one has to look, in nanoseconds, to tell. Where there is one attempt alone, only of a
    /// window that moves: whoever begins a snapshot asks after it.
    fn room_before(&self, chain: &Chain<'_>, delays: &[f64], ground: &Ground) -> Option<f64> {
        let first = chain.attempts.first()?;
        let room = first.began_ns().saturating_sub(ground.since_ns?) as f64;
        if delays.is_empty() && ground.is_firm() {
            return None;
        }
        let most = self.retries.unwrap_or(MOST_RETRIES);
        let outside = (1..=most.saturating_sub(delays.len())).filter_map(|before| {
            let waited = self.delay_before(before - 1).or(delays.first().copied())?;
            let needed = self.at_most(waited);
            let mut rest = (before..).zip(delays);
            let may_be = room < needed && rest.all(|(place, it)| self.is_as_expected(place, *it));
            may_be.then_some(needed)
        });
        outside.reduce(f64::max)
    }

    /// How long after the last attempt it is sure that there is no further retry, in nanoseconds. Who has shown
    /// all retries is not waited for longer than a call is taken for another one.
    fn due_ns(&self, chain: &Chain<'_>, delays: &[f64], expected: usize) -> f64 {
        let due_ns = match self.delay_after(chain.retries()) {
            Some(delay) => self.at_most(delay),
            None => delays.iter().fold(LEAST_PATIENCE_NS, |longest, delay| {
                longest.max(delay * PATIENCE)
            }),
        };
        match chain.retries() < expected {
            true => due_ns,
            false => due_ns.min(LONGEST_DELAY_NS as f64),
        }
    }

    /// The longest that a delay may last of which this is expected.
    fn at_most(&self, delay: f64) -> f64 {
        delay * (1.0 + self.tolerance) + SLACK_NS
    }

    /// Whether a delay that is not as expected may be two, with an attempt between them that is not there: a
    /// delay that grows too long, or any, where those before may be missing and the expected ones do not grow.
    fn may_hide_another(&self, place: usize, delay: f64) -> bool {
        let is_longer = self.delay_before(place).is_some_and(|it| delay > it);
        is_longer || !self.delays_ns.is_sorted()
    }

    /// The delay that would come after so many retries: as expected, or as those before it grow.
    fn delay_after(&self, retries: usize) -> Option<f64> {
        if let Some(delay) = self.delay_before(retries) {
            return Some(delay);
        }
        let [.., before, last] = self.delays_ns.as_slice() else {
            return None;
        };
        Some(last * (last / before.max(1.0)).clamp(1.0, PATIENCE))
    }

    /// The delay before a retry, from 0, in nanoseconds, as far as it is expected.
    fn delay_before(&self, retry: usize) -> Option<f64> {
        match self.backoff {
            Some(backoff) => {
                let exponent = i32::try_from(retry).unwrap_or(i32::MAX);
                Some(backoff.base_ms * 1e6 * backoff.factor.powi(exponent))
            }
            None => self.delays_ns.get(retry).copied(),
        }
    }

    /// The first delay that is not as expected, with its place.
    fn first_off(&self, delays: &[f64]) -> Option<(usize, f64)> {
        let mut delays = delays.iter().copied().enumerate();
        delays.find(|(place, delay)| !self.is_as_expected(*place, *delay))
    }

    /// Whether a delay is the one before that retry, as far as one is expected.
    fn is_as_expected(&self, place: usize, delay: f64) -> bool {
        self.delay_before(place).is_none_or(|expected| {
            (delay - expected).abs() <= (expected * self.tolerance).max(SLACK_NS)
        })
    }

    fn blame(&self, delays: &[f64], place: usize, delay: f64) -> String {
        let expected = self.delay_before(place).unwrap_or_default();
        let schedule = Schedule::fit(&[delays.to_vec()]);
        let should_grow = self.delay_before(1) > self.delay_before(0);
        let is_flat = matches!(schedule.shape, Shape::Constant | Shape::Immediate);
        let off = format!(
            "delay {} was {} instead of {}",
            place + 1,
            span(delay),
            span(expected)
        );
        match should_grow && is_flat {
            true => format!("{off}: the delays are constant, the multiplier is not applied"),
            false => off,
        }
    }
}

fn unknown(why: &str) -> Fared {
    Fared::Unknown(why.to_owned())
}

/// An earlier attempt may lie before what was looked at. Of a snapshot it is said how to begin the next one.
fn begins_before(room_ns: f64, ground: &Ground) -> Fared {
    Fared::Unknown(match ground.is_firm() {
        true => format!(
            "an earlier attempt may lie before the snapshot began: begin it at least {} before the request",
            whole_seconds(room_ns)
        ),
        false => {
            "an earlier attempt may lie before what was looked at: look further back".to_owned()
        }
    })
}

/// Whether what was looked at ends sooner than that after the last attempt.
fn ends_before(due_ns: f64, chain: &Chain<'_>, ground: &Ground) -> bool {
    let ended = chain.attempts.last().and_then(|last| last.ended_ns());
    ended.is_some_and(|ended| (ground.until_ns.saturating_sub(ended) as f64) < due_ns)
}

/// A time to wait, rounded up so that it is enough.
fn whole_seconds(ns: f64) -> String {
    format!("{:.0} s", (ns / 1e9).ceil())
}

fn describe(chain: &Chain<'_>) -> String {
    let delays: Vec<f64> = chain.delays();
    let retries = counted(chain.retries(), "retry");
    let schedule = Schedule::fit(std::slice::from_ref(&delays));
    let rule = match schedule.factor {
        Some(factor) => format!(": {}, factor {factor:.1}", schedule.shape.as_str()),
        None => String::new(),
    };
    let end = match chain.succeeded() {
        true => "succeeded in the end",
        false => "failed in the end",
    };
    match delays.is_empty() {
        true => format!("{retries}, {end}"),
        false => format!("{retries} after {}{rule}, {end}", spans(delays)),
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = format!("±{:.0} %", self.tolerance * 100.0);
        match (self.retries, self.backoff) {
            (None, None) => f.write_str("nothing wrong with retries"),
            (Some(retries), None) if self.delays_ns.is_empty() => {
                write!(f, "{}", counted(retries, "retry"))
            }
            (Some(retries), None) => write!(
                f,
                "{} after {} ({within})",
                counted(retries, "retry"),
                spans(self.delays_ns.iter().copied())
            ),
            (retries, Some(backoff)) => {
                if let Some(retries) = retries {
                    write!(f, "{}, ", counted(retries, "retry"))?;
                }
                let base = span(backoff.base_ms * 1e6);
                write!(
                    f,
                    "delays from {base} by factor {} ({within})",
                    backoff.factor
                )
            }
        }
    }
}
