//! A hub's API for commands that scripts use: one request, one answer in JSON.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;

use crate::arguments::AtHub;
use crate::http::Client;

/// Longest wait that one request asks for; more of it is asked for again.
const ONE_WAIT: Duration = Duration::from_secs(45);

/// A hub and the right to ask it.
pub(crate) struct HubApi {
    client: Client,
    url: String,
    token: Option<HeaderValue>,
}

impl HubApi {
    /// The hub that flags name.
    ///
    /// # Errors
    ///
    /// There is no such URL, or no token in the file.
    pub(crate) fn at(at: &AtHub) -> anyhow::Result<Self> {
        if !at.hub.starts_with("http://") {
            bail!(
                "--hub is {:?}; it takes a URL such as http://127.0.0.1:8899",
                at.hub
            );
        }
        Ok(Self {
            client: Client::without_reuse(),
            url: format!("{}/api/v1", at.hub.trim_end_matches('/')),
            token: at.token_file.as_deref().map(token).transpose()?,
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .body(Full::new(body))
            .context("build the request (--hub)")?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        Ok(request)
    }

    /// Asks, and gives the answer; one that is an error is an error.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let request = self.request(method, path, body)?;
        let answer = self.client.send(request).await?;
        let json = serde_json::from_slice(answer.body()).context("read the hub's answer")?;
        unless_error(answer.status(), json)
    }

    /// Waits until a snapshot has settled, asking as often as it takes, for `patience` at most.
    pub(crate) async fn wait_up_to(
        &self,
        id: &str,
        patience: Duration,
        mut body: Value,
    ) -> anyhow::Result<Value> {
        let begun = Instant::now();
        loop {
            let left = patience.saturating_sub(begun.elapsed()).min(ONE_WAIT);
            if let Some(body) = body.as_object_mut() {
                body.insert("max_wait_s".to_owned(), left.as_secs().max(1).into());
            }
            let answer = self.wait(id, body.clone()).await?;
            let over = patience.saturating_sub(begun.elapsed()) < Duration::from_secs(1);
            if text(&answer, "reason") != "timeout" || over {
                return Ok(answer);
            }
        }
    }

    /// Waits once for a snapshot, and tells on standard error how far it is.
    async fn wait(&self, id: &str, body: Value) -> anyhow::Result<Value> {
        let path = format!("/snapshots/{}/wait?format=ndjson", segment(id)?);
        let request = self.request(Method::POST, &path, Some(body))?;
        let mut last = Value::Null;
        let status = self
            .client
            .lines(request, |line| {
                last = serde_json::from_slice(line).context("read the hub's answer")?;
                if let Some(message) = last.pointer("/progress/message").and_then(Value::as_str) {
                    eprintln!("{message}");
                }
                Ok(())
            })
            .await?;
        if last.get("settled").is_none() && last.get("error").is_none() {
            bail!("the hub broke off before the wait was over");
        }
        unless_error(status, last)
    }
}

fn unless_error(status: StatusCode, json: Value) -> anyhow::Result<Value> {
    let Some(error) = json.get("error") else {
        if !status.is_success() {
            bail!("whoever answers at --hub is no hub, or stands before one: {status}");
        }
        return Ok(json);
    };
    let message = match text(error, "field") {
        "" => text(error, "message").to_owned(),
        field if text(error, "message").contains(field) => text(error, "message").to_owned(),
        field => format!("{field}: {}", text(error, "message")),
    };
    match error.get("hint").and_then(Value::as_str) {
        Some(hint) => bail!("the hub answered {status}: {message}; {hint}"),
        None => bail!("the hub answered {status}: {message}"),
    }
}

fn token(file: &Path) -> anyhow::Result<HeaderValue> {
    let token = std::fs::read_to_string(file)
        .with_context(|| format!("read --token-file {}", file.display()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .with_context(|| format!("--token-file {} holds no token", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A text in an object; empty where there is none.
pub(crate) fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A part of an object.
pub(crate) fn part<'a>(json: &'a Value, field: &str) -> &'a Value {
    json.get(field).unwrap_or(&Value::Null)
}

/// Whether a flag is set.
pub(crate) fn holds(json: &Value, field: &str) -> bool {
    part(json, field).as_bool().unwrap_or(false)
}

/// An id as a part of a path.
pub(crate) fn segment(id: &str) -> anyhow::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if id.is_empty() || !id.bytes().all(plain) {
        bail!("{id:?} is not the id of a snapshot; `remora snapshot list` shows those there are");
    }
    Ok(id)
}
