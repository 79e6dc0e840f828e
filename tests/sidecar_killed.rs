//! The sidecar is killed while the hub is away: what was spooled comes, nothing comes twice, and what
//! was lost with its memory is told.

use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use remora_store::spool::Spool;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::api::{Client, times_stored};
use crate::support::process::{HubPlace, Running, free_port, start_mapped};
use crate::support::relay::Relay;
use crate::support::{eventually, origin};

const SENT: u64 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_sidecar_had_spooled_is_shipped_once_and_what_is_missing_is_told() {
    let place = HubPlace::new();
    let _hub = place.start();
    let relay = Relay::start(place.ingest_port).await;
    let spool = tempfile::tempdir().unwrap();
    let folder = spool.path().display().to_string();
    let mut options = vec!["--workload", "tested", "--spool", &folder];
    options.extend(["--capture-budget", "1MiB"]);
    let upstream = origin::start().await;
    let (sidecar, port) = start_mapped(&relay.ingest(), "inbound", upstream, &options);
    let client = Client::new();
    send(&client, port, 0..1).await;
    wait_for(&client, &place, &["/call/0"]).await;

    // A block is under way and never arrives, others wait in memory, most in the spool.
    relay.hold();
    send(&client, port, 1..2).await;
    wait_for_blocks(&relay).await;
    send(&client, port, 2..SENT).await;
    eventually("something is spooled", || async {
        (spooled_calls(spool.path()) > 0).then_some(())
    })
    .await;
    sidecar.kill();
    let spooled = spooled_calls(spool.path());

    let (_successor, port) = start_mapped(&place.ingest(), "inbound", upstream, &options);
    send(&client, port, SENT..SENT + 1).await;
    // The first, the spooled ones, and the last.
    let stored = 1 + spooled + 1;
    let calls = eventually("the spooled calls are stored", || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() as u64 >= stored).then_some(calls)
    })
    .await;
    let times = times_stored(&calls);
    assert_eq!(times.values().max(), Some(&1), "a call is stored twice");
    assert_eq!(times.len() as u64, stored, "{spooled} were spooled");
    assert_eq!(times.get("/call/1"), None, "it never arrived");
    let coverage = client.status(&place.api()).await.unwrap()["coverage"].clone();
    assert!(
        coverage["missing_blocks"].as_u64() > Some(0),
        "{stored} of {} calls are stored, and nothing is said of the others: {coverage}",
        SENT + 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_memory_of_a_killed_sidecar_held_is_missing_by_number() {
    let place = HubPlace::new();
    let _hub = place.start();
    let relay = Relay::start(place.ingest_port).await;
    let spool = tempfile::tempdir().unwrap();
    let folder = spool.path().display().to_string();
    let options = ["--workload", "tested", "--spool", &folder];
    let upstream = origin::start().await;
    let (sidecar, port) = start_mapped(&relay.ingest(), "inbound", upstream, &options);
    let client = Client::new();
    send(&client, port, 0..1).await;
    wait_for(&client, &place, &["/call/0"]).await;

    relay.hold();
    send(&client, port, 1..2).await;
    wait_for_blocks(&relay).await;
    sidecar.kill();

    let (_successor, port) = start_mapped(&place.ingest(), "inbound", upstream, &options);
    send(&client, port, 2..3).await;
    wait_for(&client, &place, &["/call/0", "/call/2"]).await;
    // Two, if the call ran so long that it was told before it was over.
    eventually("the block that was lost is told", || async {
        let status = client.status(&place.api()).await?;
        (status["coverage"]["missing_blocks"].as_u64() >= Some(1)).then_some(())
    })
    .await;
}

/// Waits until just these are stored.
async fn wait_for(client: &Client, place: &HubPlace, paths: &[&str]) {
    let calls = eventually(&format!("{paths:?} are stored"), || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() >= paths.len()).then_some(calls)
    })
    .await;
    let found: Vec<&Value> = calls.iter().map(|call| &call["path"]).collect();
    assert_eq!(found, paths);
}

/// Waits until a block is under way that goes no further than the relay.
async fn wait_for_blocks(relay: &Relay) {
    eventually("a block is under way", || async {
        let shipped = String::from_utf8_lossy(&relay.shipped()).into_owned();
        shipped.contains("POST /ingest/v1/blocks").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ran_when_its_sidecar_was_killed_is_lost_and_says_so() {
    let place = HubPlace::new();
    let _hub = place.start();
    let port = free_port();
    // A server that never answers one path.
    let upstream = origin::serve(|request| async move {
        if request.uri().path() == "/endless" {
            std::future::pending::<()>().await;
        }
        hyper::Response::new(Bytes::new())
    })
    .await;
    let sidecar = start_on(&place, port, upstream);
    let client = Client::new();
    let mut stream = eventually("the sidecar listens", || async {
        TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nHost: shop\r\n\r\n")
        .await
        .unwrap();
    see(&client, &place, "/endless", "open").await;

    sidecar.kill();
    let mut rest = Vec::new();
    // The connection breaks with the sidecar; nothing was answered.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");

    let _successor = start_on(&place, port, upstream);
    eventually("the successor answers", || async {
        let uri = format!("http://127.0.0.1:{port}/next");
        client.get(&uri, &[]).await
    })
    .await;
    see(&client, &place, "/next", "complete").await;
    let lost = see(&client, &place, "/endless", "lost").await;
    assert_eq!(lost["status"], Value::Null, "{lost}");
}

/// Waits until the one call with a path is in a state; gives it.
async fn see(client: &Client, place: &HubPlace, path: &str, state: &str) -> Value {
    eventually(&format!("{path} is {state}"), || async {
        let filter = format!("path == \"{path}\" && state == \"{state}\"");
        let calls = client.matching(&place.api(), &filter).await?;
        let [call] = &calls[..] else { return None };
        Some(call.clone())
    })
    .await
}

/// The same listener each time, as a sidecar that is started anew has.
fn start_on(place: &HubPlace, port: u16, upstream: u16) -> Running {
    let map = format!("inbound:127.0.0.1:{port}=127.0.0.1:{upstream}");
    let ingest = place.ingest();
    let mut arguments = vec!["proxy", "--workload", "tested", "--admin", "off"];
    arguments.extend(["--ingest", &ingest, "--map", &map]);
    Running::start(&arguments)
}

/// Calls with numbered paths and a body of a KiB.
async fn send(client: &Client, port: u16, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let body: String = (0..128)
            .map(|n| format!("{:08x}", (number * 128 + n) * 2_654_435_761 % 4_294_967_291))
            .collect();
        let request = Request::post(format!("http://127.0.0.1:{port}/call/{number}"))
            .body(Full::from(body))
            .unwrap();
        let answer = client.send(request).await.expect("the application answers");
        assert_eq!(answer.status(), 200);
    }
}

/// How many calls a spool holds. It is a copy that is looked into: opening one mends it.
fn spooled_calls(folder: &Path) -> u64 {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap().flatten() {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let (_, recovered) = Spool::open(copy.path(), u64::MAX).unwrap();
    recovered.calls
}
