//! What is kept of a namespace.

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

use super::mirror::{Mirror, Mirrored};
use super::pods::{labelled_ns, time_ns};
use super::{INJECT, State};

/// What is kept of a namespace.
#[derive(Debug, Clone)]
pub(super) struct NamespaceFacts {
    pub(super) name: String,
    /// When its pods were asked to be recorded, if they are: nanoseconds since the Unix epoch.
    pub(super) enabled_ns: Option<i64>,
}

impl Mirrored for NamespaceFacts {
    type Object = Namespace;

    fn read(namespace: &Namespace) -> Option<Self> {
        let is_enabled = namespace
            .labels()
            .get(INJECT)
            .is_some_and(|it| it == "enabled");
        let set_ns = labelled_ns(&namespace.metadata)
            .unwrap_or_else(|| time_ns(namespace.metadata.creation_timestamp.as_ref()));
        Some(Self {
            name: namespace.name_any(),
            enabled_ns: is_enabled.then_some(set_ns),
        })
    }

    fn of(state: &mut State) -> &mut Mirror<Self> {
        &mut state.namespaces
    }
}
