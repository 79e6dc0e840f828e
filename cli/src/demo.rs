//! `remora demo`: a hub, sidecars and a small shop on one machine, without any privilege.
//!
//! Owns the wiring and what is printed. The shop is in [`shop`], its customers in [`customers`];
//! [`ledger`] holds what was recorded against the shop's own book, and [`planted`] what was found against
//! what is wrong on purpose.

mod customers;
mod ledger;
mod planted;
mod shop;
mod stores;
mod street;
mod table;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use remora_mcp::Hub;
use remora_mcp::config::{Config, Keep, Options};

use crate::arguments::Demo;
use crate::http::Client;
use crate::runtime::{self, UsageError};
use planted::Hunt;
use shop::Build;
use street::Street;

/// Rounds of customers before the first table.
const ROUNDS: u64 = 20;
/// Pause between rounds after the first table: enough to have something new to look at.
const PAUSE_BETWEEN_ROUNDS: Duration = Duration::from_secs(2);
/// How long the sidecars have to hand over what they hold.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Demo) -> anyhow::Result<ExitCode> {
    // Apps, sidecars' wiring and hub share this runtime; data planes have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(demo(options))
}

async fn demo(options: &Demo) -> anyhow::Result<ExitCode> {
    progress("starting the hub");
    let hub = start_hub(options.listen).await?;
    progress("opening the shop");
    let build = match options.fixed {
        true => Build::Fixed,
        false => Build::Flawed,
    };
    let street = Street::open(hub.ingest_address(), build).await?;
    for round in 0..ROUNDS {
        progress(&format!(
            "customers at the shop, round {} of {ROUNDS}",
            round + 1
        ));
        street.round(round).await?;
    }
    progress("waiting until everything is stored");
    let complete = settle(&hub).await;
    let api = format!("http://{}", hub.api_address());
    let audit = show(&api, &street).await?;
    let hunt = show_findings(&api, options.fixed).await?;
    let code = if options.once {
        verdict(&audit, &hunt, complete)?
    } else {
        print_invitation(&api)?;
        stay(&api, &street).await?;
        ExitCode::SUCCESS
    };
    street.close().await?;
    hub.stop().await;
    Ok(code)
}

/// On the address asked for; without one on the usual ports, or on free ones if those are taken.
async fn start_hub(listen: Option<SocketAddr>) -> anyhow::Result<Hub> {
    let mut options = Options::new(Keep::Memory);
    if let Some(listen) = listen {
        options.listen = listen;
        options.ingest.set_port(0);
        let config = Config::check(options).map_err(UsageError::from)?;
        return Hub::start(config).await.context("start the hub");
    }
    match Hub::start(Config::check(options)?).await {
        Ok(hub) => Ok(hub),
        Err(taken) => {
            progress("");
            eprintln!(
                "note: {:#}; free ports are used instead",
                anyhow::Error::new(taken)
            );
            Hub::start(Config::check(Options::on_any_port(Keep::Memory))?)
                .await
                .context("start the hub")
        }
    }
}

/// Asks every sidecar to hand over what it holds; whether all did.
async fn settle(hub: &Hub) -> bool {
    let flushed = hub.flush(FLUSH_DEADLINE).await;
    for silent in &flushed.unanswered {
        eprintln!("note: the sidecar of {} did not answer", silent.workload);
    }
    flushed.unanswered.is_empty()
}

/// Prints the table and what the ledger says of it.
async fn show(api: &str, street: &Street) -> anyhow::Result<ledger::Audit> {
    let client = Client::new();
    let summary = client
        .json(&format!(
            "{api}/api/v1/summary?group_by=edge,route,status&limit=40"
        ))
        .await?;
    let audit = ledger::audit(&client, api, &street.book()).await?;
    progress("");
    runtime::print(format_args!(
        "What Remora saw of the shop (customers ─▶ storefront ─▶ orders, redis ─▶ inventory, payments, postgres):\n\n{}\n",
        table::render(&summary)
    ))?;
    let right = audit.legs - audit.faults.len();
    runtime::print(format_args!(
        "The shop's own ledger has {} calls, which sidecars saw as {} legs; {right} of them are stored, each once.\n",
        audit.calls, audit.legs
    ))?;
    for fault in audit.faults.iter().take(20) {
        runtime::print(format_args!("  wrong: {fault}\n"))?;
    }
    Ok(audit)
}

/// Prints what is wrong with the shop, and what of it the hub missed or made up.
async fn show_findings(api: &str, fixed: bool) -> anyhow::Result<Hunt> {
    let hunt = planted::hunt(&Client::new(), api, fixed).await?;
    match (hunt.found.len(), fixed) {
        (0, true) => runtime::print("\nNothing is wrong with the mended shop.\n")?,
        (n, true) => runtime::print(format_args!(
            "\n{n} things are wrong with the mended shop:\n"
        ))?,
        (n, false) => runtime::print(format_args!(
            "\n{n} things are wrong with the shop (`--fixed` opens it mended):\n"
        ))?,
    }
    for found in &hunt.found {
        runtime::print(format_args!("  {found}\n"))?;
    }
    for fault in &hunt.faults {
        runtime::print(format_args!("  wrong: {fault}\n"))?;
    }
    Ok(hunt)
}

fn verdict(audit: &ledger::Audit, hunt: &Hunt, complete: bool) -> anyhow::Result<ExitCode> {
    let is_recorded = audit.faults.is_empty() && complete && audit.calls > 0;
    runtime::print(match is_recorded {
        true => "\nEvery call of the ledger is stored once per leg.\n",
        false => "\nThe ledger and the hub do not agree.\n",
    })?;
    let is_found = hunt.faults.is_empty();
    runtime::print(match is_found {
        true => "All that is wrong on purpose was found and proved, and nothing else.\n",
        false => "What was found is not what is wrong on purpose.\n",
    })?;
    Ok(match is_recorded && is_found {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print_invitation(api: &str) -> anyhow::Result<()> {
    runtime::print(format_args!(
        "
Look around:
  curl -s '{api}/api/v1/summary?group_by=edge,route,status'
  curl -s -G {api}/api/v1/calls --data-urlencode 'filter=status_code >= 500' -d limit=3
  curl -s -G {api}/api/v1/calls --data-urlencode 'filter=path == \"/charge\" && latency_ms > 0.1' -d limit=1
  curl -s '{api}/api/v1/findings'
The customers' token and card number never reach the hub, yet you can see where they went:
  curl -s -G {api}/api/v1/calls --data-urlencode 'filter=\"authorization\" in request.headers' -d limit=3
Ask with your assistant:
  claude mcp add --transport http remora {api}/mcp
  or in an MCP client's JSON: {{\"mcpServers\": {{\"remora\": {{\"type\": \"http\", \"url\": \"{api}/mcp\"}}}}}}

"
    ))
}

/// Customers keep coming until Ctrl-C; one line tells how many calls there are.
async fn stay(api: &str, street: &Street) -> anyhow::Result<()> {
    runtime::print("Customers keep coming; end with Ctrl-C.\n")?;
    let client = Client::new();
    let stop = runtime::stop_signal();
    tokio::pin!(stop);
    let begun = Instant::now();
    for round in ROUNDS.. {
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(PAUSE_BETWEEN_ROUNDS) => {}
        }
        street.round(round).await?;
        let status = client.json(&format!("{api}/api/v1/status")).await?;
        let calls = status
            .pointer("/store/calls")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0);
        progress(&format!(
            "{calls} calls recorded, {} s",
            begun.elapsed().as_secs()
        ));
    }
    Ok(())
}

/// One line that is written over, on a terminal only; an empty one wipes it.
fn progress(line: &str) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        // Progress is a courtesy: a closed standard error must not end the demo.
        let _ = write!(out, "\r\x1b[2K{line}");
        let _ = out.flush();
    }
}
