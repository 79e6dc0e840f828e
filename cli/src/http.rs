//! A small HTTP client for the parts of the command line that speak to a hub or to the demo's shop.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Largest answer that is read, in bytes: a page of 1,000 calls with bodies fits.
const MAX_ANSWER_BYTES: usize = /* 64 MiB */ 64 * 1024 * 1024;

/// Sends requests and reads answers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client(Pool<HttpConnector, Full<Bytes>>);

impl Client {
    /// A client that keeps connections open between requests.
    pub(crate) fn new() -> Self {
        Self::keeping(usize::MAX)
    }

    /// A client that opens a connection for each request. One that the server is about to close,
    /// as it does behind a request it refused unread, is then never taken for a sound one; a
    /// request that must not be sent twice would be lost on it.
    pub(crate) fn without_reuse() -> Self {
        Self::keeping(0)
    }

    fn keeping(idle_connections: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_max_idle_per_host(idle_connections)
            .build(connector);
        Self(pool)
    }

    /// Sends a request and gives the answer with its body still to come.
    pub(crate) async fn begin(
        &self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Incoming>> {
        Ok(self.0.request(request).await?)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Bytes>> {
        let uri = request.uri().clone();
        let answer = self
            .begin(request)
            .await
            .with_context(|| format!("reach {uri}"))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("read the answer of {uri}: {error}"))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Sends a request and gives each line of the answer to `take` as it comes.
    pub(crate) async fn lines(
        &self,
        request: Request<Full<Bytes>>,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<StatusCode> {
        let uri = request.uri().clone();
        let answer = self.0.request(request).await;
        let answer = answer.with_context(|| format!("reach {uri}"))?;
        let status = answer.status();
        let mut body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
        let mut rest: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| anyhow::anyhow!("read the answer of {uri}: {error}"))?;
            rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                take(&line)?;
            }
        }
        if !rest.is_empty() {
            take(&rest)?;
        }
        Ok(status)
    }

    /// Gets JSON. An answer other than 200 is an error that carries the hub's own message.
    pub(crate) async fn json(&self, uri: &str) -> anyhow::Result<serde_json::Value> {
        let request = Request::get(uri)
            .body(Full::default())
            .context("build request")?;
        let answer = self.send(request).await?;
        let json: serde_json::Value =
            serde_json::from_slice(answer.body()).with_context(|| format!("read JSON of {uri}"))?;
        if answer.status() != StatusCode::OK {
            let message = json
                .pointer("/error/message")
                .and_then(|m| m.as_str())
                .unwrap_or("no message");
            anyhow::bail!("{uri} answered {}: {message}", answer.status());
        }
        Ok(json)
    }
}
