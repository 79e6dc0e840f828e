//! Pods that the cluster refuses because they have a sidecar: a policy, a quota or a schema that only judges what
//! webhooks have made of a pod.
//!
//! A controller that may not make a pod says so in an Event with the reason `FailedCreate`, and tries again. If that
//! comes just after its pod was given a sidecar, the sidecar may be why: so the next pods of that workload start without
//! one, for an hour after the last refusal. If the sidecar was not why, the pods are refused all the same, or have
//! started; none waits for us longer than it takes to be tried again. Every replica hears the same Events and remembers
//! which pods it changed itself, so none has to ask another, and each learns it from one refusal.
//!
//! A pod that a person makes has no controller. It is refused to that person's face, and nothing is learnt from it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};

use crate::maker::Maker;

/// How long after a pod was given a sidecar a refusal may be of that pod. Controllers tell within a second.
const WITHIN: Duration = Duration::from_secs(60);
/// How long pods of a workload start without a sidecar after one with it was refused.
pub const HOLD: Duration = Duration::from_secs(3600);
/// Most controllers whose pods were given a sidecar that are remembered.
const MOST_MAKERS: usize = 8192;
/// Most workloads that are remembered as refused.
const MOST_REFUSED: usize = 8192;

/// What a controller said of a pod that it could not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where it said so.
    pub namespace: String,
    /// The uid of the controller.
    pub maker_uid: String,
    /// In the API server's words.
    pub message: String,
}

/// What is known of refused pods. Cheap to clone; every clone knows the same.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Controllers whose pods were given a sidecar, by uid, and when the last was.
    makers: HashMap<String, (Workload, Instant)>,
    /// When pods were last refused.
    refused: HashMap<Workload, Instant>,
}

/// A namespace, and the name of a workload in it.
type Workload = (String, String);

impl Refusals {
    /// Whether pods of `maker` start without a sidecar at `now`.
    pub fn hold(&self, maker: &Maker, now: Instant) -> bool {
        let known = self.lock();
        let refused = known.refused.get(&workload(maker));
        refused.is_some_and(|at| now.duration_since(*at) < HOLD)
    }

    /// Remembers that a pod of `maker` was given a sidecar at `now`.
    pub fn note_injected(&self, maker: &Maker, now: Instant) {
        if maker.uid.is_empty() {
            return;
        }
        let known = &mut *self.lock();
        let is_new = !known.makers.contains_key(&maker.uid);
        if is_new && known.makers.len() >= MOST_MAKERS {
            known
                .makers
                .retain(|_, (_, at)| now.duration_since(*at) < WITHIN);
        }
        if !is_new || known.makers.len() < MOST_MAKERS {
            known
                .makers
                .insert(maker.uid.clone(), (workload(maker), now));
        }
    }

    /// Takes note of a refusal that was heard of at `now`; gives the namespace and the workload whose pods start
    /// without a sidecar from now on, if it is one that may be for the sidecar.
    pub fn hear(&self, refusal: &Refusal, now: Instant) -> Option<(String, String)> {
        let known = &mut *self.lock();
        let (workload, at) = known.makers.get(&refusal.maker_uid)?;
        // Whoever may write Events in one namespace says nothing of another.
        let (namespace, _) = workload;
        let is_of_it = *namespace == refusal.namespace && now.duration_since(*at) < WITHIN;
        if !is_of_it || !may_be_for_a_sidecar(&refusal.message) {
            return None;
        }
        let workload = workload.clone();
        if known.refused.len() >= MOST_REFUSED {
            known.refused.retain(|_, at| now.duration_since(*at) < HOLD);
        }
        let is_known = known.refused.contains_key(&workload);
        if !is_known && known.refused.len() >= MOST_REFUSED {
            return None;
        }
        known.refused.insert(workload.clone(), now);
        // What it is told next is of a pod without a sidecar.
        known.makers.remove(&refusal.maker_uid);
        Some(workload)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes note of what controllers say, for ever.
pub(crate) async fn hear(
    mut said: impl Stream<Item = Refusal> + Unpin,
    refusals: &Refusals,
) -> Infallible {
    while let Some(refusal) = said.next().await {
        if let Some((namespace, workload)) = refusals.hear(&refusal, Instant::now()) {
            tracing::warn!(
                namespace,
                workload,
                refusal = refusal.message,
                hold.s = HOLD.as_secs(),
                "pods with a sidecar are refused, the next start without one"
            );
        }
    }
    std::future::pending().await
}

fn workload(maker: &Maker) -> Workload {
    (maker.namespace.clone(), maker.workload.clone())
}

/// Whether a pod that was changed may have been refused for it. What fails before webhooks are asked, or because one of
/// them is away, says nothing of the pod.
fn may_be_for_a_sidecar(message: &str) -> bool {
    let judged = ["is forbidden", "denied the request", "is invalid"];
    let before = [
        "error looking up service account",
        "because it is being terminated",
    ];
    judged.iter().any(|words| message.contains(words))
        && !before.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use test_case::test_case;

    use super::*;

    const DENIED: &str = "Error creating: pods \"web-1-x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no";

    fn maker(uid: &str, workload: &str) -> Maker {
        Maker {
            api_version: "apps/v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            namespace: "shop".to_owned(),
            name: format!("{workload}-1"),
            uid: uid.to_owned(),
            workload: workload.to_owned(),
        }
    }

    fn refusal(uid: &str, message: &str) -> Refusal {
        Refusal {
            namespace: "shop".to_owned(),
            maker_uid: uid.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_workload_whose_pod_was_refused_with_a_sidecar_gets_none_for_an_hour() {
        let (known, start) = (Refusals::default(), Instant::now());
        known.note_injected(&maker("1", "web"), start);
        let held = known.hear(&refusal("1", DENIED), start + Duration::from_secs(1));
        assert_eq!(held, Some(("shop".to_owned(), "web".to_owned())));
        // The next ReplicaSet of the same Deployment is held too, and nobody else.
        let later = start + HOLD;
        assert!(known.hold(&maker("2", "web"), later));
        assert!(!known.hold(&maker("1", "cart"), later));
        assert!(!known.hold(&maker("2", "web"), later + Duration::from_secs(1)));
    }

    #[test]
    fn refusals_of_pods_without_a_sidecar_of_long_ago_and_from_elsewhere_hold_nobody() {
        let (known, start) = (Refusals::default(), Instant::now());
        assert_eq!(known.hear(&refusal("1", DENIED), start), None);
        known.note_injected(&maker("1", "web"), start);
        assert_eq!(known.hear(&refusal("2", DENIED), start), None);
        assert_eq!(known.hear(&refusal("1", DENIED), start + WITHIN), None);
        let elsewhere = Refusal {
            namespace: "bank".to_owned(),
            ..refusal("1", DENIED)
        };
        assert_eq!(known.hear(&elsewhere, start), None);
        // Once it is held its pods have no sidecar, so their refusals do not make it longer.
        known.note_injected(&maker("1", "web"), start);
        assert!(known.hear(&refusal("1", DENIED), start).is_some());
        assert_eq!(known.hear(&refusal("1", DENIED), start), None);
    }

    #[test]
    fn pods_without_a_controller_are_not_remembered_and_no_flood_fills_memory() {
        let (known, start) = (Refusals::default(), Instant::now());
        known.note_injected(&maker("", "shell"), start);
        assert_eq!(known.hear(&refusal("", DENIED), start), None);
        for number in 0..=MOST_MAKERS {
            known.note_injected(&maker(&number.to_string(), "web"), start);
        }
        assert_eq!(known.lock().makers.len(), MOST_MAKERS);
        known.note_injected(&maker("late", "web"), start + WITHIN);
        assert_eq!(known.lock().makers.len(), 1);
    }

    #[test_case(DENIED => true; "an admission policy")]
    #[test_case("Error creating: pods \"web-1-x\" is forbidden: violates PodSecurity \"baseline:latest\": non-default capabilities" => true; "Pod Security")]
    #[test_case("Error creating: pods \"web-1-x\" is forbidden: exceeded quota: q, requested: limits.memory=256Mi" => true; "a quota")]
    #[test_case("Error creating: admission webhook \"validate.kyverno.svc-fail\" denied the request: no" => true; "a webhook")]
    #[test_case("Error creating: Pod \"web-1-x\" is invalid: spec.initContainers[1].restartPolicy: Forbidden" => true; "the schema")]
    #[test_case("Error creating: pods \"web-1-\" is forbidden: error looking up service account shop/default: serviceaccount \"default\" not found" => false; "no account yet")]
    #[test_case("Error creating: Internal error occurred: failed calling webhook \"a.b\": context deadline exceeded" => false; "a webhook that is away")]
    #[test_case("Error creating: etcdserver: request timed out" => false; "the store")]
    fn a_pod_may_be_refused_for_its_sidecar_by(message: &str) -> bool {
        may_be_for_a_sidecar(message)
    }
}
