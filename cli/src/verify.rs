//! `remora verify`: expectations from a file, judged by a hub. What they mean, the hub's API says.
//!
//! Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 anything that kept the hub from judging.

mod junit;

use std::io::{Read, stdin};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use hyper::Method;
use serde_json::{Map, Value, json};

use crate::arguments::Verify;
use crate::hub_api::{HubApi, holds, part, text};
use crate::runtime::{self, NOT_ASKED, OutputClosed, print};

/// Largest file that is read, in bytes; a hub takes no more.
const MOST_BYTES: u64 = 256 * 1024;
/// What a script is told.
const FAIL: u8 = 1;
const INCONCLUSIVE: u8 = 2;
/// How long no call may arrive before calls have settled.
const IDLE: Duration = Duration::from_secs(2);

pub(crate) fn run(options: Verify) -> anyhow::Result<ExitCode> {
    match runtime::single_threaded()?.block_on(verify(options)) {
        Err(error) if !error.is::<OutputClosed>() => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(NOT_ASKED))
        }
        done => done,
    }
}

async fn verify(options: Verify) -> anyhow::Result<ExitCode> {
    let hub = HubApi::at(&options.at)?;
    let mut request = read(&options.file)?;
    if let Some(snapshot) = snapshot(&hub, &options, &request).await? {
        request.insert("snapshot".to_owned(), snapshot.into());
    }
    let answer = hub
        .ask(Method::POST, "/verify", Some(Value::Object(request)))
        .await?;
    if let Some(path) = &options.junit {
        let report = junit::report(&answer)?;
        std::fs::write(path, report)
            .with_context(|| format!("write --junit {}", path.display()))?;
    }
    match options.at.json {
        true => print(format_args!("{answer}\n"))?,
        false => print(lines(&answer))?,
    }
    Ok(match text(&answer, "verdict") {
        "pass" => ExitCode::SUCCESS,
        "fail" => ExitCode::from(FAIL),
        "inconclusive" => ExitCode::from(INCONCLUSIVE),
        odd => bail!("the hub's verdict is {odd:?}; is it older or newer than this program?"),
    })
}

/// Reads expectations: YAML, of which JSON is a part.
fn read(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let name = path.display();
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(stdin()),
        false => Box::new(std::fs::File::open(path).with_context(|| format!("read {name}"))?),
    };
    source
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("read {name}"))?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("{name} is larger than {} KiB", MOST_BYTES / 1024);
    }
    let read: Value = serde_saphyr::from_slice(&bytes)
        .with_context(|| format!("{name} is neither YAML nor JSON"))?;
    match read {
        Value::Object(request) => Ok(request),
        _ => bail!("{name} holds no object; it begins with `expectations:`"),
    }
}

/// The snapshot to judge by, where it is not the one that the file names; settled, where that was asked for.
async fn snapshot(
    hub: &HubApi,
    options: &Verify,
    request: &Map<String, Value>,
) -> anyhow::Result<Option<String>> {
    let since = options
        .since
        .map(|since| since.to_string().replace(' ', ""));
    let named = options.snapshot.as_deref();
    let Some(patience) = options.wait else {
        return Ok(named
            .map(str::to_owned)
            .or(since.map(|since| format!("live:{since}"))));
    };
    let in_file = request.get("snapshot").and_then(Value::as_str);
    let window = |snapshot: &str| snapshot.strip_prefix("live:").map(str::to_owned);
    let id = match (named.or(in_file.filter(|_| since.is_none())), since) {
        (Some(snapshot), _) if window(snapshot).is_none() => snapshot.to_owned(),
        (Some(window), None) => make(hub, window.trim_start_matches("live:")).await?,
        (_, Some(since)) => make(hub, &since).await?,
        _ => bail!(
            "--wait has nothing to wait for: give --snapshot or --since, or name one in the file"
        ),
    };
    let body =
        json!({"idle_ms": u64::try_from(IDLE.as_millis()).unwrap_or(u64::MAX), "seal": true});
    let answer = hub.wait_up_to(&id, patience.into(), body).await?;
    if !holds(&answer, "settled") {
        eprintln!(
            "not settled ({}) within --wait {patience}; judging what there is",
            text(&answer, "reason")
        );
    }
    Ok(Some(id))
}

/// Makes a snapshot of a window that ends now.
async fn make(hub: &HubApi, since: &str) -> anyhow::Result<String> {
    let body = json!({"name": "remora verify", "since": format!("-{since}"), "ttl": "1h"});
    let made = hub.ask(Method::POST, "/snapshots", Some(body)).await?;
    Ok(text(&made, "id").to_owned())
}

/// The verdicts, a line each, and what may be missing.
fn lines(answer: &Value) -> String {
    let mut lines = String::new();
    for check in part(answer, "checks").as_array().into_iter().flatten() {
        lines.push_str(&format!(
            "{:<12} {}: {}\n",
            text(check, "verdict").to_uppercase(),
            text(check, "name"),
            sentence(check)
        ));
    }
    for spot in part(answer, "blind_spots").as_array().into_iter().flatten() {
        lines.push_str(&format!(
            "blind spot: {}\n",
            spot.as_str().unwrap_or_default()
        ));
    }
    lines.push_str(&format!("{}\n", text(answer, "summary")));
    lines
}

/// What was expected and seen, why it came to that, and the evidence.
fn sentence(check: &Value) -> String {
    let mut sentence = format!(
        "expected {}; saw {}",
        text(check, "expected"),
        text(check, "actual")
    );
    let why = text(check, "why");
    if !why.is_empty() {
        sentence.push_str(&format!("; {why}"));
    }
    let evidence: Vec<&str> = part(check, "evidence")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !evidence.is_empty() {
        sentence.push_str(&format!(" [{}]", evidence.join(" ")));
    }
    sentence
}
