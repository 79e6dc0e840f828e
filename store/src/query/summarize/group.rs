//! The groups of a summary, and what is counted of each.

use hashbrown::HashMap;

use super::By;
use super::labels::{Label, Labels};
use crate::call::{Leg, Protocol};
use crate::query::{Group, Outcome};
use crate::stats::Latencies;

/// Most groups that are counted apart; calls of further ones are only added up.
const MAX_GROUPS: usize = 20_000;

/// What the calls of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) leg: Leg,
    pub(super) src: Label,
    pub(super) dst: Label,
    pub(super) src_namespace: Label,
    pub(super) dst_namespace: Label,
    pub(super) protocol: Option<Protocol>,
    pub(super) method: Label,
    pub(super) route: Label,
    pub(super) outcome: Option<Outcome>,
    pub(super) revision: Label,
}

/// What a call says of whoever answers it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// Nothing: an injected fault met it.
    Nothing,
    /// Whether it failed, and how long it took; `None` where it has no end, and for a stream.
    Of { failed: bool, pace_ns: Option<u64> },
}

/// What is counted of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    calls: u64,
    injected: u64,
    errors: u64,
    latencies: Latencies,
    request_bytes: u64,
    response_bytes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, told: Told, [request, response]: [u64; 2]) {
        self.calls += 1;
        match told {
            Told::Nothing => self.injected += 1,
            Told::Of { failed, pace_ns } => {
                self.errors += u64::from(failed);
                if let Some(ns) = pace_ns {
                    self.latencies.add(ns);
                }
            }
        }
        self.request_bytes = self.request_bytes.saturating_add(request);
        self.response_bytes = self.response_bytes.saturating_add(response);
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.injected += other.injected;
        self.errors += other.errors;
        self.latencies.merge(&other.latencies);
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
    }
}

/// All groups, and one tally per leg for the calls of those that are not counted apart.
#[derive(Debug, Default)]
pub(super) struct Groups {
    places: HashMap<Key, usize>,
    keys: Vec<Key>,
    tallies: Vec<Tally>,
    beyond: [Tally; 2],
}

/// Places of the tallies for calls of groups that are not counted apart.
const BEYOND: [usize; 2] = [usize::MAX - 1, usize::MAX];

impl Groups {
    /// Where the calls of a key are counted.
    pub(super) fn place(&mut self, key: Key) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        if self.keys.len() == MAX_GROUPS {
            return match key.leg {
                Leg::Inbound => BEYOND[0],
                Leg::Outbound => BEYOND[1],
            };
        }
        let place = self.keys.len();
        self.places.insert(key, place);
        self.keys.push(key);
        self.tallies.push(Tally::default());
        place
    }

    pub(super) fn at(&mut self, place: usize) -> &mut Tally {
        let [inbound, outbound] = &mut self.beyond;
        match self.tallies.get_mut(place) {
            Some(tally) => tally,
            None if place == BEYOND[0] => inbound,
            None => outbound,
        }
    }

    pub(super) fn tally(&mut self, key: Key) -> &mut Tally {
        let place = self.place(key);
        self.at(place)
    }

    /// The groups, the largest first and equal ones by their key; what the limit cut off, by leg; and
    /// how many groups that was.
    pub(super) fn sorted(
        self,
        labels: &Labels,
        by: By,
        limit: usize,
    ) -> (Vec<Group>, Vec<Group>, u64) {
        let mut all: Vec<(Key, Tally)> = self.keys.into_iter().zip(self.tallies).collect();
        all.sort_by_cached_key(|(key, tally)| {
            let named = named(*key, labels, by);
            let key = [
                named.src,
                named.dst,
                named.src_namespace,
                named.dst_namespace,
                named.protocol.map(|protocol| protocol.to_string()),
                named.method,
                named.route,
                named.outcome.map(|outcome| outcome.to_string()),
                named.revision,
            ];
            (std::cmp::Reverse(tally.calls), named.leg, key)
        });
        let mut rest = self.beyond;
        let cut = all.split_off(limit.min(all.len()));
        let beyond = rest.iter().filter(|tally| tally.calls > 0).count();
        for (key, tally) in &cut {
            let [inbound, outbound] = &mut rest;
            match key.leg {
                Leg::Inbound => inbound.merge(tally),
                Leg::Outbound => outbound.merge(tally),
            }
        }
        let groups = all
            .iter()
            .map(|(key, tally)| counted(named(*key, labels, by), tally));
        let rest = [Leg::Inbound, Leg::Outbound]
            .iter()
            .zip(&rest)
            .filter(|(_, tally)| tally.calls > 0)
            .map(|(leg, tally)| {
                let no_key = Group {
                    leg: leg.as_str(),
                    ..Group::default()
                };
                counted(no_key, tally)
            });
        (
            groups.collect(),
            rest.collect(),
            (cut.len() + beyond) as u64,
        )
    }
}

fn named(key: Key, labels: &Labels, by: By) -> Group {
    let text = |wanted: bool, label| match wanted {
        true => Some(labels.text(label).unwrap_or_default().to_owned()),
        false => None,
    };
    Group {
        leg: key.leg.as_str(),
        src: text(by.edge, key.src),
        dst: text(by.edge, key.dst),
        src_namespace: text(by.namespaces, key.src_namespace),
        dst_namespace: text(by.namespaces, key.dst_namespace),
        protocol: key.protocol,
        method: text(by.route, key.method),
        route: text(by.route, key.route),
        outcome: key.outcome,
        revision: text(by.revision, key.revision),
        ..Group::default()
    }
}

fn counted(named: Group, tally: &Tally) -> Group {
    let quantile = |share| tally.latencies.quantile_ns(share).map(|ns| ns / 1e6);
    Group {
        calls: tally.calls,
        injected: tally.injected,
        errors: tally.errors,
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
        request_bytes: tally.request_bytes,
        response_bytes: tally.response_bytes,
        ..named
    }
}
