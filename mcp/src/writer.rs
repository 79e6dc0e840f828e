//! Who writes: the pod that a sidecar's token is bound to, or, outside a cluster, whoever it says it is.
//!
//! In a cluster nothing that a sidecar says of itself is believed where the cluster knows better. Whatever
//! it sends, records, questions and goodbyes, is filed under a number of its run that is bound to its pod,
//! so that no pod can write, end or hide another's.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Extensions, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use remora_store::block::Origin;

use crate::app::App;
use crate::cluster::identity::{Identity, PodIdentity};
use crate::control::SidecarName;
use crate::error::ApiError;

/// What the derivation of numbers is for: no other hash of the same bytes is one of them.
const PURPOSE: &str = "remora 2026 incarnation of a pod's sidecar";

/// What [`prove`] leaves in a request's extensions, where tokens are asked about: the pod that the token is
/// bound to, if it is bound to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved(pub Option<ProvenPod>);

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

/// The layer that says which pod an [`Identity`] is, and what the cluster says of it. It lets everybody
/// through: who may write is for the handlers to say.
pub async fn prove(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let who = request.extensions().get::<Arc<Identity>>().cloned();
    if let Some(who) = who {
        let proved = match &who.pod {
            Some(pod) => Some(proven(&app, pod).await),
            None => None,
        };
        request.extensions_mut().insert(Proved(proved));
    }
    next.run(request).await
}

async fn proven(app: &App, pod: &PodIdentity) -> ProvenPod {
    ProvenPod {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        facts: facts(app, pod).await,
    }
}

async fn facts(app: &App, pod: &PodIdentity) -> Option<PodFacts> {
    let watches = app.watches.as_ref()?;
    let seen = watches
        .pod_by_uid(&pod.namespace, &pod.name, &pod.uid)
        .await?;
    Some(PodFacts {
        workload: seen.workload,
        revision: seen.revision,
        // Those of a node are everybody's on it.
        ips: if seen.host_network {
            Vec::new()
        } else {
            seen.ips
        },
    })
}

impl Writer {
    /// Who sends a request, by what its gate [`Proved`].
    ///
    /// # Errors
    ///
    /// The gate knows who sends it, and that it is no pod: what is not of a pod is nobody's record.
    pub fn of(extensions: &Extensions) -> Result<Self, ApiError> {
        match extensions.get::<Proved>() {
            None => Ok(Self::Unproven),
            Some(Proved(Some(pod))) => Ok(Self::Pod(pod.clone())),
            Some(Proved(None)) => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "not_a_pod",
                "the token is not bound to a pod, and only sidecars write here",
            )
            .field("Authorization")
            .hint("send the token that the kubelet makes for the pod: a projected serviceAccountToken volume")),
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
mod tests;
