//! AdmissionReview in and out; the only place that knows it.
//!
//! Always an answer, and always `allowed`: whatever cannot be read is let through as it is. What the API server
//! selected by, the labels of the namespace, comes in the path of the URL, since the review does not tell it; so
//! nothing is asked of the API server while a pod waits. [`answer`] is pure; [`router`] serves it.

mod served;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use serde::Deserialize;
use serde_json::Value;

use crate::config::Config;
use crate::decide::{Decision, Namespace, PodSecurity, decide_at_admission};
use crate::events::Event;
use crate::inject::{inject, skip};
use crate::maker::Maker;
use crate::patch;
use crate::pod::Pod;

pub use served::{Listeners, MAX_REVIEW_BYTES, router};

/// What the webhook's configuration selected the pod by, as the path of its URL says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// Whose label it was.
    pub by: SelectedBy,
    /// Whether the namespace refuses NET_ADMIN.
    pub pod_security: SelectedPodSecurity,
}

/// Whose label selected a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectedBy {
    /// The namespace's.
    Namespace,
    /// The pod's own.
    Pod,
}

/// What the Pod Security label of the namespace says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectedPodSecurity {
    /// `privileged`, or nothing.
    Permits,
    /// `baseline` or `restricted`.
    Refuses,
}

/// An answer, and what it says.
#[derive(Debug)]
pub struct Answer {
    /// The AdmissionReview, as JSON.
    pub body: Vec<u8>,
    /// What was decided; `None` where the review could not be read.
    pub decision: Option<Decision>,
    /// Whether the pod is only tried, so that nothing may be counted or told.
    pub dry_run: bool,
    /// Whatever makes the pod; `None` where there is no pod to be read.
    pub maker: Option<Maker>,
    /// What somebody should be told of it.
    pub event: Option<Event>,
}

/// A review that was read.
struct Review {
    request: AdmissionRequest<DynamicObject>,
    /// As it came; types would lose what they do not know.
    pod: Value,
}

/// Answers a review; `is_refused` tells whether pods of a maker were refused with a sidecar. Total: any bytes have an
/// answer, and no answer forbids anything.
pub fn answer(
    body: &[u8],
    selected: Selected,
    config: &Config,
    is_refused: impl Fn(&Maker) -> bool,
) -> Answer {
    let Review { request, pod } = match read(body) {
        Ok(review) => review,
        Err(uid) => return unreadable(&uid),
    };
    let namespace = Namespace {
        name: request.namespace.as_deref().unwrap_or_default(),
        inject: (selected.by == SelectedBy::Namespace).then_some("enabled"),
        pod_security: match selected.pod_security {
            SelectedPodSecurity::Permits => PodSecurity::Permits,
            SelectedPodSecurity::Refuses => PodSecurity::Refuses,
        },
    };
    let maker = Pod::new(&pod).map(|pod| Maker::of(pod, namespace.name));
    let mut injection = inject(&pod, namespace, None, config);
    if let (Decision::Inject, Some(pod), Some(maker)) = (injection.decision, Pod::new(&pod), &maker)
        && let Some(reason) = decide_at_admission(pod, is_refused(maker), config)
    {
        injection = skip(pod, reason);
    }
    Answer {
        decision: Some(injection.decision),
        dry_run: request.dry_run,
        event: maker
            .as_ref()
            .and_then(|maker| Event::of(maker, &injection)),
        maker,
        body: respond(&request, injection.patch, injection.warnings),
    }
}

/// Answers a review of a pod that is only tried, to learn whether the API server reaches the injector: the pod says that
/// it did. As total as [`answer`].
pub fn answer_check(body: &[u8]) -> Vec<u8> {
    let Review { request, pod } = match read(body) {
        Ok(review) => review,
        Err(uid) => return unreadable(&uid).body,
    };
    let patch = Pod::new(&pod).map(patch::mark_checked);
    respond(&request, patch.unwrap_or_default(), Vec::new())
}

/// Reads a review of a pod that is being made; else gives its uid, if it has one.
fn read(body: &[u8]) -> Result<Review, String> {
    let mut review: Value = serde_json::from_slice(body).map_err(|_| String::new())?;
    let pod = review.pointer_mut("/request/object").map(Value::take);
    let uid = review.pointer("/request/uid").and_then(Value::as_str);
    let uid = uid.unwrap_or_default().to_owned();
    let request: Option<AdmissionRequest<_>> =
        serde_json::from_value::<AdmissionReview<DynamicObject>>(review)
            .ok()
            .and_then(|review| review.try_into().ok());
    match (request.filter(creates_pod), pod) {
        (Some(request), Some(pod)) => Ok(Review { request, pod }),
        _ => Err(uid),
    }
}

fn respond(
    request: &AdmissionRequest<DynamicObject>,
    patch: Patch,
    warnings: Vec<String>,
) -> Vec<u8> {
    let mut response = AdmissionResponse::from(request);
    response.warnings = (!warnings.is_empty()).then_some(warnings);
    if patch.is_empty() {
        return encode(response);
    }
    response
        .with_patch(patch)
        .map_or_else(|_| encode(allowed(&request.uid)), encode)
}

/// Whether a pod is asked about that does not run yet: a configuration that sends more is not ours, and
/// other objects have containers too.
fn creates_pod(request: &AdmissionRequest<DynamicObject>) -> bool {
    let resource = &request.resource;
    let of = (&*resource.group, &*resource.version, &*resource.resource);
    of == ("", "v1", "pods")
        && request.sub_resource.is_none()
        && request.operation == Operation::Create
}

fn unreadable(uid: &str) -> Answer {
    Answer {
        body: encode(allowed(uid)),
        decision: None,
        dry_run: false,
        maker: None,
        event: None,
    }
}

/// An answer that changes nothing.
fn allowed(uid: &str) -> AdmissionResponse {
    let mut response = AdmissionResponse::invalid("");
    response.allowed = true;
    response.result = kube::core::Status::default();
    response.uid = uid.to_owned();
    response
}

fn encode(mut response: AdmissionResponse) -> Vec<u8> {
    // It has the types of the question, whatever these were.
    response.types = AdmissionResponse::invalid("").types;
    // The documented form of bytes is base64; the types would write a list of numbers, four times as long.
    let patch = response.patch.as_ref().map(|patch| STANDARD.encode(patch));
    // Strings, numbers and lists: there is nothing in it that JSON has no form for.
    let mut review = serde_json::to_value(response.into_review()).unwrap_or_default();
    if let (Some(place), Some(patch)) = (review.pointer_mut("/response/patch"), patch) {
        *place = patch.into();
    }
    review.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
