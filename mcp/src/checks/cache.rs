//! Whether the same question is answered from a cache, or made work of each time.

mod sight;
mod tally;

use std::collections::BTreeMap;

use remora_store::call::{BODY_DIGEST_PREFIX_BYTES, CallId};
use remora_store::head::find_field;
use remora_store::query::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::database::{asks_for_data, is_of_cache};
use super::ground::Unread;
use super::rank::nearest_rank;
use super::words::{counted, evidence, span, subject};
use super::{Finding, Ground, Judgement, Kind, Severity, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::{Observed, View};
use sight::Sight;
use tally::Tally;

/// The same question has to come so often before it is said that its answer should have been kept.
const OFTEN: usize = 5;
/// An answer that is made in less than this is hardly worth keeping.
const WORTHWHILE_NS: u64 = 5_000_000;

/// How much of what is asked again should come from a cache.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = CacheArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which requests: those of the service that should keep its answers
    pub filter: Option<FilterInput>,
    /// Least share of the requests after the first with the same path and query that cause no call, 0 to 1;
    /// default 1
    pub expect_hit_ratio: Option<f64>,
    /// Slowest of half of them, in ms
    pub expect_warm_p50_ms: Option<f64>,
}

impl Args {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// A number is outside its bounds.
    pub fn validate(&self) -> Result<(), ApiError> {
        let bad = |field: &'static str, message: String, hint: &'static str| {
            let error = ApiError::bad_request("bad_arguments", format!("args.{field}: {message}"));
            Err(error.field(format!("args.{field}")).hint(hint))
        };
        match (self.expect_hit_ratio, self.expect_warm_p50_ms) {
            (Some(share), _) if !(0.0..=1.0).contains(&share) => bad(
                "expect_hit_ratio",
                format!("{share} is not a share"),
                "0 to 1, such as 0.9",
            ),
            (_, Some(ms)) if !(ms.is_finite() && ms >= 0.0) => bad(
                "expect_warm_p50_ms",
                format!("{ms} is not a time"),
                "milliseconds, such as 5",
            ),
            _ => Ok(()),
        }
    }

    fn expected(&self) -> String {
        let share = self.expect_hit_ratio.unwrap_or(1.0) * 100.0;
        let warm = self
            .expect_warm_p50_ms
            .map_or_else(String::new, |ms| format!(", in {} at p50", span(ms * 1e6)));
        format!("{share:.0} % of what is asked again comes from a cache{warm}")
    }
}

/// One request, and what its service asked of others to answer it; without what it asked of a store that
/// answers are kept in.
struct Asked<'a> {
    call: &'a Observed,
    caused: Vec<&'a Observed>,
    /// Whether `caused` is all of it: its callee was recorded, and asked for nothing meanwhile of which it is
    /// not sure what it was for.
    is_seen: bool,
}

/// The same question, each time that it was asked, in order.
struct Key<'a> {
    asked: Vec<Asked<'a>>,
}

impl Asked<'_> {
    /// The service answered without asking anybody, or told its caller to use what it has.
    fn is_hit(&self) -> bool {
        self.caused.is_empty() || self.call.outcome() == Outcome::Status(304)
    }

    fn says(&self, name: &[u8]) -> Option<&[u8]> {
        find_field(&self.call.found.call.response.head, name)
    }

    /// Whether the answer is for one caller, or for one time, by what was asked or answered.
    fn is_private(&self) -> bool {
        let request = &self.call.found.call.request.head;
        let says_so = self.says(b"cache-control").is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            [&b"no-store"[..], b"no-cache", b"private"]
                .iter()
                .any(|word| value.windows(word.len()).any(|part| part == *word))
        });
        says_so
            || self.says(b"set-cookie").is_some()
            || find_field(request, b"authorization").is_some()
            || find_field(request, b"cookie").is_some()
    }
}

impl<'a> Key<'a> {
    /// Whether every answer was the same, so that the first one would have done. Of one that is longer than what
    /// is digested of it that cannot be told.
    fn is_unchanged(&self) -> bool {
        let is_unknown = |asked: &Asked<'a>| {
            let found = &asked.call.found;
            let size = found.call.response.body_size;
            (found.withheld && size > 0) || size > BODY_DIGEST_PREFIX_BYTES as u64
        };
        if self.asked.iter().any(is_unknown) {
            return false;
        }
        let answer = |asked: &Asked<'a>| {
            let response = &asked.call.found.call.response;
            (response.body_digest, response.body_size)
        };
        let first = self.asked.first().map(answer);
        self.asked.iter().all(|asked| Some(answer(asked)) == first)
    }

    /// The first and the next few requests, and what the second caused.
    fn ids(&self) -> Vec<CallId> {
        let again = self.asked.get(1).map(|asked| &asked.caused);
        let caused = again.into_iter().flatten().map(|call| call.id()).take(2);
        let asked = self.asked.iter().map(|asked| asked.call.id()).take(3);
        evidence(asked.chain(caused))
    }
}

/// Requests that somebody might have kept the answer of, by what they ask.
fn keys<'a>(view: &View<'a>, beyond: &[Unread]) -> Vec<Key<'a>> {
    let traffic = view.traffic();
    let sight = Sight::of(traffic, beyond);
    let mut keys: BTreeMap<(String, &'a str, &'a str), Key<'a>> = BTreeMap::new();
    for exchange in view.exchanges() {
        let Some(call) = traffic.told(exchange) else {
            continue;
        };
        let is_good = matches!(call.outcome(), Outcome::Status(200..=399));
        if !is_good
            || !matches!(call.method.as_str(), "GET" | "HEAD")
            || call.found.call.is_stream()
        {
            continue;
        }
        let caused: Vec<&Observed> = exchange
            .inbound
            .map(|inbound| {
                let effects = traffic.effects(inbound);
                effects
                    .filter(|call| asks_for_data(call) && !is_of_cache(call))
                    .collect()
            })
            .unwrap_or_default();
        let key = (
            format!("{} {}", call.dst(), call.method),
            call.path.as_str(),
            call.query.as_str(),
        );
        keys.entry(key)
            .or_insert(Key { asked: Vec::new() })
            .asked
            .push(Asked {
                call,
                caused,
                is_seen: exchange
                    .inbound
                    .and_then(|leg| traffic.leg(leg))
                    .is_some_and(|inbound| sight.is_clear(inbound)),
            });
    }
    keys.into_values().collect()
}

/// Whether the requests in `view` are answered from a cache as they should be.
pub fn judge(view: &View<'_>, args: &Args, ground: &Ground) -> Judgement {
    let expected = args.expected();
    let keys = keys(view, &ground.unread);
    if keys.is_empty() {
        return Judgement::nothing_matched(expected);
    }
    let repeated: Vec<&Key<'_>> = keys.iter().filter(|key| key.asked.len() > 1).collect();
    let Some(most) = repeated.iter().max_by_key(|key| key.asked.len()) else {
        return Judgement {
            expected,
            actual: format!("{}, all different", counted(keys.len(), "request")),
            ..Judgement::inconclusive("nothing was asked twice: repeat a request")
        };
    };
    let tally = Tally::of(&repeated);
    let is_blind = repeated
        .iter()
        .any(|key| key.asked.iter().any(|asked| !asked.is_seen));
    let share = (tally.hits + tally.maybe_hits) as f64 / tally.again.max(1) as f64;
    let is_slow = args.expect_warm_p50_ms.is_some_and(|limit| {
        nearest_rank(&tally.warm_ns, 0.5).is_some_and(|ns| ns as f64 > limit * 1e6)
    });
    let too_few = share < args.expect_hit_ratio.unwrap_or(1.0);
    let (verdict, why) = match (too_few || is_slow, is_blind) {
        (true, _) => (Verdict::Fail, String::new()),
        (false, true) => (
            Verdict::Inconclusive,
            "what the service asked of others is not known: a sidecar has to stand beside it, on both of its sides, and read what it says (neither TLS nor another protocol that passes unread), and with many requests at a time a trace or request id has to be passed on".to_owned(),
        ),
        (false, false) => (Verdict::Pass, String::new()),
    };
    Judgement {
        verdict,
        expected,
        actual: tally.describe(),
        n: tally.requests as u64,
        evidence: most.ids(),
        why,
    }
}

/// Answers that never change, that anybody may have, and that are made anew each time.
pub fn find(view: &View<'_>) -> Vec<Finding> {
    let mut kinds: BTreeMap<String, Vec<Key<'_>>> = BTreeMap::new();
    for key in keys(view, &[]) {
        let is_made_anew = key
            .asked
            .iter()
            .all(|asked| !asked.is_hit() && !asked.is_private());
        if key.asked.len() < OFTEN || !is_made_anew || !key.is_unchanged() {
            continue;
        }
        if let Some(first) = key.asked.first() {
            kinds.entry(subject(first.call)).or_default().push(key);
        }
    }
    let found = kinds.into_iter().filter_map(|(subject, keys)| {
        let most = keys.iter().max_by_key(|key| key.asked.len())?;
        let tally = Tally::of(&keys.iter().collect::<Vec<_>>());
        let is_worthwhile = nearest_rank(&tally.warm_ns, 0.5).is_some_and(|ns| ns >= WORTHWHILE_NS);
        Some(Finding {
            kind: Kind::Cache,
            code: "never_cached",
            severity: match is_worthwhile {
                true => Severity::Medium,
                false => Severity::Low,
            },
            subject,
            seen: format!(
                "the answer never changed and was made anew each time: {}",
                tally.describe()
            ),
            n: tally.again as u64,
            evidence: most.ids(),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests;
