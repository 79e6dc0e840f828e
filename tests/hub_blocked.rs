//! The hub accepts and never answers: traffic goes on, memory stays within its bound, and what could
//! not be kept is counted to the call.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};

use crate::support::api::{Client, times_stored};
use crate::support::process::{HubPlace, start_sidecar};
use crate::support::{eventually, origin};

const MIB: u64 = 1024 * 1024;
const KIB: u64 = 1024;

/// Memory that the sidecar may use for what it captures.
const BUDGET: u64 = 4 * MIB;
const CONNECTIONS: u64 = 16;
const CALLS_EACH: u64 = 60;
/// Size of each body, both ways: all of them together are many times the budget.
const BODY: usize = 32 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_never_answers_harms_no_traffic_and_no_memory() {
    let place = HubPlace::new();
    let hub = place.start();
    let upstream = origin::serve(|request| async move { Response::new(request.into_body()) }).await;
    let (sidecar, port) = start_sidecar(&place, upstream, &["--capture-budget", "4MiB"]);
    let client = Client::new();
    call(&client, port, "/before").await;
    eventually("the first call is stored", || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() == 1).then_some(())
    })
    .await;

    hub.signal("STOP");
    eventually("the hub is stopped", || async {
        hub.is_stopped().then_some(())
    })
    .await;
    let callers = (0..CONNECTIONS).map(|caller| {
        tokio::spawn(async move {
            let client = Client::new();
            for number in 0..CALLS_EACH {
                call(&client, port, &format!("/call/{caller}/{number}")).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert!(hub.is_stopped(), "the hub answered meanwhile");
    let (peak, most) = (
        sidecar.peak_memory_bytes(),
        BUDGET + 12 * MIB + (CONNECTIONS + 1) * 24 * KIB,
    );
    assert!(
        peak <= most,
        "the sidecar had {peak} bytes, {most} are allowed"
    );

    hub.signal("CONT");
    let sent = CONNECTIONS * CALLS_EACH + 1;
    let (calls, dropped) = eventually("stored and dropped calls add up to those sent", || async {
        let dropped = client.status(&place.api()).await?["coverage"]["dropped"].as_u64()?;
        let calls = client.calls(&place.api()).await?;
        (calls.len() as u64 + dropped >= sent).then_some((calls, dropped))
    })
    .await;
    assert_eq!(calls.len() as u64 + dropped, sent, "{dropped} were dropped");
    assert!(dropped > 0, "all of it fitted into the budget");
    let double = times_stored(&calls)
        .into_iter()
        .find(|(_, times)| *times > 1);
    assert_eq!(double, None, "stored more than once");
}

/// Sends a body and gets the same one back.
async fn call(client: &Client, port: u16, path: &str) {
    // Hardly to be compressed, and different each time.
    let mut noise = path.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let body: Bytes = std::iter::repeat_with(|| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        b'!' + (noise % 90) as u8
    })
    .take(BODY)
    .collect();
    let request = Request::post(format!("http://127.0.0.1:{port}{path}"))
        .body(Full::new(body.clone()))
        .unwrap();
    let answer = client.send(request).await.expect("the application answers");
    assert_eq!(answer.status(), 200);
    assert!(answer.body() == &body, "{path} came back changed");
}
