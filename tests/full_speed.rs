//! Full speed: every request that a load generator sent is stored, or counted as dropped.
//!
//! `REMORA_FULL_SPEED_SECONDS` says for how long it sends; a few if it is not set. What it had sent
//! and not seen answered when it stopped is a call too: answered if the answer came as far as the
//! sidecar, else with the error of a client that went away.

pub mod load;

use std::time::Duration;

use serde_json::Value;

use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, start_sidecar};
use crate::support::{eventually, left_out};
use load::{Sent, Server, Speaks, h2load_for, h2load_of, nginx, wrk};

/// Calls that no budget of 1 MiB holds.
const TOO_MANY: u64 = 20_000;
/// Calls that h2load sends in any case.
const LEAST: u64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_wrk_sends_is_stored_or_counted_as_dropped_to_the_call() {
    if let Some(why) = load::missing(&["nginx", "wrk"]) {
        return left_out(&why);
    }
    let street = Street::start(Speaks::Http1, &[]);
    let load = wrk(street.port, seconds());
    let Counted { stored, dropped } = street.counted(load.sent).await;
    println!("{load:?}: {stored} stored, {dropped} dropped");
    assert_eq!(stored + dropped, load.sent);

    let failed = street.failed_calls().await;
    assert!(
        failed <= load.sent - load.answered,
        "{failed} calls have an error"
    );
    street.check_after_the_end(load.sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_hub_costs_is_counted_to_the_call() {
    if let Some(why) = load::missing(&["nginx", "wrk"]) {
        return left_out(&why);
    }
    let street = Street::start(Speaks::Http1, &["--capture-budget", "1MiB"]);
    let before = wrk(street.port, Duration::from_secs(1));
    street.hub.signal("STOP");
    eventually("the hub is stopped", || async {
        street.hub.is_stopped().then_some(())
    })
    .await;
    let mut sent = before.sent;
    while sent - before.sent < TOO_MANY {
        sent += wrk(street.port, Duration::from_secs(1)).sent;
    }
    street.hub.signal("CONT");

    let Counted { stored, dropped } = street.counted(sent).await;
    println!("{before:?}, {sent} in all: {stored} stored, {dropped} dropped");
    assert_eq!(stored + dropped, sent);
    assert!(dropped > 0, "all of it fitted into the budget");
    street.check_after_the_end(sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_h2load_sends_is_stored_or_counted_as_dropped_to_the_call() {
    if let Some(why) = load::missing(&["nginx", "h2load"]) {
        return left_out(&why);
    }
    let street = Street::start(Speaks::Http2, &[]);
    // Of the streams that are open when its time is over h2load cannot say which it had sent.
    let Sent { sent, answered } = h2load_for(street.port, Duration::from_secs(1));
    let (street, known) = street.with_another_sidecar(answered).await;
    println!("{answered} of {sent} answered: {known} stored or dropped");
    assert!((answered..=sent).contains(&known), "{known} are known");

    let wanted = (answered * seconds().as_secs()).max(LEAST);
    assert_eq!(h2load_of(street.port, wanted).answered, wanted);
    let Counted { stored, dropped } = street.counted(known + wanted).await;
    println!("{wanted} answered: {stored} stored, {dropped} dropped, with those before");
    assert_eq!(stored + dropped, known + wanted);
    let failed = street.failed_calls().await;
    assert!(failed <= sent - answered, "{failed} calls have an error");
    street.check_after_the_end(known + wanted).await;
}

/// A server, a sidecar before it, and the hub.
struct Street {
    place: HubPlace,
    hub: Running,
    sidecar: Running,
    /// Where the sidecar listens.
    port: u16,
    server: Server,
    client: Client,
}

/// What became of calls.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    stored: u64,
    dropped: u64,
}

impl Street {
    fn start(speaks: Speaks, options: &[&str]) -> Self {
        let server = nginx(speaks);
        let place = HubPlace::new();
        let hub = place.start();
        let (sidecar, port) = start_sidecar(&place, server.port, options);
        Self {
            place,
            hub,
            sidecar,
            port,
            server,
            client: Client::new(),
        }
    }

    /// Waits until the hub knows of this many calls.
    async fn counted(&self, sent: u64) -> Counted {
        eventually("stored and dropped calls add up to those sent", || async {
            let status = self.client.status(&self.place.api()).await?;
            let counted = Counted {
                stored: status["store"]["calls"].as_u64()?,
                dropped: status["coverage"]["dropped"].as_u64()?,
            };
            (counted.stored + counted.dropped >= sent).then_some(counted)
        })
        .await
    }

    /// How many stored calls have an error; all the others were answered with 200.
    async fn failed_calls(&self) -> u64 {
        let uri = format!("{}/api/v1/summary?group_by=status", self.place.api());
        let summary = self.client.json(&uri).await.unwrap();
        assert_eq!(summary["scanned_until"], Value::Null, "{summary}");
        let groups = summary["groups"].as_array().unwrap().iter();
        let failed = groups.map(|group| match group["status"].as_u64() {
            Some(200) => group["errors"].as_u64().unwrap(),
            _ => group["calls"].as_u64().unwrap(),
        });
        failed.sum()
    }

    /// Stops the sidecar, which hands over the rest of what it has; gives how many calls the hub knows of then.
    async fn with_another_sidecar(self, answered: u64) -> (Self, u64) {
        self.counted(answered).await;
        assert_eq!(self.sidecar.stop(), Some(0));
        let known = known(&self.client, &self.place).await;
        let (sidecar, port) = start_sidecar(&self.place, self.server.port, &[]);
        let street = Self {
            sidecar,
            port,
            ..self
        };
        (street, known)
    }

    /// Stops the sidecar, and counts once more.
    async fn check_after_the_end(self, sent: u64) {
        assert_eq!(self.sidecar.stop(), Some(0));
        let known = known(&self.client, &self.place).await;
        assert_eq!(known, sent, "more came later");
    }
}

/// How many calls the hub has, or was told that they were dropped.
async fn known(client: &Client, place: &HubPlace) -> u64 {
    let status = client.status(&place.api()).await.unwrap();
    let counts = [&status["store"]["calls"], &status["coverage"]["dropped"]];
    counts.map(|count| count.as_u64().unwrap()).iter().sum()
}

/// How long the load generators send.
fn seconds() -> Duration {
    let seconds = std::env::var("REMORA_FULL_SPEED_SECONDS").ok();
    Duration::from_secs(seconds.map_or(3, |seconds| seconds.parse().unwrap()))
}
