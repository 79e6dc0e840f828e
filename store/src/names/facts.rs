//! What was at which address, and when, as somebody saw who watches the whole cluster (pure).
//!
//! Each look is told as a whole: what is there and was not gets a beginning, what was there and is
//! not gets an end. So nothing is lost for good while nobody looked. How it is kept on a disk is
//! [`super::journal`]'s affair, and who looks is the hub's.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Party;

/// Most facts that are kept; beyond, those that ended first are forgotten.
pub const FACTS_LIMIT: usize = 100_000;

/// How far the clocks of a cluster may differ: a fact holds this long around its time where no
/// other one does. Nanoseconds.
const SLACK_NS: i64 = 5_000_000_000;

/// What kind of thing an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HolderKind {
    /// A pod, by its own address.
    Pod,
    /// A service, by an address of its own.
    Service,
    /// A service that leads to this address and port of a pod: it names the service beside the pod.
    Endpoint,
}

/// What an address belongs to. Texts are empty where unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What it is.
    pub kind: HolderKind,
    /// Its namespace.
    pub namespace: String,
    /// Its workload; of a service the one that it leads to, if there is exactly one.
    pub workload: String,
    /// The pod.
    pub pod: String,
    /// The service.
    pub service: String,
    /// Revision of the workload.
    pub revision: String,
}

impl Holder {
    /// Whether it is the same thing, whatever is said of it.
    fn is(&self, other: &Self) -> bool {
        (self.kind, &self.namespace, &self.pod, &self.service)
            == (other.kind, &other.namespace, &other.pod, &other.service)
    }

    /// The end of a call that has `address`.
    fn party(&self, address: SocketAddr) -> Party {
        Party {
            address,
            workload: self.workload.clone(),
            pod: self.pod.clone(),
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            revision: self.revision.clone(),
        }
    }
}

/// That an address belonged to something for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The address, IPv4 in its own form.
    pub address: IpAddr,
    /// The port; 0 for every port.
    pub port: u16,
    /// From when: nanoseconds since the Unix epoch.
    pub since_ns: i64,
    /// Until when, itself outside; `None` while it lasts.
    pub until_ns: Option<i64>,
    /// What it belonged to.
    pub holder: Arc<Holder>,
}

impl Fact {
    /// How far a time is from this fact's; 0 within it.
    fn distance(&self, at_ns: i64) -> i64 {
        let after = self.until_ns.map_or(0, |until| {
            at_ns.saturating_sub(until).saturating_add(1).max(0)
        });
        self.since_ns.saturating_sub(at_ns).max(after)
    }

    fn is_about(&self, port: u16) -> bool {
        self.port == 0 || self.port == port
    }

    /// Whether it is the same thing at the same address.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.address, self.port) == (other.address, other.port) && self.holder.is(&other.holder)
    }

    /// Whether who has the address may change inside a time because of this fact.
    fn turns_within(&self, first_ns: i64, last_ns: i64) -> bool {
        let since = [self.since_ns.saturating_sub(SLACK_NS), self.since_ns];
        let until = self
            .until_ns
            .map(|until| [until, until.saturating_add(SLACK_NS)]);
        since
            .into_iter()
            .chain(until.into_iter().flatten())
            .any(|turn| first_ns < turn && turn <= last_ns)
    }
}

/// What was at which address, and when.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// A list is short: those who had one address, one after the other.
    by_address: HashMap<IpAddr, Arc<Vec<Fact>>>,
    count: usize,
    /// Nothing that ended before is kept.
    floor_ns: i64,
}

impl Facts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.by_address.values().flat_map(|facts| facts.iter())
    }

    /// Takes in everything that is there at `at_ns`, and gives what is new or has changed.
    ///
    /// A fact that lasts and is not in `present` ends at `at_ns`. One in `present` that has ended
    /// already ends when it says. A service that leads to another workload now did not do so before:
    /// that is another fact from `at_ns` on. More than [`FACTS_LIMIT`] are not looked at.
    pub fn observe(&mut self, present: &[Fact], at_ns: i64) -> Vec<Fact> {
        let present = present.get(..FACTS_LIMIT).unwrap_or(present);
        let mut changed = Vec::new();
        let mut there: HashMap<IpAddr, Vec<&Fact>> = HashMap::new();
        for fact in present {
            there.entry(fact.address).or_default().push(fact);
        }
        for (address, known) in &mut self.by_address {
            let there = there.get(address).map_or(&[][..], Vec::as_slice);
            let ends = |fact: &Fact| {
                fact.until_ns.is_none() && !there.iter().any(|present| present.is(fact))
            };
            if known.iter().any(ends) {
                for fact in Arc::make_mut(known).iter_mut().filter(|fact| ends(fact)) {
                    fact.until_ns = Some(at_ns.max(fact.since_ns));
                    changed.push(fact.clone());
                }
            }
        }
        for fact in present {
            self.see(fact, at_ns, &mut changed);
        }
        self.keep_within(FACTS_LIMIT);
        changed
    }

    /// Takes in one thing that is there.
    fn see(&mut self, seen: &Fact, at_ns: i64, changed: &mut Vec<Fact>) {
        if seen.until_ns.is_some_and(|until| until < self.floor_ns) {
            return;
        }
        let known = self.by_address.entry(seen.address).or_default();
        let lasting = known
            .iter()
            .position(|fact| fact.until_ns.is_none() && fact.is(seen));
        let Some(lasting) = lasting else {
            let mut last: Option<i64> = None;
            for fact in known.iter().filter(|fact| fact.is(seen)) {
                last = last.max(fact.until_ns);
            }
            // What has ended is told again and again until its object is gone.
            if last.is_some() && seen.until_ns.is_some() {
                return;
            }
            let since_ns = last.map_or(seen.since_ns, |last| last.max(seen.since_ns));
            let fact = Fact {
                since_ns,
                ..seen.clone()
            };
            changed.push(fact.clone());
            Arc::make_mut(known).push(fact);
            self.count += 1;
            return;
        };
        let Some(old) = known.get(lasting) else {
            return;
        };
        let says_more = *seen.holder != *old.holder && !seen.holder.workload.is_empty();
        if !says_more && seen.until_ns.is_none() {
            return;
        }
        let known = Arc::make_mut(known);
        let Some(old) = known.get_mut(lasting) else {
            return;
        };
        if let Some(until) = seen.until_ns {
            old.until_ns = Some(until.max(old.since_ns));
            changed.push(old.clone());
        } else if old.holder.workload.is_empty() {
            old.holder = Arc::clone(&seen.holder);
            changed.push(old.clone());
        } else {
            let now = at_ns.max(old.since_ns);
            old.until_ns = Some(now);
            changed.push(old.clone());
            let fact = Fact {
                since_ns: now,
                ..seen.clone()
            };
            changed.push(fact.clone());
            known.push(fact);
            self.count += 1;
        }
    }

    /// Takes in a fact as it was kept; a later one about the same thing since the same time counts.
    pub(super) fn restore(&mut self, fact: Fact) {
        let known = Arc::make_mut(self.by_address.entry(fact.address).or_default());
        let same = |old: &&mut Fact| old.is(&fact) && old.since_ns == fact.since_ns;
        if let Some(old) = known.iter_mut().find(same) {
            *old = fact;
        } else if self.count < FACTS_LIMIT {
            known.push(fact);
            self.count += 1;
        }
    }

    /// Forgets what ended before `floor_ns`: no call is kept of that time.
    pub fn forget_before(&mut self, floor_ns: i64) {
        self.floor_ns = floor_ns.max(self.floor_ns);
        self.drop_ended_before(self.floor_ns);
    }

    fn drop_ended_before(&mut self, floor_ns: i64) {
        let ended = |fact: &Fact| fact.until_ns.is_some_and(|until| until < floor_ns);
        self.by_address.retain(|_, known| {
            if known.iter().any(ended) {
                Arc::make_mut(known).retain(|fact| !ended(fact));
            }
            !known.is_empty()
        });
        self.count = self.by_address.values().map(|known| known.len()).sum();
    }

    /// Forgets what ended first, down to nine tenths of a limit that was passed.
    fn keep_within(&mut self, limit: usize) {
        if self.count <= limit {
            return;
        }
        let mut ends: Vec<i64> = self.iter().filter_map(|fact| fact.until_ns).collect();
        ends.sort_unstable();
        let surplus = self.count - limit / 10 * 9;
        let floor_ns = ends
            .get(surplus.min(ends.len()).saturating_sub(1))
            .map_or(i64::MIN, |end| end.saturating_add(1));
        self.drop_ended_before(floor_ns);
    }

    /// What is known of an address at a time: the pod or service, and the service that leads to it.
    pub(super) fn at(&self, address: SocketAddr, at_ns: i64) -> At<'_> {
        let mut at = At::default();
        let mut nearest = [(SLACK_NS, i64::MIN); 2];
        for fact in self.about(address) {
            let is_endpoint = fact.holder.kind == HolderKind::Endpoint;
            let (found, [other, endpoint]) = if is_endpoint {
                (&mut at.endpoint, &mut nearest)
            } else {
                (&mut at.holder, &mut nearest)
            };
            let best = if is_endpoint { endpoint } else { other };
            let distance = fact.distance(at_ns);
            // Of two that hold, the later one: an address is given away before that is told.
            if distance < best.0 || distance == best.0 && fact.since_ns > best.1 {
                *best = (distance, fact.since_ns);
                *found = Some(&*fact.holder);
                at.is_exact &= distance == 0;
            }
        }
        at
    }

    /// Whether who has an address is the same from `first_ns` to `last_ns`, as far as the facts
    /// tell without looking at each moment.
    pub(super) fn are_steady(&self, address: SocketAddr, first_ns: i64, last_ns: i64) -> bool {
        let mut about = self.about(address);
        !about.any(|fact| fact.turns_within(first_ns, last_ns))
            && self.at(address, first_ns).is_exact
    }

    fn about(&self, address: SocketAddr) -> impl Iterator<Item = &Fact> {
        let known = self.by_address.get(&address.ip().to_canonical());
        let known = known.into_iter().flat_map(|known| known.iter());
        known.filter(move |fact| fact.is_about(address.port()))
    }
}

/// What is known of an address at a time.
#[derive(Debug)]
pub(super) struct At<'a> {
    holder: Option<&'a Holder>,
    endpoint: Option<&'a Holder>,
    /// Whether nothing was taken that holds only about then.
    is_exact: bool,
}

impl Default for At<'_> {
    fn default() -> Self {
        Self {
            holder: None,
            endpoint: None,
            is_exact: true,
        }
    }
}

impl At<'_> {
    /// Whether a pod or a service is known.
    pub(super) fn has_holder(&self) -> bool {
        self.holder.is_some()
    }

    /// The end of a call that has `address`; `known` is who recorded there, if anybody.
    pub(super) fn party(&self, address: SocketAddr, known: Option<Party>) -> Party {
        let mut party = match (self.holder, known) {
            (Some(holder), _) => holder.party(address),
            (None, Some(known)) => known,
            (None, None) => Party::unknown(address),
        };
        if let Some(endpoint) = self.endpoint
            && party.service.is_empty()
            && party.namespace == endpoint.namespace
        {
            party.service.clone_from(&endpoint.service);
        }
        party
    }
}

#[cfg(test)]
mod tests;
