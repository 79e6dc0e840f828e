//! Whether the same question is answered from a cache, or made work of each time.

use std::collections::{BTreeMap, HashMap, HashSet};

use remora_store::call::{CallId, Leg, Protocol};
use remora_store::head::find_field;
use remora_store::query::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::database::{asks_for_data, is_of_cache, noun};
use super::rank::nearest_rank;
use super::words::{counted, evidence, span, subject};
use super::{Finding, Judgement, Kind, Severity, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::{Observed, View};

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

/// What a cache did for some questions.
#[derive(Default)]
struct Tally {
    requests: usize,
    keys: usize,
    /// Requests after the first of their key.
    again: usize,
    /// Those of them that caused no call.
    hits: usize,
    /// Requests that asked again, and of which it was not seen what the service did.
    maybe_hits: usize,
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
    warm_ns: Vec<u64>,
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
    /// Whether every answer was the same, so that the first one would have done.
    fn is_unchanged(&self) -> bool {
        let is_hidden = |asked: &Asked<'a>| {
            let found = &asked.call.found;
            found.withheld && found.call.response.body_size > 0
        };
        if self.asked.iter().any(is_hidden) {
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
fn keys<'a>(view: &View<'a>) -> Vec<Key<'a>> {
    let traffic = view.traffic();
    let unsure = traffic.unsure();
    let unread = unread(traffic.observed());
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
                    .is_some_and(|inbound| {
                        !overlaps(inbound, &unsure) && !speaks_unread(inbound, &unread)
                    }),
            });
    }
    keys.into_values().collect()
}

/// Whether the pod that received a call began one of unsure cause before it had answered.
fn overlaps(inbound: &Observed, unsure: &HashMap<u128, Vec<i64>>) -> bool {
    let Some(began) = unsure.get(&inbound.found.origin.incarnation) else {
        return false;
    };
    let first = began.partition_point(|at| *at < inbound.began_ns());
    let ended = inbound.ended_ns().unwrap_or(i64::MAX);
    began.get(first).is_some_and(|at| *at <= ended)
}

/// When each pod had connections to others that are not read, by who recorded them: what passes there may be
/// a question to a database of which nothing is known.
fn unread(observed: &[Observed]) -> HashMap<u128, Vec<(i64, i64)>> {
    let mut unread: HashMap<u128, Vec<(i64, i64)>> = HashMap::new();
    for leg in observed {
        let call = &leg.found.call;
        let is_unread = matches!(call.protocol, Protocol::Opaque | Protocol::Tls)
            && call.leg == Leg::Outbound
            && call.request.body_size > 0;
        if is_unread {
            let lasts = (leg.began_ns(), leg.ended_ns().unwrap_or(i64::MAX));
            let of_pod = unread.entry(leg.found.origin.incarnation).or_default();
            of_pod.push(lasts);
        }
    }
    unread
}

/// Whether the pod that received a call had such a connection before it had answered.
fn speaks_unread(inbound: &Observed, unread: &HashMap<u128, Vec<(i64, i64)>>) -> bool {
    let ended = inbound.ended_ns().unwrap_or(i64::MAX);
    let of_pod = unread.get(&inbound.found.origin.incarnation);
    of_pod.is_some_and(|of_pod| {
        let mut lasting = of_pod.iter();
        lasting.any(|(first, last)| *first <= ended && inbound.began_ns() <= *last)
    })
}

impl Tally {
    fn of(keys: &[&Key<'_>]) -> Self {
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

    fn describe(&self) -> String {
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

/// Whether the requests in `view` are answered from a cache as they should be.
pub fn judge(view: &View<'_>, args: &Args) -> Judgement {
    let expected = args.expected();
    let keys = keys(view);
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
    for key in keys(view) {
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
mod tests {
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::super::testing::{findings, firm, refused_field};
    use super::*;
    use crate::checks::Check;
    use crate::traffic::testing::{Told, command, get, statement, traffic};

    /// The same request `n` times; the first `cold` of them ask `stock`, and take 45 ms instead of 2.
    fn orders(n: i64, cold: i64) -> Vec<Told> {
        let mut told = Vec::new();
        for it in 0..n {
            let is_cold = it < cold;
            let at_ms = it * 100;
            let request = get(at_ms, "/api/orders/7", 200).received();
            told.push(request.taking_ms(if is_cold { 45 } else { 2 }));
            if is_cold {
                told.push(
                    get(at_ms + 5, "/rows/7", 200)
                        .taking_ms(35)
                        .between("orders", "stock"),
                );
            }
        }
        told
    }

    /// What the check says of the requests for orders among these calls.
    fn judged(args: Value, told: Vec<Told>) -> Judgement {
        let args = args.as_object().cloned().unwrap_or_default();
        let check = Check::read(Kind::Cache, args).expect("the arguments are right");
        let traffic = traffic(told);
        let of_orders = |id| {
            traffic
                .observed()
                .iter()
                .any(|it| it.id() == id && it.path.starts_with("/api"))
        };
        let picked = traffic.pick(of_orders);
        check.judge(&[traffic.view(&picked)], &firm())
    }

    #[test]
    fn the_story_of_the_cache_is_told_before_and_after() {
        let before = judged(json!({}), orders(12, 12));
        assert_eq!(before.verdict, Verdict::Fail);
        assert_eq!(
            before.actual,
            "12 requests for 1 key: of 11 asked again 0 came from a cache; 12 calls caused, \
             11 of them the same again; \
             Cache-Control missing; no ETag; 45 ms cold, 45 ms again (p50)"
        );
        let after = judged(json!({"expect_warm_p50_ms": 5}), orders(12, 1));
        assert_eq!(after.verdict, Verdict::Pass, "{after:?}");
        assert!(
            after.actual.ends_with("45 ms cold, 2.0 ms again (p50)"),
            "{after:?}"
        );
    }

    /// The same, of a service that looks into Redis first and asks a database for what is not there.
    fn orders_of_a_database(n: i64, cold: i64) -> Vec<Told> {
        let mut told = Vec::new();
        for it in 0..n {
            let at_ms = it * 100;
            let request = get(at_ms, "/api/orders/7", 200).received();
            told.push(request.taking_ms(if it < cold { 45 } else { 4 }));
            let lookup = command(at_ms + 1, "GET", "order:7").taking_ms(1);
            told.push(lookup.between("orders", "cache"));
            if it < cold {
                for (after_ms, text) in [(5, "BEGIN"), (10, QUERY), (20, "COMMIT")] {
                    let asked = statement(at_ms + after_ms, text, 7).on_connection(2, it as u32);
                    told.push(asked.between("orders", "db"));
                }
            }
        }
        told
    }

    const QUERY: &str = "SELECT * FROM orders WHERE id = ?";

    #[test]
    fn what_comes_from_redis_comes_from_a_cache() {
        let before = judged(json!({}), orders_of_a_database(12, 12));
        assert_eq!(before.verdict, Verdict::Fail);
        let says = "12 PostgreSQL queries caused, 11 of them the same again; Cache-Control missing";
        assert!(before.actual.contains(says), "{before:?}");
        let after = judged(json!({}), orders_of_a_database(12, 1));
        assert_eq!(after.verdict, Verdict::Pass, "{after:?}");
        let says = "of 11 asked again 11 came from a cache; 1 PostgreSQL query caused;";
        assert!(after.actual.contains(says), "{after:?}");
    }

    #[test_case(json!({"expect_hit_ratio": 0.5}), orders(12, 6), Verdict::Pass)]
    #[test_case(json!({"expect_hit_ratio": 0.9}), orders(12, 6), Verdict::Fail)]
    #[test_case(json!({"expect_warm_p50_ms": 1}), orders(12, 1), Verdict::Fail; "from a cache, and slow")]
    #[test_case(json!({}), orders(1, 1), Verdict::Inconclusive; "asked once")]
    #[test_case(json!({}), vec![], Verdict::Inconclusive; "never asked")]
    #[test_case(json!({}), vec![get(0, "/api/a", 200), get(9, "/api/a", 200)], Verdict::Inconclusive; "without a sidecar beside the service")]
    fn so_much_comes_from_a_cache(args: Value, told: Vec<Told>, expected: Verdict) {
        let judgement = judged(args, told);
        assert_eq!(judgement.verdict, expected, "{judgement:?}");
    }

    #[test_case(|told| told, 12, Some(Severity::Medium); "worth keeping")]
    #[test_case(|told| told, 4, None; "asked too seldom")]
    #[test_case(|told| told.taking_ms(2), 12, None; "not sure to cause what outlives it")]
    #[test_case(|told| told.answering("Cache-Control: no-store"), 12, None; "must not be kept")]
    #[test_case(|told| told.sending("Authorization: x"), 12, None; "for one caller")]
    fn answers_that_should_have_been_kept(
        change: fn(Told) -> Told,
        n: i64,
        expected: Option<Severity>,
    ) {
        let told = orders(n, n).into_iter().map(change).collect();
        let found = findings(Kind::Cache, told);
        assert_eq!(found.first().map(|it| it.severity), expected, "{found:?}");
    }

    #[test]
    fn a_hit_is_none_where_it_is_not_sure_what_a_call_was_for() {
        let mut told = orders(12, 1);
        // Two are answered at a time, and one of them asks for something.
        told.push(get(500, "/api/orders/8", 200).taking_ms(40).received());
        told.push(get(501, "/api/orders/9", 200).taking_ms(40).received());
        told.push(
            get(500, "/api/orders/7", 200)
                .taking_ms(40)
                .received()
                .on_connection(900, 0),
        );
        told.push(
            get(510, "/rows/7", 200)
                .taking_ms(5)
                .between("orders", "stock"),
        );
        let judgement = judged(json!({}), told);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
        assert!(judgement.why.contains("is not known"), "{judgement:?}");
        let says = ", of 1 it is not known";
        assert!(judgement.actual.contains(says), "{judgement:?}");
    }

    #[test]
    fn a_hit_is_none_where_the_service_speaks_what_is_not_read() {
        let connection = |begins_at_ms| {
            let told = get(begins_at_ms, "/", 200).between("orders", "db");
            told.taking_ms(5000).having(|call| {
                call.protocol = Protocol::Opaque;
                call.request.head.clear();
                call.request.body_size = 100;
            })
        };
        for (begins_at_ms, expected) in [(0, Verdict::Inconclusive), (9000, Verdict::Pass)] {
            let mut told = orders(12, 1);
            told.push(connection(begins_at_ms));
            let judgement = judged(json!({}), told);
            assert_eq!(judgement.verdict, expected, "{judgement:?}");
        }
    }

    #[test]
    fn answers_that_may_not_be_seen_are_not_called_the_same() {
        let hidden = orders(12, 12).into_iter().map(Told::withheld);
        assert_eq!(findings(Kind::Cache, hidden.collect()), []);
    }

    #[test]
    fn answers_that_change_are_not_missed_by_a_cache() {
        let told = orders(12, 12).into_iter().enumerate();
        let told =
            told.map(|(place, told)| told.having(|call| call.response.body_size = place as u64));
        assert_eq!(findings(Kind::Cache, told.collect()), []);
    }

    #[test_case(json!({"expect_hit_ratio": 90}), "args.expect_hit_ratio")]
    #[test_case(json!({"expect_warm_p50_ms": -1}), "args.expect_warm_p50_ms")]
    fn numbers_that_are_none_are_refused(args: Value, field: &str) {
        assert_eq!(refused_field(Kind::Cache, args), field);
    }
}
