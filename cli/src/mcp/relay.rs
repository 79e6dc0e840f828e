//! One message to the hub, and what comes back.

use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper::{Response, StatusCode};
use serde_json::Value;
use sse_stream::SseStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::message::{INTERNAL_ERROR, Outgoing, Request, one_line, refusal};
use super::way::{Access, Way};
use crate::http::Client;

/// Largest answer that is relayed, its progress included.
const ANSWER_BYTES: usize = 16 * 1024 * 1024; // 16 MiB
/// Longest part of an answer that is no MCP which is shown to the client.
const EXCERPT_CHARS: usize = 300;
/// How long the hub may take until its answer begins: more than the longest wait of a tool.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends messages to one hub.
pub(super) struct Relay {
    way: Way,
    client: Client,
    /// What `initialize` agreed on, for messages that do not name their protocol.
    version: Mutex<Option<String>>,
}

impl Relay {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            client: Client::without_reuse(),
            version: Mutex::new(None),
        }
    }

    /// Relays a request and everything that comes back for it. The last line written is always its
    /// answer: the hub's, or one that says why there is none.
    pub(super) async fn request(&self, request: Request, output: &mpsc::Sender<Bytes>) {
        let done = async {
            let answer = self.send(&request.outgoing).await?;
            self.relay(&request, answer, output).await
        };
        if let Err(why) = done.await {
            tracing::debug!(%why, "a request was not answered");
            let _ = output
                .send(refusal(&request.id, INTERNAL_ERROR, &why))
                .await;
        }
    }

    /// Relays what needs no answer.
    pub(super) async fn notify(&self, outgoing: Outgoing) {
        if let Err(why) = self.send(&outgoing).await {
            tracing::debug!(%why, "a notification was not delivered");
        }
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Response<Incoming>, String> {
        let access = self.way.find().await?;
        let answer = self.send_with(&access, outgoing).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // A message that was refused has done nothing, so it can be sent again.
        match self.way.find_another(access).await? {
            Some(access) => self.send_with(&access, outgoing).await,
            None => Ok(answer),
        }
    }

    async fn send_with(
        &self,
        access: &Access,
        outgoing: &Outgoing,
    ) -> Result<Response<Incoming>, String> {
        let mut request = hyper::Request::post(access.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        let agreed = self
            .version
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(version) = outgoing.version.as_ref().or(agreed.as_ref()) {
            request = request.header("mcp-protocol-version", version);
        }
        if outgoing.version.is_some() {
            request = request.header("mcp-method", &outgoing.method);
            if let Some(name) = &outgoing.name {
                request = request.header("mcp-name", name);
            }
        }
        if let Some(token) = &access.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(outgoing.line.clone()))
            .map_err(|error| format!("the message cannot be sent as HTTP: {error}"))?;
        let why = match timeout(PATIENCE, self.client.begin(request)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => format!("cannot be reached: {error:#}"),
            Err(_) => format!("did not begin to answer within {} s", PATIENCE.as_secs()),
        };
        let advice = self.way.is_lost(access).await;
        Err(format!("the hub at {} {why}. {advice}", access.url))
    }

    async fn relay(
        &self,
        request: &Request,
        answer: Response<Incoming>,
        output: &mpsc::Sender<Bytes>,
    ) -> Result<(), String> {
        let status = answer.status();
        let kind = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = Limited::new(answer.into_body(), ANSWER_BYTES);
        if !is_stream {
            let body = body
                .collect()
                .await
                .map_err(|error| broke_off(&error.to_string()))?;
            let body = body.to_bytes();
            return if self.forward(request, &body, output).await {
                Ok(())
            } else {
                Err(self.explain(status, &body))
            };
        }
        let mut events = pin!(SseStream::new(body.map_err(io::Error::other)));
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| broke_off(&error.to_string()))?;
            let Some(data) = event.data.filter(|data| !data.is_empty()) else {
                continue;
            };
            if self.forward(request, data.as_bytes(), output).await {
                return Ok(());
            }
        }
        Err(broke_off("the stream ended"))
    }

    /// Writes a message of the hub if it is one for this request; says whether it was the answer.
    async fn forward(
        &self,
        request: &Request,
        message: &[u8],
        output: &mpsc::Sender<Bytes>,
    ) -> bool {
        let Ok(value) = serde_json::from_slice::<Value>(message) else {
            return false;
        };
        let is_answer = value.get("id") == Some(&request.id) && value.get("method").is_none();
        let is_notification = value.get("id").is_none() && value.get("method").is_some();
        if is_answer || is_notification {
            if is_answer && request.initializes {
                let agreed = value
                    .pointer("/result/protocolVersion")
                    .and_then(Value::as_str);
                *self.version.lock().unwrap_or_else(PoisonError::into_inner) =
                    agreed.map(str::to_owned);
            }
            // An error means that nobody reads any more, which ends the bridge.
            let _ = output.send(one_line(message)).await;
        }
        is_answer
    }

    /// What an answer says that is not MCP, or not for this request.
    fn explain(&self, status: StatusCode, body: &[u8]) -> String {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |pointer| json.pointer(pointer).and_then(Value::as_str);
        let said = match (text("/error/message"), text("/error/hint")) {
            (Some(message), Some(hint)) => format!("{message}. {hint}"),
            (Some(message), None) => message.to_owned(),
            (None, _) => String::from_utf8_lossy(body)
                .chars()
                .filter(|c| !c.is_control())
                .take(EXCERPT_CHARS)
                .collect(),
        };
        let advice = self.way.advice(status);
        format!("the hub answered {status}: {said}{advice}")
    }
}

fn broke_off(why: &str) -> String {
    format!("the hub broke off before it had answered ({why}); ask again")
}
