//! `remora snapshot`: snapshots for scripts. What a snapshot is, the hub's API says.
//!
//! Exit codes: 0 done and settled, 1 not settled, 3 anything that kept the hub from answering.

use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::arguments::{AtHub, Snapshot, SnapshotStart, SnapshotWait};
use crate::hub_api::{HubApi, holds, part, segment, text};
use crate::runtime::{self, NOT_ASKED, OutputClosed, print};

/// What a script is told when a window has not settled.
const NOT_SETTLED: u8 = 1;

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
    let hub = HubApi::at(&options.at)?;
    let body = json!({
        "name": options.name, "namespaces": options.namespaces, "workloads": options.workloads,
        "since": options.since, "ttl": options.ttl,
    });
    let made = hub.ask(Method::POST, "/snapshots", Some(body)).await?;
    match options.at.json {
        true => print(format_args!("{made}\n"))?,
        false => print(format_args!("{}\n", text(&made, "id")))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait(options: SnapshotWait) -> anyhow::Result<ExitCode> {
    let hub = HubApi::at(&options.at)?;
    let idle: Duration = options.idle.into();
    let condition = options.condition.as_ref();
    let body = json!({
        "idle_ms": u64::try_from(idle.as_millis()).unwrap_or(u64::MAX),
        "min_calls": options.min_calls,
        "seal": !options.no_seal,
        "filter": condition.map(|condition| json!({"where": condition})),
    });
    let answer = hub
        .wait_up_to(&options.id, options.max_wait.into(), body)
        .await?;
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
    let answer = HubApi::at(at)?.ask(Method::GET, "/snapshots", None).await?;
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
    let path = format!("/snapshots/{}", segment(id)?);
    let gone = HubApi::at(at)?.ask(Method::DELETE, &path, None).await?;
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
