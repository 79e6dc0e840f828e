//! Who the addresses belong to, learnt from the sidecars that recorded something, and in a cluster
//! from [`facts`] that somebody saw who watches it: those are believed first.
//!
//! A sidecar says at which addresses its workload is called ([`Origin::serves`]). An address can
//! belong to one pod today and to another tomorrow, so what was learnt holds for the time in which
//! the sidecar recorded, and for the time around it until somebody else claims the address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::block::Origin;
use crate::call::Leg;
use crate::store::{Namespaces, Scope};
use facts::{Fact, Facts};

pub mod facts;
pub(crate) mod journal;

/// One end of a call, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Address as it was on the wire.
    pub address: SocketAddr,
    /// Workload; empty where the address is not known.
    pub workload: String,
    /// Pod; empty where unknown or outside a cluster.
    pub pod: String,
    /// Namespace; empty where unknown.
    pub namespace: String,
    /// Service that was addressed; empty where unknown. Outside a cluster a workload is its own
    /// service.
    pub service: String,
    /// Revision of the workload; empty where unknown.
    pub revision: String,
}

impl Party {
    /// An end of which only the address is known.
    pub fn unknown(address: SocketAddr) -> Self {
        Self {
            address,
            workload: String::new(),
            pod: String::new(),
            namespace: String::new(),
            service: String::new(),
            revision: String::new(),
        }
    }

    /// An end that is a known recorder of calls.
    pub fn known(address: SocketAddr, origin: &Origin) -> Self {
        let outside_a_cluster = origin.pod.is_empty();
        let service = if outside_a_cluster {
            origin.workload.as_str()
        } else {
            ""
        };
        Self {
            address,
            workload: origin.workload.clone(),
            pod: origin.pod.clone(),
            namespace: origin.namespace.clone(),
            service: service.to_owned(),
            revision: origin.revision.clone(),
        }
    }
}

/// Which recorders are called at which addresses, and when. Cheap to clone as long as there are few.
#[derive(Debug, Clone, Default)]
pub struct Names {
    recorders: HashMap<u128, Recorder>,
    /// Incarnations by the addresses they serve, IPv4 in its own form, port 0 for every port.
    by_address: HashMap<(IpAddr, u16), Vec<u128>>,
    facts: Arc<Facts>,
    /// Whose names are told; the others are addresses.
    shown: Namespaces,
}

#[derive(Debug, Clone)]
struct Recorder {
    origin: Arc<Origin>,
    first_ns: i64,
    last_ns: i64,
}

impl Recorder {
    /// How far a time is from the time in which the recorder is known to have run; 0 within it.
    fn distance(&self, at_ns: i64) -> u64 {
        if at_ns < self.first_ns {
            at_ns.abs_diff(self.first_ns)
        } else if at_ns > self.last_ns {
            at_ns.abs_diff(self.last_ns)
        } else {
            0
        }
    }
}

impl Names {
    /// Learns that `origin` recorded calls from `first_ns` to `last_ns`.
    pub fn learn(&mut self, origin: &Arc<Origin>, first_ns: i64, last_ns: i64) {
        if let Some(known) = self.recorders.get_mut(&origin.incarnation) {
            known.first_ns = known.first_ns.min(first_ns);
            known.last_ns = known.last_ns.max(last_ns);
            // A hub in a cluster may hear of a pod's addresses after its first block.
            if known.origin.serves == origin.serves || origin.serves.is_empty() {
                return;
            }
            known.origin = Arc::clone(origin);
        } else {
            let recorder = Recorder {
                origin: Arc::clone(origin),
                first_ns,
                last_ns,
            };
            self.recorders.insert(origin.incarnation, recorder);
        }
        for address in &origin.serves {
            let key = (address.ip().to_canonical(), address.port());
            let servers = self.by_address.entry(key).or_default();
            if !servers.contains(&origin.incarnation) {
                servers.push(origin.incarnation);
            }
        }
    }

    /// No recorders, and the facts that somebody else has.
    pub(crate) fn with_facts(facts: Arc<Facts>) -> Self {
        Self {
            facts,
            ..Self::default()
        }
    }

    /// The same for somebody who sees no more than `scope`: the names of others, and what could be
    /// asked about them, are nobody's.
    pub(crate) fn seen_by(self: &Arc<Self>, scope: &Scope) -> Arc<Self> {
        if *scope.calls() == Namespaces::All {
            return Arc::clone(self);
        }
        let mut seen = Self::clone(self);
        seen.shown = scope.calls().clone();
        Arc::new(seen)
    }

    /// What was seen of the cluster.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Takes in all that is at an address now, and gives what is new; see [`Facts::observe`].
    pub fn observe(&mut self, present: &[Fact], at_ns: i64) -> Vec<Fact> {
        Arc::make_mut(&mut self.facts).observe(present, at_ns)
    }

    /// Who had an address at a time, as far as the scope sees it.
    pub fn party(&self, address: SocketAddr, at_ns: i64) -> Party {
        self.shown(self.whole_party(address, at_ns))
    }

    fn shown(&self, party: Party) -> Party {
        match self.shown.hold(&party.namespace) {
            true => party,
            false => Party::unknown(party.address),
        }
    }

    fn whole_party(&self, address: SocketAddr, at_ns: i64) -> Party {
        let recorder = self
            .owner(address, at_ns)
            .map(|origin| Party::known(address, origin));
        self.facts.at(address, at_ns).party(address, recorder)
    }

    /// The two ends of a call, source first. The recorder is one of them: the one beside which it was
    /// recorded.
    pub fn parties(
        &self,
        origin: &Origin,
        leg: Leg,
        (src, dst): (SocketAddr, SocketAddr),
        at_ns: i64,
    ) -> (Party, Party) {
        match leg {
            Leg::Inbound => (self.party(src, at_ns), Party::known(dst, origin)),
            Leg::Outbound => (Party::known(src, origin), self.party(dst, at_ns)),
        }
    }

    /// Who had an address all the time from `first_ns` to `last_ns`; `None` if that changed, or
    /// cannot be told without looking at each moment.
    pub(crate) fn party_throughout(
        &self,
        address: SocketAddr,
        first_ns: i64,
        last_ns: i64,
    ) -> Option<Party> {
        if first_ns == last_ns {
            return Some(self.party(address, first_ns));
        }
        if !self.facts.are_steady(address, first_ns, last_ns) {
            return None;
        }
        let seen = self.facts.at(address, first_ns);
        if seen.has_holder() {
            return Some(self.shown(seen.party(address, None)));
        }
        let mut known = self
            .candidates(address)
            .map(|(_, recorder)| Party::known(address, &recorder.origin));
        let first = known.next();
        let is_one = known.all(|other| Some(&other) == first.as_ref());
        is_one.then(|| self.shown(seen.party(address, first)))
    }

    fn owner(&self, address: SocketAddr, at_ns: i64) -> Option<&Origin> {
        // Of several that ran at the time, the one that names the port; then always the same one.
        let nearest = self
            .candidates(address)
            .min_by_key(|(for_every_port, recorder)| {
                (
                    recorder.distance(at_ns),
                    *for_every_port,
                    std::cmp::Reverse(recorder.last_ns),
                    recorder.origin.incarnation,
                )
            });
        nearest.map(|(_, recorder)| recorder.origin.as_ref())
    }

    /// Everybody who ever had an address, and whether it was claimed for every port.
    fn candidates(&self, address: SocketAddr) -> impl Iterator<Item = (bool, &Recorder)> {
        let ip = address.ip().to_canonical();
        let servers = |port| self.by_address.get(&(ip, port)).into_iter().flatten();
        let exact = servers(address.port()).map(|incarnation| (false, incarnation));
        let every = servers(0).map(|incarnation| (true, incarnation));
        exact
            .chain(every)
            .filter_map(|(for_every_port, incarnation)| {
                Some((for_every_port, self.recorders.get(incarnation)?))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn origin(incarnation: u128, workload: &str, serves: &[&str]) -> Arc<Origin> {
        Arc::new(Origin {
            incarnation,
            workload: workload.to_owned(),
            serves: serves
                .iter()
                .map(|address| address.parse().unwrap())
                .collect(),
            ..Origin::default()
        })
    }

    fn names() -> Names {
        let mut names = Names::default();
        names.learn(&origin(1, "orders", &["10.0.0.1:0"]), 100, 200);
        names.learn(&origin(2, "payment", &["10.0.0.1:0", "[::1]:0"]), 300, 400);
        names.learn(&origin(3, "metrics", &["10.0.0.1:9090"]), 100, 400);
        names
    }

    #[test_case("10.0.0.1:80", 150, "orders"; "while it ran")]
    #[test_case("10.0.0.1:80", 350, "payment"; "the address changed hands")]
    #[test_case("10.0.0.1:80", 220, "orders"; "just after it was last heard of")]
    #[test_case("10.0.0.1:80", 1, "orders"; "before anybody was heard of")]
    #[test_case("10.0.0.1:9090", 150, "metrics"; "the port is its own")]
    #[test_case("[::ffff:10.0.0.1]:80", 150, "orders"; "mapped into ipv6")]
    #[test_case("[::1]:5", 0, "payment"; "ipv6")]
    #[test_case("10.0.0.9:80", 150, ""; "nobody")]
    fn party_at(address: &str, at_ns: i64, expected: &str) {
        let address = address.parse().unwrap();
        let party = names().party(address, at_ns);
        assert_eq!(party.workload, expected);
        assert_eq!(party.address, address);
    }

    #[test]
    fn what_is_learnt_again_widens_the_time() {
        let mut names = names();
        names.learn(&origin(1, "orders", &["10.0.0.1:0"]), 500, 600);
        let address = "10.0.0.1:80".parse().unwrap();
        assert_eq!(names.party(address, 550).workload, "orders");
    }

    #[test]
    fn addresses_that_come_later_are_learnt_and_stay() {
        let mut names = Names::default();
        names.learn(&origin(4, "web", &[]), 100, 200);
        let address = "10.0.0.4:80".parse().unwrap();
        assert_eq!(names.party(address, 150).workload, "");
        names.learn(&origin(4, "web", &["10.0.0.4:0"]), 200, 300);
        names.learn(&origin(4, "web", &[]), 300, 400);
        assert_eq!(names.party(address, 150).workload, "web");
    }

    #[test]
    fn an_address_that_changed_hands_is_nobodys_throughout() {
        let throughout = |address: &str| {
            names()
                .party_throughout(address.parse().unwrap(), 100, 400)
                .map(|party| party.workload)
        };
        assert_eq!(throughout("10.0.0.1:80"), None);
        assert_eq!(throughout("[::1]:80").as_deref(), Some("payment"));
        assert_eq!(throughout("10.0.0.9:80").as_deref(), Some(""));
    }

    #[test]
    fn a_peer_that_somebody_may_not_see_is_its_address() {
        let mut names = Names::default();
        let of = |incarnation, workload: &str, address: &str| {
            let mut origin = Origin::clone(&origin(incarnation, workload, &[address]));
            origin.namespace = format!("{workload}-ns");
            Arc::new(origin)
        };
        names.learn(&of(1, "orders", "10.0.0.1:0"), 100, 200);
        names.learn(&of(2, "payment", "10.0.0.2:0"), 100, 200);
        let names = Arc::new(names).seen_by(&Scope::whole(Namespaces::Only(
            ["orders-ns".to_owned()].into(),
        )));
        let at = |address: &str| {
            let address = address.parse().unwrap();
            let throughout = names.party_throughout(address, 100, 200).unwrap();
            assert_eq!(names.party(address, 150), throughout);
            throughout
        };
        assert_eq!(at("10.0.0.1:80").workload, "orders");
        assert_eq!(
            at("10.0.0.2:80"),
            Party::unknown("10.0.0.2:80".parse().unwrap())
        );
    }

    #[test]
    fn the_recorder_is_the_end_beside_which_it_stands() {
        let recorder = origin(9, "web", &[]);
        let ends = (
            "10.0.0.1:80".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
        );
        let (src, dst) = names().parties(&recorder, Leg::Outbound, ends, 150);
        assert_eq!((src.workload.as_str(), dst.workload.as_str()), ("web", ""));
        let (src, dst) = names().parties(&recorder, Leg::Inbound, ends, 150);
        assert_eq!(
            (src.workload.as_str(), dst.workload.as_str()),
            ("orders", "web")
        );
    }
}
