//! The webhook over HTTP: what a review may cost, and who hears of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

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
        match arrived(body, &self.room).await {
            Ok(review) => {
                let content_type = [(header::CONTENT_TYPE, "application/json")];
                (content_type, answer(&review.bytes)).into_response()
            }
            Err(status) => {
                self.metrics.count(match status {
                    StatusCode::SERVICE_UNAVAILABLE => Outcome::Busy,
                    _ => Outcome::Unreadable,
                });
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

/// A review that has arrived, or is about to.
struct Arrived<'a> {
    bytes: Vec<u8>,
    /// The room that it takes up.
    held: SemaphorePermit<'a>,
    held_kib: u32,
}

impl<'a> Arrived<'a> {
    /// Takes in more, if it is not too much and there is room. Only what has come takes any: a request that says nothing
    /// more keeps others from nothing.
    fn push(&mut self, more: &[u8], room: &'a Semaphore) -> Result<(), StatusCode> {
        let length = self.bytes.len() + more.len();
        if length > MAX_REVIEW_BYTES {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
        let added = kib.saturating_sub(self.held_kib);
        let added = room.try_acquire_many(added);
        self.held
            .merge(added.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?);
        self.held_kib = kib;
        self.bytes.extend_from_slice(more);
        Ok(())
    }
}

/// The whole body, if it comes in time.
async fn arrived(mut body: Body, room: &Semaphore) -> Result<Arrived<'_>, StatusCode> {
    let busy = |_| StatusCode::SERVICE_UNAVAILABLE;
    let mut review = Arrived {
        bytes: Vec::new(),
        held: room.try_acquire_many(0).map_err(busy)?,
        held_kib: 0,
    };
    let whole = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            if let Some(more) = frame.data_ref() {
                review.push(more, room)?;
            }
        }
        Ok(review)
    };
    let whole = tokio::time::timeout(MAX_ARRIVAL, whole).await;
    whole.map_err(|_| StatusCode::REQUEST_TIMEOUT)?
}

#[cfg(test)]
mod tests;
