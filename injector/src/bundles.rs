//! The authorities in every namespace with sidecars: one ConfigMap each, which the pods there mount.
//!
//! Namespaces come from their label, and from pods that were injected: a pod may be labelled where its
//! namespace is not. None is ever left again, and nothing is deleted: pods that are there may still need it,
//! and what is published is no secret.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::certificates::{Cluster, ClusterError};
use crate::metrics::Metrics;

/// Most namespaces that wait because a pod was injected into them; the pods of further ones trust the hub
/// once the next pod comes, or their namespace is labelled.
pub(crate) const WAITING: usize = 1024;
/// Most namespaces that are kept up to date.
const NAMESPACES: usize = 10_000;
/// How often namespaces that failed are tried again.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// After so long a ConfigMap is written again, in case somebody changed or deleted it.
const REFRESH_AFTER: Duration = Duration::from_secs(300);
/// A namespace is not written to more often than this because of pods that come.
const REFRESH_FOR_POD_AFTER: Duration = Duration::from_secs(30);
/// Longest that one write may take.
const MAX_WRITE: Duration = Duration::from_secs(5);
/// Between two writes, so that no flood of pods becomes one of writes.
const PAUSE: Duration = Duration::from_millis(10);

/// What is known of one namespace.
#[derive(Debug, Default)]
struct Place {
    written: Option<(Arc<str>, Instant)>,
    tried: Option<Instant>,
}

impl Place {
    /// Whether it lacks `bundle`, or may do so by now.
    fn is_due(&self, bundle: &Arc<str>, refresh_after: Duration) -> bool {
        let written = self.written.as_ref();
        written.is_none_or(|(written, at)| written != bundle || at.elapsed() >= refresh_after)
    }
}

/// Keeps the ConfigMaps, for ever. `bundle` is empty until there is one; `injected` gives the namespaces that
/// pods were injected into.
pub(crate) async fn distribute<C: Cluster>(
    cluster: &C,
    mut bundle: watch::Receiver<Arc<str>>,
    mut injected: mpsc::Receiver<String>,
    metrics: &Metrics,
) -> Infallible {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    let mut labelled = cluster.labelled();
    let mut ticks = interval(RETRY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut told = true;
        tokio::select! {
            Some(namespace) = labelled.next() => note(&mut places, namespace),
            Some(namespace) = injected.recv() => {
                note(&mut places, namespace.clone());
                if let Some(place) = places.get_mut(&namespace)
                    && place.is_due(&bundle.borrow(), REFRESH_FOR_POD_AFTER)
                {
                    place.written = None;
                }
            }
            // The sender lives as long as this does.
            _ = bundle.changed() => {}
            _ = ticks.tick() => told = false,
        }
        let bundle = Arc::clone(&bundle.borrow_and_update());
        if !bundle.is_empty() {
            write_due(cluster, &mut places, &bundle, told, metrics).await;
        }
    }
}

fn note(places: &mut BTreeMap<String, Place>, namespace: String) {
    if places.len() < NAMESPACES || places.contains_key(&namespace) {
        places.entry(namespace).or_default();
    } else {
        tracing::warn!(
            most = NAMESPACES,
            "too many namespaces, pods of one will not trust the hub"
        );
    }
}

/// Writes to those that lack `bundle`, the longest untried first; `fresh` passes over those that failed.
async fn write_due<C: Cluster>(
    cluster: &C,
    places: &mut BTreeMap<String, Place>,
    bundle: &Arc<str>,
    fresh: bool,
    metrics: &Metrics,
) {
    let failed = |place: &Place| place.tried.is_some_and(|at| at.elapsed() < RETRY_EVERY);
    let mut due: Vec<(Option<Instant>, String)> = places
        .iter()
        .filter(|(_, place)| place.is_due(bundle, REFRESH_AFTER) && !(fresh && failed(place)))
        .map(|(namespace, place)| (place.tried, namespace.clone()))
        .collect();
    due.sort();
    for (_, namespace) in due {
        let written = timeout(MAX_WRITE, cluster.put_bundle(&namespace, bundle)).await;
        let now = Instant::now();
        let place = places.entry(namespace.clone()).or_default();
        match written {
            Ok(Ok(())) => {
                place.written = Some((Arc::clone(bundle), now));
                place.tried = None;
            }
            Ok(Err(ClusterError::NoSuchPlace)) => {
                places.remove(&namespace);
            }
            Ok(Err(error)) => {
                place.tried = Some(now);
                metrics.bundle_failures.inc();
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::warn!(error, namespace, "authorities could not be published");
            }
            Err(_) => {
                place.tried = Some(now);
                metrics.bundle_failures.inc();
                tracing::warn!(namespace, "authorities could not be published in time");
                // It is away; the others would only wait for it too.
                break;
            }
        }
        sleep(PAUSE).await;
    }
    metrics.bundles.set(written(places, bundle));
}

/// In how many namespaces the authorities are.
fn written(places: &BTreeMap<String, Place>, bundle: &Arc<str>) -> i64 {
    let written = places
        .values()
        .filter(|place| !place.is_due(bundle, Duration::MAX));
    i64::try_from(written.count()).unwrap_or(i64::MAX)
}
