//! What is kept of a namespace.

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

use super::mirror::{Mirror, Mirrored};
use super::pods::labelled_ns;
use super::{INJECT, State};

/// The label that asks for sidecars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Enabled {
    /// When it was set, in nanoseconds since the Unix epoch; `None` where nobody kept it.
    pub(super) since_ns: Option<i64>,
}

/// What is kept of a namespace.
#[derive(Debug, Clone)]
pub(super) struct NamespaceFacts {
    pub(super) name: String,
    /// What its label says of its pods; `None` where it does not ask for sidecars.
    pub(super) enabled: Option<Enabled>,
}

impl Mirrored for NamespaceFacts {
    type Object = Namespace;

    fn read(namespace: &Namespace) -> Option<Self> {
        let is_enabled = namespace
            .labels()
            .get(INJECT)
            .is_some_and(|it| it == "enabled");
        Some(Self {
            name: namespace.name_any(),
            enabled: is_enabled.then(|| Enabled {
                since_ns: labelled_ns(&namespace.metadata),
            }),
        })
    }

    fn of(state: &mut State) -> &mut Mirror<Self> {
        &mut state.namespaces
    }
}
