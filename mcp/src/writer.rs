//! Who writes: the pod that a sidecar's token is bound to, or, outside a cluster, whoever it says it is.
//!
//! In a cluster nothing that a sidecar says of itself is believed where the cluster knows better. Whatever
//! it sends, records, questions and goodbyes, is filed under a number of its run that is bound to its pod,
//! so that no pod can write, end or hide another's.

use std::net::SocketAddr;

use axum::http::Extensions;
use remora_store::block::Origin;

use crate::control::SidecarName;
use crate::error::ApiError;

/// What the derivation of numbers is for: no other hash of the same bytes is one of them.
const PURPOSE: &str = "remora 2026 incarnation of a pod's sidecar";

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// Nobody vouches for it, and what it says is all there is.
    Unproven,
    /// A container of this pod.
    Pod(ProvenPod),
}

/// The pod that a token is bound to, and what the cluster says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProvenPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// What the watch knows of it; `None` if it has not heard of the pod yet.
    pub facts: Option<PodFacts>,
}

/// What the cluster says of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Name of its workload.
    pub workload: String,
    /// Version of the workload; may be empty.
    pub revision: String,
    /// Addresses that are its own alone.
    pub ips: Vec<std::net::IpAddr>,
}

impl Writer {
    /// Who sends a request, as the port's gate found out; nobody vouches for anybody outside a cluster.
    ///
    /// # Errors
    ///
    /// The gate knows who sends it, and that it is no pod.
    pub fn of(extensions: &Extensions) -> Result<Self, ApiError> {
        match extensions.get::<Self>() {
            Some(writer) => Ok(writer.clone()),
            None => Ok(Self::Unproven),
        }
    }

    /// The number under which a run is filed that calls itself `claimed`.
    pub fn incarnation(&self, claimed: u128) -> u128 {
        let Self::Pod(pod) = self else {
            return claimed;
        };
        let mut hasher = blake3::Hasher::new_derive_key(PURPOSE);
        // The number has a fixed length, so that no other pair gives the same bytes.
        hasher.update(&claimed.to_be_bytes());
        hasher.update(pod.uid.as_bytes());
        let hash = hasher.finalize();
        let (half, _) = hash.as_bytes().split_at(16);
        half.iter()
            .fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    /// Who recorded a block that claims to be of `claimed`.
    pub fn stamp(&self, claimed: &Origin) -> Origin {
        let Self::Pod(pod) = self else {
            return claimed.clone();
        };
        let mut origin = Origin {
            incarnation: self.incarnation(claimed.incarnation),
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            pod_uid: pod.uid.clone(),
            workload: claimed.workload.clone(),
            revision: claimed.revision.clone(),
            // An address names whose calls go there: without proof it names nobody.
            serves: Vec::new(),
        };
        if let Some(facts) = &pod.facts {
            origin.workload.clone_from(&facts.workload);
            origin.revision.clone_from(&facts.revision);
            let every_port = facts.ips.iter().map(|ip| SocketAddr::new(*ip, 0));
            origin.serves = every_port.collect();
        }
        origin
    }

    /// By which names a sidecar is known that calls itself `claimed`.
    pub fn name(&self, claimed: SidecarName) -> SidecarName {
        let Self::Pod(pod) = self else {
            return claimed;
        };
        SidecarName {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            workload: match &pod.facts {
                Some(facts) => facts.workload.clone(),
                None => claimed.workload,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str) -> Writer {
        Writer::Pod(ProvenPod {
            namespace: "shop".to_owned(),
            name: "cart-1".to_owned(),
            uid: uid.to_owned(),
            facts: Some(PodFacts {
                workload: "cart".to_owned(),
                revision: "abc".to_owned(),
                ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            }),
        })
    }

    fn lie() -> Origin {
        Origin {
            incarnation: 7,
            workload: "bank".to_owned(),
            namespace: "money".to_owned(),
            pod: "bank-0".to_owned(),
            pod_uid: "its uid".to_owned(),
            revision: "9".to_owned(),
            serves: vec!["10.0.0.9:443".parse().unwrap()],
        }
    }

    #[test]
    fn nothing_that_a_pod_says_of_itself_is_believed() {
        let stamped = pod("a").stamp(&lie());
        let expected = Origin {
            incarnation: stamped.incarnation,
            workload: "cart".to_owned(),
            namespace: "shop".to_owned(),
            pod: "cart-1".to_owned(),
            pod_uid: "a".to_owned(),
            revision: "abc".to_owned(),
            serves: vec![
                "10.0.0.1:0".parse().unwrap(),
                "[fd00::1]:0".parse().unwrap(),
            ],
        };
        assert_eq!(stamped, expected);
    }

    #[test]
    fn a_pod_that_the_watch_has_not_heard_of_names_no_address() {
        let Writer::Pod(mut known) = pod("a") else {
            unreachable!()
        };
        known.facts = None;
        let stamped = Writer::Pod(known).stamp(&lie());
        assert_eq!(stamped.serves, Vec::<SocketAddr>::new());
        assert_eq!((&*stamped.namespace, &*stamped.pod), ("shop", "cart-1"));
    }

    #[test]
    fn the_number_of_a_run_is_bound_to_the_pod() {
        let (a, b) = (pod("a"), pod("b"));
        assert_eq!(a.incarnation(7), a.incarnation(7));
        assert_ne!(a.incarnation(7), b.incarnation(7));
        assert_ne!(a.incarnation(7), a.incarnation(8));
        // To claim what another is filed under leads elsewhere.
        assert_ne!(b.incarnation(a.incarnation(7)), a.incarnation(7));
    }

    #[test]
    fn outside_a_cluster_what_is_claimed_stands() {
        assert_eq!(Writer::Unproven.stamp(&lie()), lie());
        assert_eq!(Writer::Unproven.incarnation(7), 7);
    }
}
