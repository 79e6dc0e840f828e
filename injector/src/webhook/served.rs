//! The webhook over HTTP: what a review may cost, and who hears of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use tokio::sync::{Semaphore, mpsc};

use super::{Selected, SelectedBy, SelectedPodSecurity, answer, answer_check};
use crate::config::Config;
use crate::decide::Decision;
use crate::events::Event;
use crate::maker::Maker;
use crate::metrics::{EventOutcome, Metrics, Outcome};
use crate::refusals::Refusals;

/// Largest review that is read, in bytes. The API server takes no object above 3 MiB.
pub const MAX_REVIEW_BYTES: usize = 4 * 1024 * 1024;
/// Longest that a review may take to arrive. The API server waits 3 s for the answer.
const MAX_ARRIVAL: Duration = Duration::from_secs(3);
/// Most of reviews that is held at a time, in KiB; the pods of further ones start as they are.
const MAX_HELD_KIB: usize = 16 * 1024;
/// Path of the webhook, such as `/inject/namespace/permits`. The API server takes no query there.
const INJECT_PATH: &str = "/inject/{by}/{pod_security}";
/// Path that tells of being reached.
const CHECK_PATH: &str = "/check";

/// What the webhook needs to answer.
#[derive(Debug, Clone)]
struct Webhook {
    config: Arc<Config>,
    metrics: Metrics,
    /// In KiB.
    room: Arc<Semaphore>,
    refusals: Refusals,
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

/// The routes of the webhook. It heeds `refusals`, and adds to them what it did.
pub fn router(
    config: Config,
    metrics: Metrics,
    refusals: Refusals,
    listeners: Listeners,
) -> Router {
    Router::new()
        .route(INJECT_PATH, post(review))
        .route(CHECK_PATH, post(check))
        .with_state(Webhook {
            config: Arc::new(config),
            metrics,
            room: Arc::new(Semaphore::new(MAX_HELD_KIB)),
            refusals,
            listeners,
        })
}

async fn review(
    State(webhook): State<Webhook>,
    Path((by, pod_security)): Path<(SelectedBy, SelectedPodSecurity)>,
    body: Body,
) -> Response {
    let selected = Selected { by, pod_security };
    webhook
        .serve(body, |body| webhook.answer(body, selected))
        .await
}

async fn check(State(webhook): State<Webhook>, body: Body) -> Response {
    webhook.serve(body, answer_check).await
}

impl Webhook {
    /// Has a review answered that is not too large, comes in time, and has room.
    async fn serve(&self, body: Body, answer: impl FnOnce(&[u8]) -> Vec<u8>) -> Response {
        let Ok(_held) = self.room.try_acquire_many(most_kib(&body)) else {
            self.metrics.count(Outcome::Busy);
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        match arrived(body).await {
            Ok(body) => {
                let content_type = [(header::CONTENT_TYPE, "application/json")];
                (content_type, answer(&body)).into_response()
            }
            Err(status) => {
                self.metrics.count(Outcome::Unreadable);
                status.into_response()
            }
        }
    }

    fn answer(&self, body: &[u8], selected: Selected) -> Vec<u8> {
        let begun = Instant::now();
        let is_refused = |maker: &Maker| self.refusals.hold(maker, begun);
        let answer = answer(body, selected, &self.config, is_refused);
        if !answer.dry_run {
            self.metrics.observe(begun.elapsed());
            self.tell(answer.decision, answer.maker, answer.event);
        }
        answer.body
    }

    /// Tells whoever listens of an answer, and waits for nobody.
    fn tell(&self, decision: Option<Decision>, maker: Option<Maker>, event: Option<Event>) {
        self.metrics.count(match decision {
            None => Outcome::Unreadable,
            Some(Decision::Inject) => Outcome::Injected,
            Some(Decision::Skip(reason)) => Outcome::Skipped(reason),
        });
        if let (Some(Decision::Inject), Some(maker)) = (decision, maker) {
            self.refusals.note_injected(&maker, Instant::now());
            // Where it is full, many wait already; the label of the namespace brings the rest.
            let _ = self.listeners.injected.try_send(maker.namespace);
        }
        if let Some(event) = event
            && self.listeners.events.try_send(event).is_err()
        {
            self.metrics.tell(EventOutcome::Dropped);
        }
    }
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
