//! Brings blocks to the hub: one request at a time, as many blocks in it as wait.
//!
//! A block goes again until the hub says that it has it or that it will never take it. What the hub
//! may have kept of a request whose answer was lost it drops as doubles.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;

use super::backoff::Backoff;
use super::client::{Answer, Client, Failure, Hub, Payload};
use super::queue::{FRAME_BYTES, Shipment};
use super::state::State;

const PATH: &str = "/ingest/v1/blocks";
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.remora.blocks");

/// Largest body of a request, in bytes; the hub takes no more.
pub(super) const REQUEST_LIMIT: usize = 8 * 1024 * 1024;

/// Most blocks in a request. The hub takes four times as many.
const REQUEST_BLOCKS: usize = 1024;

/// Most of the hub's own words that are told in the log, in bytes.
const REASON_BYTES: usize = 300;

/// Longest wait while nobody is there: short, so that a hub that comes back is found soon.
const ABSENT_WAIT: Duration = Duration::from_secs(1);

/// Longest wait while the hub is there but does not take blocks.
const REFUSED_WAIT: Duration = Duration::from_secs(5);

/// Ships what waits in `state`, for ever.
pub(super) async fn run(state: &State, hub: Hub, answer_timeout: Duration) -> Infallible {
    let mut sender = Sender {
        client: Client::new(hub),
        backoff: Backoff::new(),
        max_blocks: REQUEST_BLOCKS,
        said: None,
    };
    loop {
        state.something_to_ship().await;
        state.seal_last_drops();
        let limit = state.request_limit();
        let Some(shipment) = state.queue().shipment(limit, sender.max_blocks) else {
            // What could not be read from the spool may be readable a little later.
            state.pause(ABSENT_WAIT).await;
            continue;
        };
        let result = sender.post(&shipment, answer_timeout).await;
        let wait = sender.settle(state, &shipment, result);
        state.attempted(wait.is_none());
        if let Some(wait) = wait {
            state.pause(wait).await;
        }
    }
}

struct Sender {
    client: Client,
    backoff: Backoff,
    /// One after a failure, or a refusal that does not say which block it is about; doubles with
    /// every success.
    max_blocks: usize,
    /// The outcome that was logged last: an outage is one line, not one per attempt.
    said: Option<&'static str>,
}

/// What the hub says when it has stored a request.
#[derive(Debug, Deserialize)]
struct Stored {
    stored: u64,
    duplicates: u64,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    error: RefusalReason,
}

#[derive(Debug, Deserialize)]
struct RefusalReason {
    code: String,
    #[serde(default)]
    message: String,
    index: Option<usize>,
}

impl Sender {
    async fn post(&mut self, shipment: &Shipment, timeout: Duration) -> Result<Answer, Failure> {
        let incarnation = format!("{:032x}", shipment.incarnation);
        let request = || {
            let mut request = Request::new(payload(&shipment.blocks));
            *request.method_mut() = Method::POST;
            let headers = request.headers_mut();
            headers.insert(CONTENT_TYPE, MEDIA_TYPE);
            if let Ok(value) = HeaderValue::from_str(&incarnation) {
                headers.insert("x-remora-incarnation", value);
            }
            request
        };
        self.client.exchange(request, PATH, timeout).await
    }

    /// Settles what became of `shipment`; gives how long to wait if it has to go again.
    fn settle(
        &mut self,
        state: &State,
        shipment: &Shipment,
        result: Result<Answer, Failure>,
    ) -> Option<Duration> {
        let answer = match result {
            Ok(answer) => answer,
            Err(failure) => {
                match failure.reached_hub() {
                    true => state.queue().give_back_doubtful(),
                    false => state.queue().give_back(),
                }
                // One block is enough to ask whether the hub is there again, and goes through where
                // many do not in time.
                self.max_blocks = 1;
                self.say(state, failure.outcome(), &chain(&failure));
                return Some(self.backoff.wait(ABSENT_WAIT));
            }
        };
        match answer.status {
            StatusCode::OK if is_stored(&answer.body, shipment.blocks.len()) => {
                state.queue().acknowledge(shipment);
                state.metrics().request("stored");
                self.recovered();
                None
            }
            StatusCode::BAD_REQUEST => self.refused(state, shipment, &answer.body),
            status => {
                state.queue().give_back();
                if status == StatusCode::PAYLOAD_TOO_LARGE {
                    self.max_blocks = 1;
                }
                self.say(state, outcome(status), &refusal(&answer));
                Some(match answer.retry_after {
                    Some(after) => Backoff::asked(after),
                    None => self.backoff.wait(REFUSED_WAIT),
                })
            }
        }
    }

    /// A block of the request is bad: without it, the others will be taken.
    fn refused(&mut self, state: &State, shipment: &Shipment, body: &[u8]) -> Option<Duration> {
        let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
        let reason = refusal.map(|refusal| refusal.error);
        let bad = reason.as_ref().filter(|reason| reason.code == "bad_block");
        let index = match (bad, shipment.blocks.len()) {
            (Some(reason), count) => reason.index.filter(|index| *index < count),
            (None, _) => None,
        };
        let index = match (index, bad, shipment.blocks.len()) {
            (Some(index), _, _) => index,
            (None, Some(_), 1) => 0,
            _ => {
                state.queue().give_back();
                self.max_blocks = 1;
                let message = reason.map(|reason| reason.message).unwrap_or_default();
                self.say(state, "refused", &message);
                return Some(self.backoff.wait(REFUSED_WAIT));
            }
        };
        let message = bad.map_or("", |reason| reason.message.as_str());
        tracing::error!(reason = message, "hub refused a block, its calls are lost");
        state.metrics().request("bad_block");
        let lost_calls = state.queue().reject(shipment, index);
        // It only told of drops, and the next one that does may be refused as well, and so on.
        (lost_calls == 0).then(|| self.backoff.wait(REFUSED_WAIT))
    }

    fn say(&mut self, state: &State, outcome: &'static str, reason: &str) {
        state.metrics().request(outcome);
        if self.said != Some(outcome) {
            self.said = Some(outcome);
            tracing::warn!(outcome, reason, "blocks do not reach the hub, they wait");
        }
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        self.max_blocks = (self.max_blocks * 2).min(REQUEST_BLOCKS);
        if self.said.take().is_some() {
            tracing::info!("blocks reach the hub again");
        }
    }
}

fn payload(blocks: &[Bytes]) -> Payload {
    let mut payload = Payload::default();
    for block in blocks {
        let length = u32::try_from(block.len()).unwrap_or(u32::MAX);
        let frame: [u8; FRAME_BYTES] = length.to_le_bytes();
        payload.push(Bytes::copy_from_slice(&frame));
        payload.push(block.clone());
    }
    payload
}

/// Only a hub answers so: a 200 of something else that listens there acknowledges nothing.
fn is_stored(body: &[u8], blocks: usize) -> bool {
    let stored: Option<Stored> = serde_json::from_slice(body).ok();
    stored.is_some_and(|answer| answer.stored.checked_add(answer.duplicates) == Some(blocks as u64))
}

fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "not_a_hub",
        401 | 403 => "unauthorized",
        413 => "too_large",
        429 => "too_many",
        503 => "unavailable",
        _ => "refused",
    }
}

/// What the hub's answer means: in its own words, and with what to do about it where that is known.
pub(crate) fn refusal(answer: &Answer) -> String {
    let status = answer.status;
    let said = serde_json::from_slice(&answer.body)
        .ok()
        .map(|Refusal { error }| error.message)
        .filter(|message| !message.is_empty());
    match status {
        StatusCode::UNAUTHORIZED if said.is_none() => {
            format!("{status}: give the hub's token with --token-file")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            format!("{status}: --ingest takes the hub's ingest address, usually port 8898")
        }
        _ => match said {
            Some(mut said) => {
                said.truncate(said.floor_char_boundary(REASON_BYTES));
                format!("{status}: {said}")
            }
            None => status.to_string(),
        },
    }
}

/// The error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> String {
        refusal(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn a_refusal_is_told_in_the_hubs_own_words() {
        let body = r#"{"error": {"code": "not_a_pod", "message": "the token is of no pod"}}"#;
        assert_eq!(told(403, body), "403 Forbidden: the token is of no pod");
        assert_eq!(told(503, "<html>"), "503 Service Unavailable");
        assert!(told(401, "").contains("--token-file"));
        let long = format!(
            r#"{{"error": {{"code": "", "message": "{}"}}}}"#,
            "ü".repeat(9_000)
        );
        assert!(told(403, &long).len() < 330);
    }
}
