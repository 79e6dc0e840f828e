//! What is kept of a service, and of a slice of the endpoints to which it leads.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt as _;

use super::State;
use super::mirror::{Mirror, Mirrored};
use super::pods::time_ns;

/// What is kept of a service.
#[derive(Debug, Clone)]
pub(super) struct ServiceFacts {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Addresses of its own; none for a headless one.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ports: Vec<u16>,
    pub(super) created_ns: i64,
}

impl Mirrored for ServiceFacts {
    type Object = Service;

    fn read(service: &Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        let balanced = service.status.as_ref();
        let balanced = balanced.and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
        let balanced = balanced.into_iter().flatten();
        let texts = spec
            .cluster_ips
            .iter()
            .flatten()
            .chain(spec.external_ips.iter().flatten())
            .chain(balanced.filter_map(|it| it.ip.as_ref()));
        let ports = spec.ports.iter().flatten();
        Some(Self {
            namespace: service.namespace()?,
            name: service.name_any(),
            // `None` is what the list of a headless service holds, and no address.
            addresses: texts.filter_map(|text| text.parse().ok()).collect(),
            ports: ports.filter_map(|it| u16::try_from(it.port).ok()).collect(),
            created_ns: time_ns(service.metadata.creation_timestamp.as_ref()),
        })
    }

    fn of(state: &mut State) -> &mut Mirror<Self> {
        &mut state.services
    }
}

/// What is kept of a slice.
#[derive(Debug, Clone)]
pub(super) struct SliceFacts {
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) ports: Vec<u16>,
    /// The names of pods in the same namespace that take calls, with their addresses.
    pub(super) pods: Vec<(String, Vec<IpAddr>)>,
}

impl Mirrored for SliceFacts {
    type Object = EndpointSlice;

    fn read(slice: &EndpointSlice) -> Option<Self> {
        let ports = slice.ports.iter().flatten();
        let pods = slice.endpoints.iter().flatten().filter_map(|endpoint| {
            let ready = endpoint.conditions.as_ref().and_then(|it| it.ready);
            let target = endpoint.target_ref.as_ref()?;
            let is_pod = target.kind.as_deref() == Some("Pod") && ready != Some(false);
            let texts = endpoint.addresses.iter();
            let addresses = texts.filter_map(|text| text.parse().ok()).collect();
            Some((target.name.clone().filter(|_| is_pod)?, addresses))
        });
        Some(Self {
            namespace: slice.namespace()?,
            service: slice.labels().get("kubernetes.io/service-name")?.clone(),
            ports: ports
                .filter_map(|it| u16::try_from(it.port?).ok())
                .collect(),
            pods: pods.collect(),
        })
    }

    fn of(state: &mut State) -> &mut Mirror<Self> {
        &mut state.slices
    }
}
