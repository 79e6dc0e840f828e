//! What somebody expects of retries, and whether a request was treated so.

use std::fmt;

use super::super::words::{counted, evidence, span, spans};
use super::super::{Ground, Judgement, Verdict};
use super::attempts::Chain;
use super::schedule::{Schedule, Shape};
use super::{Args, Backoff};
use crate::error::ApiError;

/// Most retries that can be expected.
const MOST_RETRIES: usize = 100;
/// Longest delay that can be expected: an hour.
const LONGEST_MS: f64 = 3_600_000.0;
const DEFAULT_TOLERANCE: f64 = 0.15;
/// Without an expected delay a client is taken to have given up after so many times its longest delay ...
const PATIENCE: f64 = 6.0;
/// ... and not before this.
const LEAST_PATIENCE_NS: f64 = 5e9;
/// No client's timer is more exact than this.
const SLACK_NS: f64 = 10e6;
const BEGINS_BEFORE: &str =
    "an earlier attempt may lie before what was looked at: look further back";

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
    Unknown(&'static str),
    Badly(String),
}

impl Expected {
    /// What the arguments of the check say.
    ///
    /// # Errors
    ///
    /// A number is outside its bounds, or two arguments contradict each other.
    pub(super) fn of(args: &Args) -> Result<Self, ApiError> {
        let tolerance = args.tolerance.unwrap_or(DEFAULT_TOLERANCE);
        if !(0.0..=1.0).contains(&tolerance) {
            return Err(bad(
                "tolerance",
                format!("{tolerance} is not a share"),
                "0 to 1; 0.15 is the default",
            ));
        }
        let delays = args.expect_delays_ms.clone().unwrap_or_default();
        if args.expect_delays_ms.is_some() && (delays.is_empty() || delays.len() > MOST_RETRIES) {
            return Err(bad(
                "expect_delays_ms",
                format!("{} delays", delays.len()),
                "one delay for each retry, 1 to 100 of them",
            ));
        }
        for delay in &delays {
            is_delay("expect_delays_ms", *delay)?;
        }
        if let Some(backoff) = args.expect_backoff {
            is_delay("expect_backoff.base_ms", backoff.base_ms)?;
            if !(1.0..=100.0).contains(&backoff.factor) {
                return Err(bad(
                    "expect_backoff.factor",
                    format!("{} is not a factor", backoff.factor),
                    "1 (constant) to 100",
                ));
            }
            if !delays.is_empty() {
                return Err(bad(
                    "expect_backoff",
                    "expect_delays_ms is given too".to_owned(),
                    "leave one of the two out",
                ));
            }
        }
        let retries = args.expect_retries.map(|retries| retries as usize);
        if retries.is_some_and(|retries| retries > MOST_RETRIES) {
            return Err(bad("expect_retries", "too many".to_owned(), "0 to 100"));
        }
        if let Some(retries) = retries
            && !delays.is_empty()
            && retries != delays.len()
        {
            return Err(bad(
                "expect_retries",
                format!("{retries} retries have no {} delays", delays.len()),
                "one delay for each retry, or leave expect_retries out",
            ));
        }
        Ok(Self {
            retries: retries.or((!delays.is_empty()).then_some(delays.len())),
            delays_ns: delays.iter().map(|delay| delay * 1e6).collect(),
            backoff: args.expect_backoff,
            tolerance,
        })
    }

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
                Fared::Untried(why) => untried.push((chain, why)),
            }
        }
        let undecided = unknown.len() + untried.len();
        let is_shown = !well.is_empty();
        let open = unknown.first().or(untried.first().filter(|_| !is_shown));
        let (verdict, shown, why) = match (badly.first(), open, well.first()) {
            (Some((chain, why)), _, _) => (Verdict::Fail, *chain, why.clone()),
            (None, Some((chain, why)), _) => (Verdict::Inconclusive, *chain, (*why).to_owned()),
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
                return Fared::Unknown("records are missing, and an attempt may be among them");
            }
            return match self.may_begin_before(chain, &delays, ground) {
                true => Fared::Unknown(BEGINS_BEFORE),
                false => Fared::Badly(self.blame(&delays, place, delay)),
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
            return Fared::Unknown("a call is still running that may be a further attempt");
        }
        if chain.succeeded() {
            return match retries == expected {
                true => Fared::Well,
                false => Fared::Untried(
                    "an attempt succeeded before all retries were needed: have more of them fail, with a fault for example",
                ),
            };
        }
        if self.may_go_on(chain, &delays, ground) {
            return Fared::Unknown(
                "what was looked at ends before it is sure that there is no further retry: wait longer before it is sealed",
            );
        }
        if retries == expected {
            return Fared::Well;
        }
        if ground.has_gaps {
            return Fared::Unknown("records are missing, and a retry may be among them");
        }
        match self.may_begin_before(chain, &delays, ground) {
            true => Fared::Unknown(BEGINS_BEFORE),
            false => Fared::Badly(format!(
                "given up after {} where {expected} were expected",
                counted(retries, "retry")
            )),
        }
    }

    /// Whether the first attempt that was seen may be a later one, with those before it before what was looked
    /// at. Where there is one attempt alone, only of a window that moves: whoever begins a snapshot asks after it.
    fn may_begin_before(&self, chain: &Chain<'_>, delays: &[f64], ground: &Ground) -> bool {
        let began = chain.attempts.first().map(|first| first.began_ns());
        let Some((since, began)) = ground.since_ns.zip(began) else {
            return false;
        };
        if delays.is_empty() && ground.is_firm() {
            return false;
        }
        let room = began.saturating_sub(since) as f64;
        let most = self.retries.unwrap_or(MOST_RETRIES);
        (1..=most.saturating_sub(delays.len())).any(|before| {
            let waited = self.delay_before(before - 1).or(delays.first().copied());
            let is_outside = waited.is_some_and(|it| room < it * (1.0 + self.tolerance) + SLACK_NS);
            let mut rest = (before..).zip(delays);
            is_outside && rest.all(|(place, delay)| self.is_as_expected(place, *delay))
        })
    }

    /// Whether what was looked at ends before another retry would have been due.
    fn may_go_on(&self, chain: &Chain<'_>, delays: &[f64], ground: &Ground) -> bool {
        let due_ns = match self.delay_after(chain.retries()) {
            Some(delay) => delay * (1.0 + self.tolerance) + SLACK_NS,
            None => delays.iter().fold(LEAST_PATIENCE_NS, |longest, delay| {
                longest.max(delay * PATIENCE)
            }),
        };
        let ended = chain.attempts.last().and_then(|last| last.ended_ns());
        ended.is_some_and(|ended| (ground.until_ns.saturating_sub(ended) as f64) < due_ns)
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

fn is_delay(field: &'static str, ms: f64) -> Result<(), ApiError> {
    match (0.0..=LONGEST_MS).contains(&ms) {
        true => Ok(()),
        false => Err(bad(
            field,
            format!("{ms} is not a delay"),
            "milliseconds, 0 to 3600000",
        )),
    }
}

fn bad(field: &'static str, message: String, hint: &'static str) -> ApiError {
    ApiError::bad_request("bad_arguments", format!("args.{field}: {message}"))
        .field(format!("args.{field}"))
        .hint(hint)
}
