//! The barrier in many random rounds: what a caller was told of a snapshot is what is stored.
//!
//! Rounds run beside each other, through real sidecars, under steady background traffic, with calls in
//! flight, streams that stay open, and a sidecar that is stopped again and again. How many rounds,
//! `REMORA_BARRIER_ROUNDS` says.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::api::{Client, encoded};
use crate::support::process::{HubPlace, Running, start_sidecar};
use crate::support::{eventually, origin};

const ROUNDS: u64 = 8;
const LANES: u64 = 8;

/// Every so many rounds of a lane one opens a stream, which takes five seconds.
const STREAM_EVERY: u64 = 16;

/// What all lanes share.
struct Street {
    place: HubPlace,
    _hub: Running,
    _sidecars: Vec<Running>,
    client: Client,
    steady: u16,
    stopped: u16,
    /// Paths that the application has been asked for: their sidecar has seen them.
    reached: Arc<Mutex<HashSet<String>>>,
    /// Whether one sidecar is stopped, and how often that changed.
    is_stopped: AtomicBool,
    changes: AtomicU64,
    /// Random numbers, one after the other.
    random: AtomicU64,
}

impl Street {
    async fn start() -> (Arc<Self>, Running) {
        let reached: Arc<Mutex<HashSet<String>>> = Arc::default();
        let seen = reached.clone();
        let upstream = origin::serve(move |request| {
            let path = request.uri().path().to_owned();
            seen.lock().unwrap().insert(path.clone());
            async move {
                let pause = path.rsplit('/').next().and_then(|it| it.parse().ok());
                sleep(Duration::from_millis(pause.unwrap_or(0))).await;
                Response::new(Bytes::from(path))
            }
        })
        .await;
        let place = HubPlace::new();
        let hub = place.start();
        let (first, steady) = start_sidecar(&place, upstream, &["--revision", "r1"]);
        let (second, stopped) = start_sidecar(&place, upstream, &["--pod", "stopped-1"]);
        let client = Client::new();
        eventually("both sidecars are connected", || async {
            let status = client.status(&place.api()).await?;
            (status["coverage"]["sidecars"].as_array()?.len() == 2).then_some(())
        })
        .await;
        let seed = std::process::id().into();
        eprintln!("seed {seed}");
        let street = Self {
            place,
            _hub: hub,
            _sidecars: vec![first],
            client,
            steady,
            stopped,
            reached,
            is_stopped: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            random: AtomicU64::new(seed),
        };
        (Arc::new(street), second)
    }

    /// A random number below `end` (SplitMix64).
    fn below(&self, end: u64) -> u64 {
        let state = self
            .random
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/api/v1/snapshots{path}", self.place.api()))
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.client.send(request).await.expect("the hub answers");
        let json: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(answer.status().is_success(), "{json}");
        json
    }

    /// The paths of a round that a snapshot holds.
    async fn held(&self, id: &str, prefix: &str) -> Vec<String> {
        let filter = encoded(&format!("path.startsWith({prefix:?})"));
        let uri = format!(
            "{}/api/v1/calls?limit=1000&fields=path,state&snapshot={id}&filter={filter}",
            self.place.api()
        );
        let page = self.client.json(&uri).await.expect("the hub answers");
        let calls = page["calls"].as_array().unwrap().iter();
        let mut paths: Vec<String> = calls
            .inspect(|call| assert_eq!(call["state"], "complete", "{call}"))
            .map(|call| call["path"].as_str().unwrap().to_owned())
            .collect();
        paths.sort();
        paths
    }

    fn call(self: &Arc<Self>, port: u16, path: String) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            let (client, uri) = (Client::new(), format!("http://127.0.0.1:{port}{path}"));
            // A stopped sidecar answers when it goes on.
            let _ = client.get(&uri, &[]).await;
        })
    }
}

/// Stops and continues a sidecar until it is dropped.
async fn stop_and_go(street: Arc<Street>, sidecar: Running) {
    loop {
        sleep(Duration::from_millis(500 + street.below(2_000))).await;
        street.changes.fetch_add(1, Ordering::SeqCst);
        sidecar.signal("STOP");
        street.is_stopped.store(true, Ordering::SeqCst);
        sleep(Duration::from_millis(3_000 + street.below(2_000))).await;
        street.is_stopped.store(false, Ordering::SeqCst);
        street.changes.fetch_add(1, Ordering::SeqCst);
        sidecar.signal("CONT");
    }
}

async fn background(street: Arc<Street>) {
    let client = Client::new();
    for number in 0_u64.. {
        let uri = format!("http://127.0.0.1:{}/background/{number}/x", street.steady);
        client.get(&uri, &[]).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
}

async fn round(street: &Arc<Street>, lane: u64, number: u64) {
    let prefix = format!("/round/{lane}/{number}/");
    let id = street.post("", json!({"name": prefix})).await["id"].clone();
    let id = id.as_str().unwrap().to_owned();
    let with_stream = number % STREAM_EVERY == STREAM_EVERY / 2;
    let mut calls = Vec::new();
    if with_stream {
        calls.push(street.call(street.steady, format!("{prefix}stream/9000")));
    }
    for call in 0..1 + street.below(20) {
        let port = match street.below(8) {
            0 => street.stopped,
            _ => street.steady,
        };
        let pause = street.below(300);
        calls.push(street.call(port, format!("{prefix}{call}/{pause}")));
        sleep(Duration::from_millis(street.below(20))).await;
    }
    let steady = street.call(
        street.steady,
        format!("{prefix}first/{}", street.below(200)),
    );
    let first = format!("{prefix}first/");
    eventually("a call of the round is on its way", || async {
        let reached = street.reached.lock().unwrap();
        reached
            .iter()
            .any(|path| path.starts_with(&first))
            .then_some(())
    })
    .await;

    let changes = street.changes.load(Ordering::SeqCst);
    let stopped = street.is_stopped.load(Ordering::SeqCst);
    let reached: Vec<String> = {
        let reached = street.reached.lock().unwrap();
        reached
            .iter()
            .filter(|path| path.starts_with(&prefix))
            .cloned()
            .collect()
    };
    let wait = json!({
        "idle_ms": street.below(300), "max_wait_s": 45,
        "filter": {"path_prefix": prefix},
    });
    let told = street.post(&format!("/{id}/wait"), wait).await;
    assert_eq!(told["settled"], true, "{prefix}: {told}");
    assert_eq!(
        (&told["sealed"], &told["in_flight"]),
        (&json!(true), &json!(0)),
        "{told}"
    );
    let held = street.held(&id, &prefix).await;
    assert_eq!(told["calls"], held.len(), "{prefix}: {told} but {held:?}");

    // What had reached the application through a sidecar that answered is there, once.
    let unchanged = changes == street.changes.load(Ordering::SeqCst);
    let spots = told["blind_spots"].to_string();
    if unchanged && !stopped && !spots.contains("did not answer") {
        let missing: Vec<_> = reached
            .iter()
            .filter(|path| !held.contains(path) && !path.contains("stream"))
            .collect();
        assert!(missing.is_empty(), "{prefix}: {missing:?} of {told}");
    }
    if unchanged && stopped {
        assert!(spots.contains("stopped-1"), "{prefix}: {told}");
    }
    if with_stream {
        assert!(spots.contains("over 5 s"), "{prefix}: {told}");
    }
    let distinct: HashSet<&String> = held.iter().collect();
    assert_eq!(distinct.len(), held.len(), "{held:?}");

    // What comes later, from whichever sidecar, changes nothing.
    steady.await.unwrap();
    street
        .call(street.steady, format!("{prefix}late/0"))
        .await
        .unwrap();
    let later = street.post("", json!({})).await["id"].clone();
    let path = format!("/{}/wait", later.as_str().unwrap());
    street
        .post(&path, json!({"idle_ms": 0, "min_calls": 0, "seal": false}))
        .await;
    assert_eq!(street.held(&id, &prefix).await, held, "{prefix} changed");
    for id in [id.as_str(), later.as_str().unwrap()] {
        let request = Request::delete(format!("{}/api/v1/snapshots/{id}", street.place.api()));
        let gone = street
            .client
            .send(request.body(Full::default()).unwrap())
            .await;
        assert_eq!(gone.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_was_told_is_what_is_stored() {
    let rounds = std::env::var("REMORA_BARRIER_ROUNDS").map_or(ROUNDS, |it| it.parse().unwrap());
    let (street, sidecar) = Street::start().await;
    let background = tokio::spawn(background(street.clone()));
    let stopping = tokio::spawn(stop_and_go(street.clone(), sidecar));
    let lanes = (0..LANES).map(|lane| {
        let street = street.clone();
        tokio::spawn(async move {
            for number in 0..rounds.div_ceil(LANES) {
                round(&street, lane, number).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    assert!(
        !background.is_finished(),
        "the background traffic broke off"
    );
    background.abort();
    stopping.abort();
}
