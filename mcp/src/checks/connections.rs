//! How connections are used: opened, used again, closed by whom.

use std::collections::{BTreeMap, BTreeSet};

use remora_store::call::{CallError, CallId, Leg, Protocol, Side};
use remora_store::head::find_field;
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{counted, evidence, percent};
use super::{Finding, Judgement, Kind, Severity, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::{Observed, View};

/// So many connections have to be opened before it is said that none is used again.
const ENOUGH: usize = 20;
/// Fewer calls per connection than this are as good as one.
const HARDLY_REUSED: f64 = 1.2;
/// Opening so many connections per second is a burden of its own.
const STORM_PER_SECOND: f64 = 10.0;
/// A rate is told over this time at least.
const LEAST_SECONDS: f64 = 1.0;

/// How connections should be used.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = ConnectionsArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which calls
    pub filter: Option<FilterInput>,
    /// Least share of calls on a connection that was used before, 0 to 1
    pub min_reuse: Option<f64>,
    /// Most connections
    pub max_opened: Option<u64>,
    /// Most connections that were reset or could not be made
    pub max_broken: Option<u64>,
}

impl Args {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// A share is none.
    pub fn validate(&self) -> Result<(), ApiError> {
        match self.min_reuse {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                let message = format!("args.min_reuse: {share} is not a share");
                let error = ApiError::bad_request("bad_arguments", message);
                Err(error.field("args.min_reuse").hint("0 to 1, such as 0.9"))
            }
            _ => Ok(()),
        }
    }

    fn is_open(&self) -> bool {
        self.min_reuse.is_none() && self.max_opened.is_none() && self.max_broken.is_none()
    }

    fn expected(&self) -> String {
        let mut parts = Vec::new();
        if let Some(share) = self.min_reuse {
            parts.push(format!(
                "at least {:.0} % of calls on a used connection",
                share * 100.0
            ));
        }
        if let Some(most) = self.max_opened {
            parts.push(format!("at most {}", counted(most as usize, "connection")));
        }
        if let Some(most) = self.max_broken {
            parts.push(format!("at most {most} reset or not made"));
        }
        match parts.is_empty() {
            true => "nothing wrong with connections".to_owned(),
            false => parts.join(", "),
        }
    }
}

/// Connections of one caller to one callee.
#[derive(Debug, Default)]
struct Use<'a> {
    calls: Vec<&'a Observed>,
    /// All that calls were seen on.
    used: BTreeSet<(u128, u64)>,
    /// Those of which the first call was seen: the others were there before.
    opened: BTreeSet<(u128, u64)>,
    /// Calls that could share a connection with others.
    shareable: usize,
    /// Those of them that were not the first on their connection.
    reused: usize,
    /// Those that were reset or never stood.
    broken: BTreeSet<(u128, u64)>,
    /// The first call that was seen of each connection.
    firsts: Vec<CallId>,
    /// Calls whose answer told the client not to use the connection again.
    told_to_close: usize,
    /// Calls whose request told the server so.
    asked_to_close: usize,
    closed_by_server: usize,
}

impl<'a> Use<'a> {
    fn add(&mut self, call: &'a Observed) {
        let recorded = &call.found.call;
        let connection = (call.found.origin.incarnation, recorded.connection.id);
        if self.used.insert(connection) {
            self.firsts.push(call.id());
        }
        let is_first = call.is_first_on_connection();
        if is_first {
            self.opened.insert(connection);
        }
        if !is_whole_connection(call) {
            self.shareable += 1;
            self.reused += usize::from(!is_first);
        }
        let is_broken = matches!(
            recorded.error,
            Some(
                CallError::ConnectRefused
                    | CallError::ConnectTimeout
                    | CallError::ConnectUnreachable
                    | CallError::ConnectFailed
                    | CallError::ClientReset
                    | CallError::ServerReset
            )
        );
        if is_broken {
            self.broken.insert(connection);
        }
        self.told_to_close += usize::from(says_close(&recorded.response.head));
        self.asked_to_close += usize::from(says_close(&recorded.request.head));
        self.closed_by_server += usize::from(recorded.closed_by == Some(Side::Server));
        self.calls.push(call);
    }

    /// From the first call to the last, in seconds.
    fn seconds(&self) -> f64 {
        let first = self.calls.first().map_or(0, |call| call.began_ns());
        let last = self.calls.last().map_or(0, |call| call.began_ns());
        (last.saturating_sub(first) as f64 / 1e9).max(LEAST_SECONDS)
    }

    fn describe(&self) -> String {
        format!(
            "{} on {}, {} on a used one; {} reset or not made; at most {} at a time",
            counted(self.calls.len(), "call"),
            counted(self.used.len(), "connection"),
            percent(self.reused, self.shareable),
            self.broken.len(),
            self.peak(),
        )
    }

    /// Most connections with a call on them at the same time.
    fn peak(&self) -> usize {
        let mut edges: Vec<(i64, bool, (u128, u64))> = Vec::with_capacity(self.calls.len() * 2);
        for call in &self.calls {
            let connection = (call.found.origin.incarnation, call.found.call.connection.id);
            if let Some(ended) = call.ended_ns() {
                edges.push((call.began_ns(), true, connection));
                edges.push((ended.max(call.began_ns()), false, connection));
            }
        }
        edges.sort_unstable_by_key(|(at, begins, _)| (*at, !*begins));
        let mut busy: BTreeMap<(u128, u64), usize> = BTreeMap::new();
        let mut peak = 0;
        for (_, begins, connection) in edges {
            let calls = busy.entry(connection).or_default();
            match begins {
                true => *calls += 1,
                false => *calls = calls.saturating_sub(1),
            }
            if *calls == 0 {
                busy.remove(&connection);
            }
            peak = peak.max(busy.len());
        }
        peak
    }
}

/// Whether a record is of a connection and not of one call on it: whatever passes in a WebSocket or in TLS, passes
/// in there.
fn is_whole_connection(call: &Observed) -> bool {
    matches!(
        call.found.call.protocol,
        Protocol::WebSocket | Protocol::Tls | Protocol::Opaque
    )
}

fn says_close(head: &[u8]) -> bool {
    find_field(head, b"connection").is_some_and(|value| {
        value
            .split(|byte| *byte == b',')
            .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// Whether the connections of the calls in `view` are used as they should be.
pub fn judge(view: &View<'_>, args: &Args) -> Judgement {
    let mut all = Use::default();
    view.calls().for_each(|call| all.add(call));
    if all.calls.is_empty() {
        return Judgement::nothing_matched(args.expected());
    }
    let reuse = all.reused as f64 / all.shareable.max(1) as f64;
    let is_untold = args.min_reuse.is_some() && all.shareable == 0;
    let found = find(view);
    let fails = [
        args.min_reuse
            .is_some_and(|least| !is_untold && reuse < least),
        args.max_opened
            .is_some_and(|most| all.opened.len() as u64 > most),
        args.max_broken
            .is_some_and(|most| all.broken.len() as u64 > most),
        args.is_open() && !found.is_empty(),
    ];
    let verdict = match (fails.contains(&true), is_untold) {
        (true, _) => Verdict::Fail,
        (false, true) => Verdict::Inconclusive,
        (false, false) => Verdict::Pass,
    };
    let why = match (verdict, found.first()) {
        (Verdict::Inconclusive, _) => {
            "none of the calls could share a connection: WebSockets and what passes unread, such as TLS, have one each".to_owned()
        }
        (_, Some(worst)) => worst.seen.clone(),
        (_, None) => String::new(),
    };
    Judgement {
        verdict,
        expected: args.expected(),
        actual: all.describe(),
        n: all.calls.len() as u64,
        evidence: evidence(all.firsts.iter().copied()),
        why,
    }
}

/// Callers that open a connection for each call, though they need not.
///
/// Only of callers with a sidecar: a tool that runs once per call cannot do otherwise.
pub fn find(view: &View<'_>) -> Vec<Finding> {
    let mut uses: BTreeMap<(String, String), Use<'_>> = BTreeMap::new();
    let outbound = view
        .calls()
        .filter(|call| call.found.call.leg == Leg::Outbound);
    for call in outbound.filter(|call| call.is_request() && !is_whole_connection(call)) {
        uses.entry((call.src(), call.dst())).or_default().add(call);
    }
    let wasteful = uses.into_iter().filter_map(|((src, dst), used)| {
        let opened = used.opened.len();
        let per_connection = used.calls.len() as f64 / opened.max(1) as f64;
        if opened < ENOUGH || per_connection >= HARDLY_REUSED || is_all_at_once(&used) {
            return None;
        }
        let per_second = opened as f64 / used.seconds();
        let cause = match (
            used.told_to_close * 2 > opened,
            used.asked_to_close * 2 > opened,
        ) {
            (_, true) => "; the client asks for it: its requests say Connection: close",
            (true, false) => "; the server asks for it: its answers say Connection: close",
            (false, false) if used.closed_by_server * 2 > opened => "; the server closes them",
            (false, false) => "; the client closes them or has no pool",
        };
        Some(Finding {
            kind: Kind::Connections,
            code: "no_reuse",
            severity: match per_second >= STORM_PER_SECOND {
                true => Severity::High,
                false => Severity::Medium,
            },
            subject: format!("{src} -> {dst}"),
            seen: format!(
                "{} for {}: {per_connection:.1} calls each, {per_second:.1} opened a second{cause}",
                counted(opened, "connection"),
                counted(used.calls.len(), "call"),
            ),
            n: opened as u64,
            evidence: evidence(used.firsts.iter().copied()),
        })
    });
    wasteful.collect()
}

/// Whether most connections were in use at the same time, so that there was none to use again.
fn is_all_at_once(used: &Use<'_>) -> bool {
    used.peak() * 2 > used.opened.len()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::super::testing::{findings, firm, judge, refused_field};
    use super::*;
    use crate::traffic::testing::{Told, get};

    /// Calls one after the other, `each` of them on a connection.
    fn calls(n: i64, each: i64, every_ms: i64) -> Vec<Told> {
        let one = |it: i64| {
            let (connection, ordinal) = ((it / each) as u64 + 1, (it % each) as u32);
            get(it * every_ms, "/", 200).on_connection(connection, ordinal)
        };
        (0..n).map(one).collect()
    }

    #[test_case(calls(30, 1, 1000), Some(Severity::Medium); "a connection for each call")]
    #[test_case(calls(300, 1, 10), Some(Severity::High); "many a second")]
    #[test_case(calls(30, 10, 10), None; "used ten times")]
    #[test_case(calls(19, 1, 10), None; "too few to tell")]
    #[test_case(calls(40, 1, 0), None; "all at the same time")]
    fn connections_that_are_never_used_again(told: Vec<Told>, expected: Option<Severity>) {
        let found = findings(Kind::Connections, told);
        assert_eq!(found.first().map(|it| it.severity), expected, "{found:?}");
    }

    #[test_case("client has no pool", |told| told, "the client closes them or has no pool")]
    #[test_case("server closes", |told| told.answering("Connection: close"), "the server asks for it")]
    #[test_case("client closes", |told| told.sending("Connection: Close"), "the client asks for it")]
    fn the_cause_is_told(_: &str, change: fn(Told) -> Told, expected: &str) {
        let told = calls(30, 1, 10).into_iter().map(change).collect();
        let found = findings(Kind::Connections, told);
        let seen = found.first().map(|it| it.seen.clone()).unwrap_or_default();
        assert!(seen.contains(expected), "{seen}");
    }

    #[test_case(json!({"min_reuse": 0.9}), Verdict::Pass)]
    #[test_case(json!({"min_reuse": 0.95}), Verdict::Fail)]
    #[test_case(json!({"max_opened": 3}), Verdict::Pass)]
    #[test_case(json!({"max_opened": 2}), Verdict::Fail)]
    #[test_case(json!({"max_broken": 0}), Verdict::Fail)]
    #[test_case(json!({}), Verdict::Pass)]
    fn connections_are_used_so(args: Value, expected: Verdict) {
        let mut told = calls(30, 10, 10);
        let last = told.pop().expect("there are some");
        told.push(last.failing(CallError::ServerReset));
        let judgement = judge(Kind::Connections, args, told, &firm());
        assert_eq!(judgement.verdict, expected, "{judgement:?}");
        assert_eq!(
            judgement.actual,
            "30 calls on 3 connections, 90 % on a used one; 1 reset or not made; at most 1 at a time"
        );
    }

    /// So many WebSockets, or connections that pass unread, one after the other.
    fn whole_connections(n: i64, protocol: Protocol) -> Vec<Told> {
        let told = calls(n, 1, 1000).into_iter();
        told.map(|told| told.having(|call| call.protocol = protocol))
            .collect()
    }

    #[test_case(Protocol::WebSocket)]
    #[test_case(Protocol::Tls)]
    fn what_has_a_connection_of_its_own_shares_none(protocol: Protocol) {
        let told = whole_connections(30, protocol);
        assert_eq!(findings(Kind::Connections, told.clone()), []);
        let args = json!({"min_reuse": 0.5});
        let judgement = judge(Kind::Connections, args.clone(), told.clone(), &firm());
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
        let mut with_requests = told;
        with_requests.extend(calls(30, 10, 10));
        let judgement = judge(Kind::Connections, args, with_requests, &firm());
        assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
    }

    #[test]
    fn a_pool_that_was_there_before_is_no_waste() {
        let told: Vec<_> = (0..30)
            .map(|it| get(it * 10, "/", 200).on_connection(it as u64 + 1, 500))
            .collect();
        assert_eq!(findings(Kind::Connections, told.clone()), []);
        let judgement = judge(Kind::Connections, json!({"min_reuse": 1.0}), told, &firm());
        assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
    }

    #[test]
    fn a_share_that_is_none_is_refused() {
        let field = refused_field(Kind::Connections, json!({"min_reuse": 90}));
        assert_eq!(field, "args.min_reuse");
    }
}
