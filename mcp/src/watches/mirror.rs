//! The objects of one kind as the API server has them, reduced to what is needed of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures_util::StreamExt as _;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::{State, Watches};
use crate::clock::now_ns;

/// Most objects of one kind that are kept; the rest are as if they were not there.
const OBJECTS: usize = 50_000;

/// Objects that are read at a time: they are large, and let go at once.
const PAGE: u32 = 100;

/// What is kept of an object.
pub(super) trait Mirrored: Clone + Debug + Send + Sized + 'static {
    /// What it is made from.
    type Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static;

    /// Takes what is needed; `None` for an object that does not matter.
    fn read(object: &Self::Object) -> Option<Self>;

    /// Where its kind is kept.
    fn of(state: &mut State) -> &mut Mirror<Self>;
}

/// All objects of one kind, by namespace and name.
#[derive(Debug)]
pub(super) struct Mirror<V> {
    objects: BTreeMap<String, V>,
    /// Those of a new listing, until it is complete.
    arriving: Option<BTreeMap<String, V>>,
    behind_since_ns: Option<i64>,
    is_read: bool,
}

impl<V: Mirrored> Mirror<V> {
    pub(super) fn new(now_ns: i64) -> Self {
        Self {
            objects: BTreeMap::new(),
            arriving: None,
            behind_since_ns: Some(now_ns),
            is_read: false,
        }
    }

    /// The object called `NAMESPACE/NAME`.
    pub(super) fn find(&self, key: &str) -> Option<&V> {
        self.objects.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &V> {
        self.objects.values()
    }

    /// Since when it may differ from what the API server has.
    pub(super) fn behind_since_ns(&self) -> Option<i64> {
        self.behind_since_ns
    }

    /// Whether all objects were read once.
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    pub(super) fn fall_behind(&mut self, now_ns: i64) {
        self.behind_since_ns.get_or_insert(now_ns);
    }

    pub(super) fn take(&mut self, event: &Event<V::Object>) {
        match event {
            Event::Init => self.arriving = Some(BTreeMap::new()),
            Event::InitApply(object) => {
                if let Some(arriving) = &mut self.arriving {
                    put(arriving, object);
                }
            }
            Event::InitDone => {
                self.objects = self.arriving.take().unwrap_or_default();
                self.is_read = true;
                self.behind_since_ns = None;
            }
            Event::Apply(object) => put(&mut self.objects, object),
            Event::Delete(object) => {
                self.objects.remove(&key_of(object));
            }
        }
    }
}

fn put<V: Mirrored>(objects: &mut BTreeMap<String, V>, object: &V::Object) {
    let key = key_of(object);
    match V::read(object) {
        Some(value) if objects.len() < OBJECTS || objects.contains_key(&key) => {
            objects.insert(key, value);
        }
        _ => {
            objects.remove(&key);
        }
    }
}

fn key_of<K: Resource>(object: &K) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{namespace}/{}", object.name_any())
}

/// Keeps the mirror of one kind up to date for as long as it is polled.
///
/// After a failure all objects are read anew, later and later while it lasts: only then is it known
/// that nothing was missed.
pub(super) async fn follow<V: Mirrored>((client, watches): (Client, Arc<Watches>)) {
    let api: Api<V::Object> = Api::all(client);
    let mut pauses = DefaultBackoff::default();
    let config = watcher::Config::default().page_size(PAGE);
    loop {
        let mut events = std::pin::pin!(watcher(api.clone(), config.clone()));
        let failure = loop {
            match events.next().await {
                Some(Ok(event)) => {
                    if matches!(event, Event::InitDone) {
                        pauses = DefaultBackoff::default();
                    }
                    watches.change::<V>(|mirror| mirror.take(&event));
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        watches.change::<V>(|mirror| mirror.fall_behind(now_ns()));
        let failure = failure.map(|error| error.to_string());
        tracing::warn!(failure, "watching the cluster failed; all is read again");
        sleep(pauses.next().unwrap_or_default()).await;
    }
}
