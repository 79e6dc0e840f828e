//! `remora snapshot`: snapshots for scripts. What a snapshot is, the hub's API says.
//!
//! Exit codes: 0 done and settled, 1 not settled, 3 anything that kept the hub from answering.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::arguments::{AtHub, Snapshot, SnapshotStart, SnapshotWait};
use crate::http::Client;
use crate::runtime::{self, OutputClosed, print};

/// Longest wait that one request asks for; more of it is asked for again.
const ONE_WAIT: Duration = Duration::from_secs(45);

/// What a script is told when a window has not settled.
const NOT_SETTLED: u8 = 1;

/// What a script is told when it asked wrongly, or the hub could not be asked.
pub(crate) const NOT_ASKED: u8 = 3;

pub(crate) fn run(command: Snapshot) -> anyhow::Result<ExitCode> {
    let done = runtime::single_threaded()?.block_on(async {
        match command {
            Snapshot::Start(options) => start(options).await,
            Snapshot::Wait(options) => wait(options).await,
            Snapshot::List(at) => list(&at).await,
            Snapshot::Delete { id, at } => delete(&id, &at).await,
        }
    });
    match done {
        Err(error) if !error.is::<OutputClosed>() => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(NOT_ASKED))
        }
        done => done,
    }
}

async fn start(options: SnapshotStart) -> anyhow::Result<ExitCode> {
    let hub = Hub::at(&options.at)?;
    let body = json!({
        "name": options.name, "namespaces": options.namespaces, "workloads": options.workloads,
        "since": options.since, "ttl": options.ttl,
    });
    let made = hub.ask(Method::POST, "", Some(body)).await?;
    match options.at.json {
        true => print(format_args!("{made}\n"))?,
        false => print(format_args!("{}\n", text(&made, "id")))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait(options: SnapshotWait) -> anyhow::Result<ExitCode> {
    let hub = Hub::at(&options.at)?;
    let patience: Duration = options.max_wait.into();
    let idle: Duration = options.idle.into();
    let begun = Instant::now();
    let answer = loop {
        let left = patience.saturating_sub(begun.elapsed()).min(ONE_WAIT);
        let condition = options.condition.as_ref();
        let body = json!({
            "idle_ms": u64::try_from(idle.as_millis()).unwrap_or(u64::MAX),
            "min_calls": options.min_calls,
            "max_wait_s": left.as_secs().max(1),
            "seal": !options.no_seal,
            "filter": condition.map(|condition| json!({"where": condition})),
        });
        let answer = hub.wait(&options.id, body).await?;
        let over = patience.saturating_sub(begun.elapsed()) < Duration::from_secs(1);
        if text(&answer, "reason") != "timeout" || over {
            break answer;
        }
    };
    match options.at.json {
        true => print(format_args!("{answer}\n"))?,
        false => print(outcome(&answer))?,
    }
    Ok(match holds(&answer, "settled") {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NOT_SETTLED),
    })
}

async fn list(at: &AtHub) -> anyhow::Result<ExitCode> {
    let answer = Hub::at(at)?.ask(Method::GET, "", None).await?;
    if at.json {
        print(format_args!("{}\n", part(&answer, "snapshots")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = "id\tstate\tsince\texpires\tpinned\tname\n".to_owned();
    for one in part(&answer, "snapshots").as_array().into_iter().flatten() {
        let cells = ["id", "state", "since", "expires"].map(|field| text(one, field));
        let pinned = match holds(one, "pinned") {
            true => "yes",
            false => "no",
        };
        table.push_str(&format!(
            "{}\t{pinned}\t{}\n",
            cells.join("\t"),
            text(one, "name")
        ));
    }
    print(table)?;
    Ok(ExitCode::SUCCESS)
}

async fn delete(id: &str, at: &AtHub) -> anyhow::Result<ExitCode> {
    let path = format!("/{}", segment(id)?);
    let gone = Hub::at(at)?.ask(Method::DELETE, &path, None).await?;
    if at.json {
        print(format_args!("{gone}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What came of a wait, in lines.
fn outcome(answer: &Value) -> String {
    let flag = |field: &str, yes: &'static str, no: &'static str| match holds(answer, field) {
        true => yes,
        false => no,
    };
    let mut lines = format!(
        "{} ({}): {} calls ({} inbound, {} outbound records), {} in flight, {}/{} sidecars flushed, {}\n",
        flag("settled", "settled", "not settled"),
        text(answer, "reason"),
        part(answer, "calls"),
        part(answer, "inbound"),
        part(answer, "outbound"),
        part(answer, "in_flight"),
        part(answer, "sidecars_flushed"),
        part(answer, "sidecars"),
        flag("sealed", "sealed", "still open"),
    );
    for spot in part(answer, "blind_spots").as_array().into_iter().flatten() {
        lines.push_str(&format!(
            "blind spot: {}\n",
            spot.as_str().unwrap_or_default()
        ));
    }
    lines
}

fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn part<'a>(json: &'a Value, field: &str) -> &'a Value {
    json.get(field).unwrap_or(&Value::Null)
}

fn holds(json: &Value, field: &str) -> bool {
    part(json, field).as_bool().unwrap_or(false)
}

/// An id as a part of a path.
fn segment(id: &str) -> anyhow::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if id.is_empty() || !id.bytes().all(plain) {
        bail!("{id:?} is not the id of a snapshot; `remora snapshot list` shows those there are");
    }
    Ok(id)
}

/// A hub and the right to ask it.
struct Hub {
    client: Client,
    url: String,
    token: Option<HeaderValue>,
}

impl Hub {
    fn at(at: &AtHub) -> anyhow::Result<Self> {
        if !at.hub.starts_with("http://") {
            bail!(
                "--hub is {:?}; it takes a URL such as http://127.0.0.1:8899",
                at.hub
            );
        }
        Ok(Self {
            client: Client::without_reuse(),
            url: format!("{}/api/v1/snapshots", at.hub.trim_end_matches('/')),
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

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let request = self.request(method, path, body)?;
        let answer = self.client.send(request).await?;
        let json = serde_json::from_slice(answer.body()).context("read the hub's answer")?;
        unless_error(answer.status(), json)
    }

    /// Waits, and tells on standard error how far it is.
    async fn wait(&self, id: &str, body: Value) -> anyhow::Result<Value> {
        let path = format!("/{}/wait?format=ndjson", segment(id)?);
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
        return Ok(json);
    };
    let message = text(error, "message");
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
