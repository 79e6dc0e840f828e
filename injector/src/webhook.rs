//! AdmissionReview in and out; the only file that knows it.
//!
//! Always an answer, and always `allowed`: whatever cannot be read is let through as it is. What the API server
//! selected by, the labels of the namespace, comes in the path of the URL, since the review does not tell it; so
//! nothing is asked of the API server while a pod waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use crate::config::Config;
use crate::decide::{Decision, Namespace, PodSecurity, decide_at_admission};
use crate::events::Event;
use crate::inject::{Injection, inject, skip};
use crate::maker::Maker;
use crate::metrics::{EventOutcome, Metrics, Outcome};
use crate::pod::Pod;

/// Largest review that is read, in bytes. The API server takes no object above 3 MiB.
pub const MAX_REVIEW_BYTES: usize = 4 * 1024 * 1024;
/// Longest that a review may take to arrive. The API server waits 3 s for the answer.
const MAX_ARRIVAL: Duration = Duration::from_secs(3);
/// Most of reviews that is held at a time, in KiB; the pods of further ones start as they are.
const MAX_HELD_KIB: usize = 16 * 1024;
/// Path of the webhook, such as `/inject/namespace/permits`. The API server takes no query there.
const INJECT_PATH: &str = "/inject/{by}/{pod_security}";

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
    /// The namespace that the pod goes into; empty where the review could not be read.
    pub namespace: String,
    /// What somebody should be told of it.
    pub event: Option<Event>,
}

/// Answers a review. Total: any bytes have an answer, and no answer forbids anything.
pub fn answer(body: &[u8], selected: Selected, config: &Config) -> Answer {
    let Ok(mut review) = serde_json::from_slice::<Value>(body) else {
        return unreadable("");
    };
    // The pod stays as it came; types would lose what they do not know.
    let pod = review.pointer_mut("/request/object").map(Value::take);
    let uid = review
        .pointer("/request/uid")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let request: Option<AdmissionRequest<_>> =
        serde_json::from_value::<AdmissionReview<DynamicObject>>(review)
            .ok()
            .and_then(|review| review.try_into().ok());
    let request = request.filter(creates_pod);
    let (Some(request), Some(pod)) = (request, pod) else {
        return unreadable(&uid);
    };
    let namespace = Namespace {
        name: request.namespace.as_deref().unwrap_or_default(),
        inject: (selected.by == SelectedBy::Namespace).then_some("enabled"),
        pod_security: match selected.pod_security {
            SelectedPodSecurity::Permits => PodSecurity::Permits,
            SelectedPodSecurity::Refuses => PodSecurity::Refuses,
        },
    };
    let injection = decided(&pod, namespace, config);
    let event = Pod::new(&pod)
        .map(|pod| Maker::of(pod, namespace.name))
        .and_then(|maker| Event::of(&maker, &injection));
    let Injection {
        decision,
        patch,
        warnings,
    } = injection;
    let mut response = AdmissionResponse::from(&request);
    response.warnings = (!warnings.is_empty()).then_some(warnings);
    let body = if patch.is_empty() {
        encode(response)
    } else {
        response
            .with_patch(patch)
            .map_or_else(|_| encode(allowed(&uid)), encode)
    };
    Answer {
        body,
        decision: Some(decision),
        dry_run: request.dry_run,
        namespace: request.namespace.unwrap_or_default(),
        event,
    }
}

/// What is done with a pod that is being made.
fn decided(pod: &Value, namespace: Namespace<'_>, config: &Config) -> Injection {
    let injection = inject(pod, namespace, None, config);
    let skipped = Pod::new(pod)
        .filter(|_| injection.decision == Decision::Inject)
        .and_then(|pod| Some(skip(pod, decide_at_admission(pod, config)?)));
    skipped.unwrap_or(injection)
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
        namespace: String::new(),
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

fn encode(response: AdmissionResponse) -> Vec<u8> {
    // The documented form of bytes is base64; the types would write a list of numbers, four times as long.
    let patch = response.patch.as_ref().map(|patch| STANDARD.encode(patch));
    // Strings, numbers and lists: there is nothing in it that JSON has no form for.
    let mut review = serde_json::to_value(response.into_review()).unwrap_or_default();
    if let (Some(place), Some(patch)) = (review.pointer_mut("/response/patch"), patch) {
        *place = patch.into();
    }
    review.to_string().into_bytes()
}

/// What the webhook needs to answer.
#[derive(Debug, Clone)]
struct Webhook {
    config: Arc<Config>,
    metrics: Metrics,
    /// In KiB.
    room: Arc<Semaphore>,
    listeners: Listeners,
}

/// Who is told of answers that were given. Nobody is waited for.
#[derive(Debug, Clone)]
pub struct Listeners {
    /// The namespaces that pods are injected into.
    pub injected: mpsc::Sender<String>,
    /// What somebody should act on.
    pub events: mpsc::Sender<Event>,
}

/// The routes of the webhook.
pub fn router(config: Config, metrics: Metrics, listeners: Listeners) -> Router {
    Router::new()
        .route(INJECT_PATH, post(review))
        .with_state(Webhook {
            config: Arc::new(config),
            metrics,
            room: Arc::new(Semaphore::new(MAX_HELD_KIB)),
            listeners,
        })
}

async fn review(
    State(webhook): State<Webhook>,
    Path((by, pod_security)): Path<(SelectedBy, SelectedPodSecurity)>,
    body: Body,
) -> Response {
    let Ok(_held) = webhook.room.try_acquire_many(most_kib(&body)) else {
        webhook.metrics.count(Outcome::Busy);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let body = match arrived(body).await {
        Ok(body) => body,
        Err(status) => {
            webhook.metrics.count(Outcome::Unreadable);
            return status.into_response();
        }
    };
    let begun = Instant::now();
    let answer = answer(&body, Selected { by, pod_security }, &webhook.config);
    if !answer.dry_run {
        webhook.metrics.count(match answer.decision {
            None => Outcome::Unreadable,
            Some(Decision::Inject) => Outcome::Injected,
            Some(Decision::Skip(reason)) => Outcome::Skipped(reason),
        });
        webhook.metrics.observe(begun.elapsed());
        if answer.decision == Some(Decision::Inject) {
            // Where it is full, many wait already; the label of the namespace brings the rest.
            let _ = webhook.listeners.injected.try_send(answer.namespace);
        }
        if let Some(event) = answer.event
            && webhook.listeners.events.try_send(event).is_err()
        {
            webhook.metrics.tell(EventOutcome::Dropped);
        }
    }
    ([(header::CONTENT_TYPE, "application/json")], answer.body).into_response()
}

/// How large a body may become.
fn most_kib(body: &Body) -> u32 {
    let announced = body.size_hint().upper().unwrap_or(u64::MAX);
    let most = announced.min(MAX_REVIEW_BYTES as u64);
    u32::try_from(most / 1024 + 1).unwrap_or(u32::MAX)
}

/// The whole body, if it comes in time and is not too large.
async fn arrived(body: Body) -> Result<Bytes, StatusCode> {
    let whole = Limited::new(body, MAX_REVIEW_BYTES).collect();
    let whole = tokio::time::timeout(MAX_ARRIVAL, whole).await;
    let whole = whole.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
    whole
        .map(Collected::to_bytes)
        .map_err(|error| match error.is::<LengthLimitError>() {
            true => StatusCode::PAYLOAD_TOO_LARGE,
            false => StatusCode::BAD_REQUEST,
        })
}

#[cfg(test)]
mod tests;
