//! Where secrets go: by their tags, never by their values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use remora_store::call::{CallId, Leg};
use remora_store::names::Party;
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{counted, evidence, subject};
use super::{Finding, Judgement, Kind, Severity, Verdict};
use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::traffic::tag::{MOST, Place, Tag};
use crate::traffic::{Observed, View};

/// Most workloads and services that may have what was received.
const MOST_NAMES: usize = 50;

/// Which secrets may go where. Everything that is found fails.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = SecretsArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which of the requests that carry them
    pub filter: Option<FilterInput>,
    /// Workloads or services to which what was received may be sent on
    #[serde(default)]
    pub may_receive: Vec<String>,
}

impl Args {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// There are more names than anybody means.
    pub fn validate(&self) -> Result<(), ApiError> {
        match self.may_receive.len() {
            0..=MOST_NAMES => Ok(()),
            n => Err(ApiError::bad_request(
                "bad_arguments",
                format!("args.may_receive: {n} names"),
            )
            .field("args.may_receive")
            .hint("at most 50")),
        }
    }
}

/// What is wrong with a secret in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// Sent on to somebody outside the cluster.
    LeavesCluster,
    /// Addresses are logged, kept and passed on everywhere.
    InUrl,
    /// Sent on to another namespace.
    CrossesNamespace,
    /// Sent on to another workload.
    Forwarded,
}

impl Wrong {
    const fn code(self) -> &'static str {
        match self {
            Self::LeavesCluster => "leaves_cluster",
            Self::InUrl => "in_url",
            Self::CrossesNamespace => "crosses_namespace",
            Self::Forwarded => "forwarded",
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::LeavesCluster | Self::InUrl => Severity::High,
            Self::CrossesNamespace | Self::Forwarded => Severity::Medium,
        }
    }
}

/// A secret that a pod got from somebody: the call that brought it first, and when that came, by the pod's own
/// clock.
type Received<'a> = HashMap<(u128, &'a str, [u8; 10]), (&'a Observed, i64)>;

/// What was found of one kind of request.
struct Leak<'a> {
    /// One of each kind of secret and place.
    tags: Vec<Tag>,
    /// What brought the secret to whoever sent it on.
    brought: Option<&'a Observed>,
    calls: Vec<&'a Observed>,
}

/// Whether no secret in the requests of `view` goes where it should not.
pub fn judge(view: &View<'_>, args: &Args) -> Judgement {
    let expected = "no secret in a URL, and none sent on to whom it was not sent".to_owned();
    if view.is_empty() {
        return Judgement::nothing_matched(expected);
    }
    let found = look(view, &args.may_receive);
    let carrying = view.calls().filter(|call| !call.tags.is_empty()).count();
    let unread = known_in_part(view, is_unread);
    let crowded = known_in_part(view, |call| call.tags.len() >= MOST);
    let base = Judgement {
        verdict: Verdict::Pass,
        expected,
        actual: format!(
            "{carrying} of {} carried a secret",
            counted(view.len(), "call")
        ),
        n: view.len() as u64,
        evidence: Vec::new(),
        why: String::new(),
    };
    match found.first() {
        Some(worst) => Judgement {
            verdict: Verdict::Fail,
            actual: format!("{}: {}", worst.subject, worst.seen),
            evidence: worst.evidence.clone(),
            why: match found.len() {
                1 => String::new(),
                n => format!("and {} more", counted(n - 1, "finding")),
            },
            ..base
        },
        None if unread > 0 => Judgement {
            verdict: Verdict::Inconclusive,
            why: format!(
                "{} have bodies that were not kept whole or may not be seen",
                counted(unread, "request")
            ),
            ..base
        },
        None if crowded > 0 => Judgement {
            verdict: Verdict::Inconclusive,
            why: format!(
                "{} of {MOST} secrets or more, of which no more were looked at: call_get shows the others",
                counted(crowded, "request")
            ),
            ..base
        },
        None => base,
    }
}

/// How many requests are looked at of which not all secrets are known, those among them that came to pods from
/// which secrets are sent on.
fn known_in_part(view: &View<'_>, is_so: impl Fn(&Observed) -> bool) -> usize {
    let run = |call: &Observed| call.found.origin.incarnation;
    let mut requests: BTreeSet<CallId> = BTreeSet::new();
    let mut senders: BTreeSet<u128> = BTreeSet::new();
    for call in view.calls() {
        if is_so(call) {
            requests.insert(call.found.id);
        }
        if call.found.call.leg == Leg::Outbound && !call.tags.is_empty() {
            senders.insert(run(call));
        }
    }
    let traffic = view.traffic();
    for (leg, call) in traffic.observed().iter().enumerate() {
        if call.found.call.leg == Leg::Inbound && senders.contains(&run(call)) && is_so(call) {
            requests.insert(traffic.teller(leg).unwrap_or(call).found.id);
        }
    }
    requests.len()
}

/// Whether a secret may stand in a part of the request's body that is not known.
fn is_unread(call: &Observed) -> bool {
    let request = &call.found.call.request;
    request.body_size > 0 && (call.found.withheld || request.truncated())
}

/// Secrets that go where they should not.
pub fn find(view: &View<'_>) -> Vec<Finding> {
    look(view, &[])
}

fn look(view: &View<'_>, may_receive: &[String]) -> Vec<Finding> {
    let received = received(view);
    let mut leaks: BTreeMap<(Wrong, String), Leak<'_>> = BTreeMap::new();
    for exchange in view.exchanges() {
        let Some(call) = view.traffic().told(exchange) else {
            continue;
        };
        let cause = exchange.outbound.and_then(|leg| view.traffic().cause(leg));
        let cause = cause.and_then(|leg| view.traffic().leg(leg));
        for tag in &call.tags {
            let brought = brought(call, tag, &received);
            if let Some(wrong) = wrong(call, tag, brought, cause, may_receive) {
                let leak = leaks.entry((wrong, subject(call))).or_insert(Leak {
                    tags: Vec::new(),
                    brought: brought.filter(|_| wrong != Wrong::InUrl),
                    calls: Vec::new(),
                });
                leak.add(tag, call);
            }
        }
    }
    let mut findings: Vec<Finding> = leaks
        .into_iter()
        .map(|((wrong, subject), leak)| leak.finding(wrong, subject))
        .collect();
    findings.sort_by(|a, b| a.rank().cmp(&b.rank()));
    findings
}

/// The secrets that each pod was sent, whatever of the calls is looked at.
fn received<'a>(view: &View<'a>) -> Received<'a> {
    let mut received = Received::new();
    let traffic = view.traffic();
    for (leg, call) in traffic.observed().iter().enumerate() {
        if call.found.call.leg != Leg::Inbound {
            continue;
        }
        for tag in &call.tags {
            let teller = traffic.teller(leg).unwrap_or(call);
            received
                .entry(key(call, tag))
                .or_insert((teller, call.began_ns()));
        }
    }
    received
}

/// Tags are compared within a pod, and only under one key.
fn key<'a>(call: &'a Observed, tag: &Tag) -> (u128, &'a str, [u8; 10]) {
    (
        call.found.origin.incarnation,
        &call.found.redaction_key,
        tag.shown,
    )
}

/// What brought a secret to the pod that sends it.
fn brought<'a>(call: &'a Observed, tag: &Tag, received: &Received<'a>) -> Option<&'a Observed> {
    if call.found.call.leg != Leg::Outbound {
        return None;
    }
    let (brought, came_ns) = received.get(&key(call, tag))?;
    (*came_ns <= call.began_ns()).then_some(*brought)
}

fn wrong(
    call: &Observed,
    tag: &Tag,
    brought: Option<&Observed>,
    cause: Option<&Observed>,
    may_receive: &[String],
) -> Option<Wrong> {
    let (src, dst) = (&call.found.src, &call.found.dst);
    let is_sent_on = brought.is_some() && !is_allowed(dst, may_receive);
    let leaves = is_sent_on && is_outside(dst);
    let crosses =
        !dst.namespace.is_empty() && !src.namespace.is_empty() && dst.namespace != src.namespace;
    match tag.place {
        _ if leaves => Some(Wrong::LeavesCluster),
        Place::Url => Some(Wrong::InUrl),
        _ if is_sent_on && crosses => Some(Wrong::CrossesNamespace),
        _ if is_sent_on && !is_passed_through(call, tag, cause) => Some(Wrong::Forwarded),
        _ => None,
    }
}

fn is_allowed(dst: &Party, may_receive: &[String]) -> bool {
    may_receive
        .iter()
        .any(|name| *name == dst.workload || *name == dst.service)
}

/// Nobody knows whose address it is, and it is one of the internet.
fn is_outside(dst: &Party) -> bool {
    let is_known = !dst.workload.is_empty() || !dst.service.is_empty() || !dst.pod.is_empty();
    let is_public = match dst.address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is shared by networks behind translators (RFC 6598), pods' among them.
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared)
        }
        IpAddr::V6(ip) => !(ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local()),
    };
    !is_known && is_public
}

/// The same request, sent on as it came: a gateway, whose trade that is.
fn is_passed_through(call: &Observed, tag: &Tag, cause: Option<&Observed>) -> bool {
    cause.is_some_and(|cause| {
        cause.method == call.method
            && cause.path == call.path
            && cause
                .tags
                .iter()
                .any(|it| it.is_same_secret(tag) && it.place == tag.place)
    })
}

impl<'a> Leak<'a> {
    fn add(&mut self, tag: &Tag, call: &'a Observed) {
        let is_known = |known: &Tag| known.kind == tag.kind && known.place == tag.place;
        if !self.tags.iter().any(is_known) {
            self.tags.push(*tag);
        }
        if self.calls.last().map(|last| last.id()) != Some(call.id()) {
            self.calls.push(call);
        }
    }

    fn finding(&self, wrong: Wrong, subject: String) -> Finding {
        let names = self.tags.iter().map(Tag::name);
        let name = names.collect::<Vec<_>>().join(" and ");
        let mut places: Vec<&str> = self.tags.iter().map(|tag| tag.place.as_str()).collect();
        places.dedup();
        let place = places.join(" and ");
        let calls = counted(self.calls.len(), "call");
        let seen = match (wrong, self.brought) {
            (Wrong::InUrl, _) | (_, None) => format!("{name} stands in {place} of {calls}"),
            (Wrong::LeavesCluster, Some(from)) => format!(
                "sent out of the cluster: {name}, which {} had sent, in {place} of {calls}",
                from.src()
            ),
            (Wrong::CrossesNamespace, Some(from)) => format!(
                "sent on to another namespace: {name}, which {} had sent, in {place} of {calls}",
                from.src()
            ),
            (Wrong::Forwarded, Some(from)) => format!(
                "sent on: {name}, which {} had sent, in {place} of {calls}",
                from.src()
            ),
        };
        Finding {
            kind: Kind::Secrets,
            code: wrong.code(),
            severity: wrong.severity(),
            subject,
            seen,
            n: self.calls.len() as u64,
            evidence: self.ids(),
        }
    }

    fn ids(&self) -> Vec<CallId> {
        let brought = self.brought.map(Observed::id);
        evidence(
            brought
                .into_iter()
                .chain(self.calls.iter().map(|call| call.id())),
        )
    }
}

#[cfg(test)]
mod tests;
