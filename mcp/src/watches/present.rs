//! What is at which address now, out of what is watched (pure).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use remora_store::names::facts::{Fact, Holder, HolderKind};

use super::{PodFacts, State};

/// A service by namespace and name.
type ServiceName<'a> = (&'a str, &'a str);

/// Everything that has an address.
pub(super) fn facts(state: &State) -> Vec<Fact> {
    let mut facts = Vec::new();
    for pod in state.pods.iter() {
        let holder = Arc::new(Holder {
            kind: HolderKind::Pod,
            namespace: pod.namespace.clone(),
            workload: pod.workload.clone(),
            pod: pod.name.clone(),
            service: String::new(),
            revision: pod.revision.clone(),
        });
        facts.extend(pod.own_addresses().map(|address| Fact {
            address,
            port: 0,
            since_ns: pod.since_ns,
            until_ns: pod.ended_ns,
            holder: Arc::clone(&holder),
        }));
    }
    let mut workloads: BTreeMap<ServiceName<'_>, BTreeSet<&str>> = BTreeMap::new();
    let mut leading: BTreeMap<(IpAddr, u16), BTreeMap<ServiceName<'_>, &PodFacts>> =
        BTreeMap::new();
    for slice in state.slices.iter() {
        let service = (&*slice.namespace, &*slice.service);
        for (name, addresses) in &slice.pods {
            let Some(pod) = state.pods.find(&format!("{}/{name}", slice.namespace)) else {
                continue;
            };
            workloads.entry(service).or_default().insert(&pod.workload);
            let own = addresses.iter().map(IpAddr::to_canonical);
            for address in own.filter(|address| pod.own_addresses().any(|own| own == *address)) {
                for port in &slice.ports {
                    let services = leading.entry((address, *port)).or_default();
                    services.insert(service, pod);
                }
            }
        }
    }
    services(state, &workloads, &mut facts);
    endpoints(state, &leading, &mut facts);
    facts
}

/// Services by their own addresses, with the workload where they lead to exactly one.
fn services(
    state: &State,
    workloads: &BTreeMap<ServiceName<'_>, BTreeSet<&str>>,
    facts: &mut Vec<Fact>,
) {
    for service in state.services.iter() {
        let workloads = workloads.get(&(&*service.namespace, &*service.name));
        let only = workloads
            .filter(|them| them.len() == 1)
            .and_then(|them| them.first());
        let holder = Arc::new(Holder {
            kind: HolderKind::Service,
            namespace: service.namespace.clone(),
            workload: only.copied().unwrap_or_default().to_owned(),
            pod: String::new(),
            service: service.name.clone(),
            revision: String::new(),
        });
        for address in &service.addresses {
            facts.extend(service.ports.iter().map(|port| Fact {
                address: address.to_canonical(),
                port: *port,
                since_ns: service.created_ns,
                until_ns: None,
                holder: Arc::clone(&holder),
            }));
        }
    }
}

/// Services by the pods to which they lead: those that are called there by name, or behind whose
/// back a node chooses the pod. Where several lead to a port it is not known which one was called,
/// except that a headless one beside another is seldom called.
fn endpoints(
    state: &State,
    leading: &BTreeMap<(IpAddr, u16), BTreeMap<ServiceName<'_>, &PodFacts>>,
    facts: &mut Vec<Fact>,
) {
    let has_address = |(namespace, name): ServiceName<'_>| {
        let service = state.services.find(&format!("{namespace}/{name}"));
        service.is_some_and(|service| !service.addresses.is_empty())
    };
    for ((address, port), services) in leading {
        let mut addressed = services
            .iter()
            .filter(|(service, _)| has_address(**service));
        let only = match (addressed.next(), addressed.next(), services.len()) {
            (Some(only), None, _) => only,
            (None, _, 1) => match services.first_key_value() {
                Some(only) => only,
                None => continue,
            },
            _ => continue,
        };
        let ((namespace, name), pod) = only;
        facts.push(Fact {
            address: *address,
            port: *port,
            since_ns: pod.since_ns,
            until_ns: pod.ended_ns,
            holder: Arc::new(Holder {
                kind: HolderKind::Endpoint,
                namespace: (*namespace).to_owned(),
                workload: String::new(),
                pod: String::new(),
                service: (*name).to_owned(),
                revision: String::new(),
            }),
        });
    }
}
