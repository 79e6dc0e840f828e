//! What a cache did for questions that were asked again: counted, and in words.

use std::collections::HashSet;

use remora_store::query::Outcome;

use super::super::database::noun;
use super::super::rank::nearest_rank;
use super::super::words::{counted, span};
use super::Key;
use crate::traffic::Observed;

/// What a cache did for some questions.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) requests: usize,
    keys: usize,
    /// Requests after the first of their key.
    pub(super) again: usize,
    /// Those of them that caused no call.
    pub(super) hits: usize,
    /// Requests that asked again, and of which it was not seen what the service did.
    pub(super) maybe_hits: usize,
    /// Calls that all of them caused.
    origin_calls: usize,
    /// Those of them that asked the same as one before, for the same key.
    same_again: usize,
    /// What one of the calls is called.
    noun: &'static str,
    /// Answers that may be kept by who asked, by their own word.
    with_cache_control: usize,
    with_validator: usize,
    not_modified: usize,
    cold_ns: Vec<u64>,
    pub(super) warm_ns: Vec<u64>,
}

impl Tally {
    pub(super) fn of(keys: &[&Key<'_>]) -> Self {
        let mut tally = Self {
            keys: keys.len(),
            ..Self::default()
        };
        let mut caused = Vec::new();
        for key in keys {
            let of_key = || {
                key.asked
                    .iter()
                    .flat_map(|asked| asked.caused.iter().copied())
            };
            let questions: HashSet<_> = of_key().map(Observed::question).collect();
            tally.same_again += of_key().count() - questions.len();
            caused.extend(of_key());
            for (place, asked) in key.asked.iter().enumerate() {
                tally.requests += 1;
                tally.with_cache_control += usize::from(asked.says(b"cache-control").is_some());
                let validated = asked.says(b"etag").or(asked.says(b"last-modified"));
                tally.with_validator += usize::from(validated.is_some());
                tally.not_modified += usize::from(asked.call.outcome() == Outcome::Status(304));
                let took = asked.call.found.call.phases.latency_ns();
                if place == 0 {
                    tally.cold_ns.extend(took);
                } else {
                    tally.again += 1;
                    match asked.is_hit() {
                        true if asked.is_seen => tally.hits += 1,
                        true => tally.maybe_hits += 1,
                        false => {}
                    }
                    tally.warm_ns.extend(took);
                }
            }
        }
        tally.origin_calls = caused.len();
        tally.noun = noun(&caused);
        tally.cold_ns.sort_unstable();
        tally.warm_ns.sort_unstable();
        tally
    }

    /// The tally in words.
    pub(super) fn describe(&self) -> String {
        let header = match self.with_cache_control {
            0 => "Cache-Control missing".to_owned(),
            n if n == self.requests => "Cache-Control on all".to_owned(),
            n => format!("Cache-Control on {n} of {}", self.requests),
        };
        let validators = match (self.with_validator, self.not_modified) {
            (0, _) => "no ETag".to_owned(),
            (n, 0) => format!("ETag or Last-Modified on {n}"),
            (n, told) => format!("ETag or Last-Modified on {n}, {told} × 304"),
        };
        let maybe = match self.maybe_hits {
            0 => String::new(),
            n => format!(", of {n} it is not known"),
        };
        let again = match self.same_again {
            0 => String::new(),
            n => format!(", {n} of them the same again"),
        };
        format!(
            "{} for {}: of {} asked again {} came from a cache{maybe}; {} caused{again}; {header}; {validators}; {} cold, {} again (p50)",
            counted(self.requests, "request"),
            counted(self.keys, "key"),
            self.again,
            self.hits,
            counted(self.origin_calls, self.noun),
            half(&self.cold_ns),
            half(&self.warm_ns),
        )
    }
}

fn half(sorted: &[u64]) -> String {
    nearest_rank(sorted, 0.5).map_or_else(|| "-".to_owned(), |ns| span(ns as f64))
}
