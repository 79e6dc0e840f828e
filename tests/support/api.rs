//! Asking the hub as a user does: over HTTP.

use std::collections::HashMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A client that keeps its connections open.
#[derive(Clone)]
pub struct Client(Pool<HttpConnector, Full<Bytes>>);

impl Client {
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Pool::builder(TokioExecutor::new()).build(connector))
    }

    /// Sends any request; `None` if the server cannot be reached, or breaks off.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Option<Response<Bytes>> {
        let (head, body) = self.0.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response::from_parts(head, body))
    }

    /// Gets a page: status and body; `None` if the server cannot be reached.
    pub async fn get(&self, uri: &str, headers: &[(&str, &str)]) -> Option<(u16, Bytes)> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.send(request.body(Full::default()).unwrap()).await?;
        Some((answer.status().as_u16(), answer.into_body()))
    }

    /// What the hub says of itself; `None` while it cannot answer.
    pub async fn status(&self, api: &str) -> Option<Value> {
        self.json(&format!("{api}/api/v1/status")).await
    }

    /// The calls that match a filter, newest first, as many as fit on one page; `None` while one of them runs,
    /// unless the filter asks for its state: how it ends is not known before.
    pub async fn matching(&self, api: &str, filter: &str) -> Option<Vec<Value>> {
        let asked = encoded(filter);
        let page = self
            .json(&format!("{api}/api/v1/calls?limit=1000&filter={asked}"))
            .await?;
        assert_eq!(page["next"], Value::Null, "more than a page matches");
        let calls = page["calls"].as_array()?;
        let is_known = filter.contains("state ==") || !calls.iter().any(is_running);
        is_known.then(|| calls.clone())
    }

    /// Gets JSON; `None` unless the answer is 200.
    pub async fn json(&self, uri: &str) -> Option<Value> {
        let (status, body) = self.get(uri, &[]).await?;
        if status != 200 {
            eprintln!(
                "{uri} answered {status}: {}",
                String::from_utf8_lossy(&body)
            );
            return None;
        }
        serde_json::from_slice(&body).ok()
    }

    /// Every stored call, page by page, oldest first; `None` while the hub cannot answer, or a call runs.
    pub async fn calls(&self, api: &str) -> Option<Vec<Value>> {
        let mut calls = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .json(&format!(
                    "{api}/api/v1/calls?order=oldest&limit=1000{cursor}"
                ))
                .await?;
            calls.extend(page["calls"].as_array()?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (!calls.iter().any(is_running)).then_some(calls),
            }
        }
    }
}

/// Whether a call was told before it was over.
fn is_running(call: &Value) -> bool {
    call["state"] == "open"
}

/// A text as the value of a URL's parameter.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// How often each path was stored.
pub fn times_stored(calls: &[Value]) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for call in calls {
        *times
            .entry(call["path"].as_str().unwrap_or("").to_owned())
            .or_default() += 1;
    }
    times
}
