//! What the hub sees of the cluster: namespaces, pods, services and where they lead, as the API server
//! tells them.
//!
//! Of every object only the few fields are kept that are needed here. From them [`present`] makes the
//! names of addresses, which the store keeps with their times, and [`unrecorded`] the pods that
//! nobody records. An API server that is away is no failure: what is known is kept, and answers say
//! since when nothing new was heard.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use remora_store::store::{CallStore, Scope};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::app::drained;
use crate::clock::now_ns;
use mirror::{Mirror, Mirrored, follow};
use namespaces::NamespaceFacts;
pub use pods::PodFacts;
use services::{ServiceFacts, SliceFacts};

mod mirror;
mod namespaces;
pub mod pods;
mod present;
mod services;
pub mod unrecorded;
mod workload;

/// Label of a namespace or a pod that asks for a sidecar.
const INJECT: &str = "remora.dev/inject";

/// How long changes are gathered before the names of addresses are made anew.
const GATHERING: Duration = Duration::from_millis(250);

/// How long one pod is asked for that the watch has not told of.
const ASKING: Duration = Duration::from_secs(2);

/// Everything that is watched.
#[derive(Debug)]
struct State {
    namespaces: Mirror<NamespaceFacts>,
    pods: Mirror<PodFacts>,
    services: Mirror<ServiceFacts>,
    slices: Mirror<SliceFacts>,
}

/// What the hub sees of the cluster.
pub struct Watches {
    client: Client,
    state: Mutex<State>,
    changed: Notify,
}

impl Watches {
    /// Begins to watch with `client`; the tasks end when the hub stops. What is at an address is told
    /// to `store`.
    pub fn start(
        client: Client,
        store: Arc<dyn CallStore>,
        draining: watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let now = now_ns();
        let watches = Arc::new(Self {
            client: client.clone(),
            state: Mutex::new(State {
                namespaces: Mirror::new(now),
                pods: Mirror::new(now),
                services: Mirror::new(now),
                slices: Mirror::new(now),
            }),
            changed: Notify::new(),
        });
        let mut run = |work: Pin<Box<dyn Future<Output = ()> + Send>>| {
            let draining = draining.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = work => {}
                    () = drained(draining) => {}
                }
            });
        };
        let all = || (client.clone(), Arc::clone(&watches));
        run(Box::pin(follow::<NamespaceFacts>(all())));
        run(Box::pin(follow::<PodFacts>(all())));
        run(Box::pin(follow::<ServiceFacts>(all())));
        run(Box::pin(follow::<SliceFacts>(all())));
        run(Box::pin(name_addresses(Arc::clone(&watches), store)));
        watches
    }

    /// The pod with this uid. If the watch has not told of it, it is looked for by its name, once and
    /// not for long.
    pub async fn pod_by_uid(&self, namespace: &str, name: &str, uid: &str) -> Option<PodFacts> {
        let key = format!("{namespace}/{name}");
        let known = self.state().pods.find(&key).cloned();
        if let Some(known) = known.filter(|pod| pod.uid == uid) {
            return Some(known);
        }
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pod = timeout(ASKING, pods.get_opt(name)).await.ok()?.ok()??;
        PodFacts::read(&pod).filter(|pod| pod.uid == uid)
    }

    /// The names of all namespaces, in order.
    pub fn namespaces(&self) -> Vec<String> {
        let state = self.state();
        state.namespaces.iter().map(|it| it.name.clone()).collect()
    }

    /// The names of workloads, of their pods and of services that `scope` sees, each once, in order.
    pub fn names(&self, scope: &Scope) -> Vec<String> {
        let state = self.state();
        let pods = state.pods.iter().filter(|it| scope.sees(&it.namespace));
        let pods = pods.flat_map(|it| [&it.workload, &it.name]);
        let services = state.services.iter();
        let services = services.filter(|it| scope.sees(&it.namespace));
        let names = pods.chain(services.map(|it| &it.name));
        let names: BTreeSet<String> = names.map(|name| name.to_string()).collect();
        names.into_iter().collect()
    }

    /// Since when something of the cluster is not known as it is now; `None` while all of it is.
    pub fn behind_since_ns(&self) -> Option<i64> {
        let state = self.state();
        let behind = [
            state.namespaces.behind_since_ns(),
            state.pods.behind_since_ns(),
            state.services.behind_since_ns(),
            state.slices.behind_since_ns(),
        ];
        behind.into_iter().flatten().min()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves whole objects behind, old or new.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<V: Mirrored>(&self, change: impl FnOnce(&mut Mirror<V>)) {
        change(V::of(&mut self.state()));
        self.changed.notify_one();
    }
}

/// Tells the store what is at which address, whenever that has changed.
async fn name_addresses(watches: Arc<Watches>, store: Arc<dyn CallStore>) {
    let mut told = None;
    loop {
        watches.changed.notified().await;
        sleep(GATHERING).await;
        let present = {
            let state = watches.state();
            // What is only half known would end what is there.
            state.is_whole().then(|| present::facts(&state))
        };
        if present.is_none() || present == told {
            continue;
        }
        if let Some(present) = present.clone()
            && let Err(error) = store.observe_addresses(present, now_ns()).await
        {
            tracing::error!(%error, "names of addresses could not be kept");
        }
        told = present;
    }
}

impl State {
    fn is_whole(&self) -> bool {
        self.namespaces.is_read()
            && self.pods.is_read()
            && self.services.is_read()
            && self.slices.is_read()
    }
}
