//! What differs between two sides, kind of call by kind of call (pure).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use remora_store::call::{CallId, Omitted};
use remora_store::head::{fields, response_status};

use super::sample::{median_interval, shares_differ};
use crate::checks::rank::nearest_rank;
use crate::checks::words::{counted, evidence, percent, span, subject};
use crate::tools::text;
use crate::traffic::View;

/// A median that differs by less than this share is the same to whoever waits.
const LEAST_SHARE: f64 = 0.10;
/// And so is one that differs by less than this.
const LEAST_NS: u64 = 1_000_000;
/// Most kinds of headers of one kind of call that are looked at.
const HEADERS: usize = 64;
/// A header that stands in so many of the answers belongs to all of them.
const NEARLY_ALL: f64 = 0.95;
/// Fewer calls than this tell nothing of headers.
const ENOUGH: usize = 5;

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    MoreErrors,
    Slower,
    Gone,
    New,
    HeaderGone,
    HeaderNew,
    Faster,
    FewerErrors,
}

impl Change {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::MoreErrors => "more_errors",
            Self::Slower => "slower",
            Self::Gone => "gone",
            Self::New => "new",
            Self::HeaderGone => "header_gone",
            Self::HeaderNew => "header_new",
            Self::Faster => "faster",
            Self::FewerErrors => "fewer_errors",
        }
    }
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) subject: String,
    pub(super) change: Change,
    pub(super) base: String,
    pub(super) head: String,
    pub(super) n_base: u64,
    pub(super) n_head: u64,
    pub(super) evidence: Vec<CallId>,
}

/// What came of a comparison.
#[derive(Debug)]
pub(super) struct Compared {
    /// The worst first.
    pub(super) found: Vec<Difference>,
    /// How many kinds of calls are as they were.
    pub(super) unchanged: u64,
    /// How many kinds cannot be compared: injected faults met all their calls on one side.
    pub(super) unknown: u64,
}

/// The calls of one side, by kind.
#[derive(Debug, Default)]
pub(super) struct Side {
    kinds: BTreeMap<String, Kind>,
}

/// Calls of one kind.
#[derive(Debug, Default)]
struct Kind {
    /// Those that no injected fault met: what the others would say of a service, the fault made up.
    ids: Vec<CallId>,
    /// Those that one did.
    injected: Vec<CallId>,
    failed: Vec<CallId>,
    /// How many of those that no fault met caused a call that one met, and how many of them failed.
    above: usize,
    failed_above: usize,
    /// Sorted; nanoseconds.
    took_ns: Vec<u64>,
    /// How many answers had a header, by its name in lower case.
    headers: BTreeMap<String, usize>,
    /// There were more of them than are counted.
    has_more_headers: bool,
    answered: usize,
}

impl Side {
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut side = Self::default();
        let traffic = view.traffic();
        for exchange in view.exchanges() {
            let Some(call) = traffic.told(exchange).filter(|call| call.is_request()) else {
                continue;
            };
            let kind = side.kinds.entry(subject(call)).or_default();
            if traffic.is_touched(exchange) {
                kind.injected.push(call.id());
                continue;
            }
            kind.ids.push(call.id());
            let above = usize::from(traffic.is_touched_below(exchange));
            kind.above += above;
            if call.ending.failed() {
                kind.failed.push(call.id());
                kind.failed_above += above;
            }
            kind.took_ns.extend(call.found.call.pace_ns());
            let response = &call.found.call.response;
            kind.add_headers(&response.head, response.omitted == Some(Omitted::Head));
        }
        for kind in side.kinds.values_mut() {
            kind.took_ns.sort_unstable();
        }
        side
    }

    /// How many requests it has.
    pub(super) fn calls(&self) -> u64 {
        self.kinds.values().map(Kind::calls).sum()
    }

    /// How many of them an injected fault met.
    pub(super) fn injected(&self) -> usize {
        self.kinds.values().map(|kind| kind.injected.len()).sum()
    }
}

impl Kind {
    /// How many calls there are, whatever met them.
    fn calls(&self) -> u64 {
        (self.ids.len() + self.injected.len()) as u64
    }

    fn all(&self) -> impl Iterator<Item = CallId> {
        self.ids.iter().chain(&self.injected).copied()
    }

    fn add_headers(&mut self, head: &[u8], is_cut: bool) {
        if is_cut || response_status(head).is_none() {
            return;
        }
        self.answered += 1;
        let mut seen: Vec<String> = fields(head)
            .filter_map(|(name, _)| std::str::from_utf8(name).ok())
            .filter_map(|name| text::name(name))
            .map(str::to_ascii_lowercase)
            .collect();
        seen.sort_unstable();
        seen.dedup();
        for name in seen {
            match self.headers.len() < HEADERS || self.headers.contains_key(&name) {
                true => *self.headers.entry(name).or_default() += 1,
                false => self.has_more_headers = true,
            }
        }
    }

    /// Whether nearly all answers have a header, or none; `None` where it is neither, or cannot be told.
    fn has(&self, header: &str) -> Option<bool> {
        if self.answered < ENOUGH {
            return None;
        }
        match self.headers.get(header).copied().unwrap_or_default() {
            0 => (!self.has_more_headers).then_some(false),
            n if n as f64 >= self.answered as f64 * NEARLY_ALL => Some(true),
            _ => None,
        }
    }

    fn times(&self) -> String {
        let at = |share| {
            nearest_rank(&self.took_ns, share).map_or_else(|| "-".to_owned(), |ns| span(ns as f64))
        };
        let above = match self.above {
            0 => String::new(),
            n => format!(", an injected fault met what {n} of them called"),
        };
        format!("p50 {}, p95 {}{above}", at(0.5), at(0.95))
    }

    fn failures(&self) -> String {
        let (failed, all) = (self.failed.len(), self.ids.len());
        let above = match self.failed_above {
            0 => String::new(),
            n => format!(", {n} of them while an injected fault met what they called"),
        };
        format!(
            "{failed} of {} failed ({}){above}",
            counted(all, "call"),
            percent(failed, all)
        )
    }
}

/// What differs between two sides.
pub(super) fn differences(base: &Side, head: &Side) -> Compared {
    let mut found = Vec::new();
    let (mut unchanged, mut unknown) = (0, 0);
    for (subject, was) in &base.kinds {
        let Some(is) = head.kinds.get(subject) else {
            found.push(gone(subject, was));
            continue;
        };
        if was.ids.is_empty() || is.ids.is_empty() {
            unknown += 1;
            continue;
        }
        let before = found.len();
        found.extend(of_errors(subject, was, is));
        found.extend(of_times(subject, was, is));
        found.extend(of_headers(subject, was, is));
        unchanged += u64::from(found.len() == before);
    }
    let new = head
        .kinds
        .iter()
        .filter(|(subject, _)| !base.kinds.contains_key(*subject));
    found.extend(new.map(|(subject, is)| fresh(subject, is)));
    found.sort_by(|a, b| {
        let rank = |it: &Difference| (it.change, Reverse(it.n_base.max(it.n_head)));
        rank(a)
            .cmp(&rank(b))
            .then_with(|| (&a.subject, &a.base).cmp(&(&b.subject, &b.base)))
    });
    Compared {
        found,
        unchanged,
        unknown,
    }
}

fn gone(subject: &str, was: &Kind) -> Difference {
    Difference {
        subject: subject.to_owned(),
        change: Change::Gone,
        base: counted(was.calls() as usize, "call"),
        head: "no call".to_owned(),
        n_base: was.calls(),
        n_head: 0,
        evidence: evidence(was.all()),
    }
}

fn fresh(subject: &str, is: &Kind) -> Difference {
    Difference {
        subject: subject.to_owned(),
        change: Change::New,
        base: "no call".to_owned(),
        head: counted(is.calls() as usize, "call"),
        n_base: 0,
        n_head: is.calls(),
        evidence: evidence(is.all()),
    }
}

fn between(subject: &str, was: &Kind, is: &Kind, change: Change, texts: [String; 2]) -> Difference {
    let [base, head] = texts;
    let from = |kind: &Kind| match change {
        Change::MoreErrors | Change::FewerErrors => kind
            .failed
            .iter()
            .chain(&kind.ids)
            .take(2)
            .copied()
            .collect(),
        _ => kind.ids.iter().take(2).copied().collect::<Vec<_>>(),
    };
    Difference {
        subject: subject.to_owned(),
        change,
        base,
        head,
        n_base: was.ids.len() as u64,
        n_head: is.ids.len() as u64,
        evidence: evidence(from(was).into_iter().chain(from(is))),
    }
}

fn of_errors(subject: &str, was: &Kind, is: &Kind) -> Option<Difference> {
    if !shares_differ(
        was.failed.len(),
        was.ids.len(),
        is.failed.len(),
        is.ids.len(),
    ) {
        return None;
    }
    let share = |kind: &Kind| kind.failed.len() as f64 / kind.ids.len().max(1) as f64;
    let change = match share(is) > share(was) {
        true => Change::MoreErrors,
        false => Change::FewerErrors,
    };
    Some(between(
        subject,
        was,
        is,
        change,
        [was.failures(), is.failures()],
    ))
}

/// The medians are apart, by more than chance and by more than anybody minds.
fn of_times(subject: &str, was: &Kind, is: &Kind) -> Option<Difference> {
    let (was_low, was_high) = median_interval(&was.took_ns)?;
    let (is_low, is_high) = median_interval(&is.took_ns)?;
    let (was_median, is_median) = (
        nearest_rank(&was.took_ns, 0.5)?,
        nearest_rank(&is.took_ns, 0.5)?,
    );
    let apart = was_median.abs_diff(is_median);
    let matters = apart >= LEAST_NS && apart as f64 >= was_median as f64 * LEAST_SHARE;
    let change = match (is_low > was_high, is_high < was_low) {
        (true, _) if matters => Change::Slower,
        (_, true) if matters => Change::Faster,
        _ => return None,
    };
    Some(between(subject, was, is, change, [was.times(), is.times()]))
}

fn of_headers(subject: &str, was: &Kind, is: &Kind) -> Vec<Difference> {
    let mut names: Vec<&String> = was.headers.keys().chain(is.headers.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter_map(|name| {
        let change = match (was.has(name)?, is.has(name)?) {
            (true, false) => Change::HeaderGone,
            (false, true) => Change::HeaderNew,
            _ => return None,
        };
        let (with, without) = (
            format!("response has {name}"),
            format!("response has no {name}"),
        );
        let texts = match change {
            Change::HeaderGone => [with, without],
            _ => [without, with],
        };
        Some(between(subject, was, is, change, texts))
    });
    changed.collect()
}

#[cfg(test)]
mod tests;
