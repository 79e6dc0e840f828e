//! The barrier in many random rounds: what a caller was told of a snapshot is what is stored.
//!
//! Rounds run beside each other, through real sidecars, under steady background traffic, with calls in
//! flight, streams that stay open, and a sidecar that is stopped again and again. How many rounds,
//! `REMORA_BARRIER_ROUNDS` says. The hub waits for less long than usual, or a round would take
//! seconds.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response};
use remora_mcp::snapshot::barrier::Waits;
use remora_mcp::{Config, Hub, Keep, Options};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::api::{Client, encoded};
use crate::support::process::{Running, start_mapped};
use crate::support::{eventually, origin};

const ROUNDS: u64 = 32;
const LANES: u64 = 8;
const WAITS: Waits = Waits {
    flush: Duration::from_millis(300),
    stream_after: Duration::from_millis(700),
};
/// Sidecars that a wait asks to hand over.
const SIDECARS: u64 = 3;
/// Most waits until a round has settled.
const TRIES: usize = 60;

/// What all lanes share.
struct Street {
    hub: Hub,
    _data: tempfile::TempDir,
    _sidecars: [Running; 2],
    client: Client,
    front: u16,
    steady: u16,
    stopped: u16,
    /// Paths that the application has been asked for: their sidecars have seen them.
    reached: Arc<Mutex<HashSet<String>>>,
    /// Beginnings of paths whose streams end.
    ended: watch::Sender<HashSet<String>>,
    /// Random numbers, one after the other.
    random: AtomicU64,
    tally: Tally,
}

/// What the rounds met.
#[derive(Debug, Default)]
struct Tally {
    waits: AtomicU64,
    not_settled: AtomicU64,
    with_streams: AtomicU64,
    with_unanswered: AtomicU64,
}

/// Through which sidecars a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Front,
    Steady,
    Stopped,
}

impl Way {
    /// Who records it, and on which leg.
    fn records(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Front => &[("front", "outbound"), ("steady", "inbound")],
            Self::Steady => &[("steady", "inbound")],
            Self::Stopped => &[("stopped", "inbound")],
        }
    }
}

struct Sent {
    way: Way,
    path: String,
    answered: JoinHandle<()>,
}

/// A record as the test knows it: leg and path.
type Record = (String, String);

impl Street {
    async fn start() -> (Arc<Self>, Running) {
        let reached: Arc<Mutex<HashSet<String>>> = Arc::default();
        let ended = watch::Sender::new(HashSet::new());
        let upstream = application(reached.clone(), ended.clone()).await;
        let data = tempfile::tempdir().unwrap();
        let options = Options {
            waits: WAITS,
            ..Options::on_any_port(Keep::Disk(data.path().to_owned()))
        };
        let hub = Hub::start(Config::check(options).unwrap()).await.unwrap();
        let ingest = format!("http://{}", hub.ingest_address());
        let sidecar = |leg, upstream, name| {
            let who = ["--workload", name, "--namespace", "local"];
            start_mapped(&ingest, leg, upstream, &who)
        };
        let (second, steady) = sidecar("inbound", upstream, "steady");
        let (first, front) = sidecar("outbound", steady, "front");
        let (third, stopped) = sidecar("inbound", upstream, "stopped");
        let client = Client::new();
        let api = format!("http://{}", hub.api_address());
        eventually("all sidecars are connected", || async {
            let status = client.status(&api).await?;
            let sidecars = status["coverage"]["sidecars"].as_array()?.len() as u64;
            (sidecars == SIDECARS).then_some(())
        })
        .await;
        let seed = std::process::id().into();
        eprintln!("seed {seed}");
        let street = Self {
            hub,
            _data: data,
            _sidecars: [first, second],
            client,
            front,
            steady,
            stopped,
            reached,
            ended,
            random: AtomicU64::new(seed),
            tally: Tally::default(),
        };
        (Arc::new(street), third)
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

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let uri = format!("http://{}/api/v1/snapshots{path}", self.hub.api_address());
        let request = Request::builder().method(method).uri(uri);
        let request = request.body(Full::new(Bytes::from(body.to_string())));
        let answer = self.client.send(request.unwrap()).await;
        let answer = answer.expect("the hub answers");
        let json: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(answer.status().is_success(), "{json}");
        json
    }

    async fn snapshot(&self, name: &str) -> String {
        let made = self.ask(Method::POST, "", json!({"name": name})).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// The ended calls that a snapshot holds of a round, in order.
    async fn held(&self, id: &str, prefix: &str) -> Vec<Record> {
        let filter = encoded(&format!("path.startsWith({prefix:?})"));
        let uri = format!(
            "http://{}/api/v1/calls?limit=1000&fields=path,state,leg&snapshot={id}&filter={filter}",
            self.hub.api_address()
        );
        let page = self.client.json(&uri).await.expect("the hub answers");
        let text = |call: &Value, field: &str| call[field].as_str().unwrap().to_owned();
        let mut records = Vec::new();
        for call in page["calls"].as_array().unwrap() {
            match call["state"].as_str() {
                Some("complete") => records.push((text(call, "leg"), text(call, "path"))),
                state => assert_eq!(state, Some("open"), "{call}"),
            }
        }
        records.sort();
        records
    }

    fn send(&self, way: Way, path: String) -> Sent {
        let port = match way {
            Way::Front => self.front,
            Way::Steady => self.steady,
            Way::Stopped => self.stopped,
        };
        let uri = format!("http://127.0.0.1:{port}{path}");
        let answered = tokio::spawn(async move {
            // A stopped sidecar answers when it goes on.
            Client::new().get(&uri, &[]).await.expect("an answer");
        });
        Sent {
            way,
            path,
            answered,
        }
    }
}

/// Answers with the path, after as many milliseconds as its last part says; streams when they are
/// told to end.
async fn application(
    reached: Arc<Mutex<HashSet<String>>>,
    ended: watch::Sender<HashSet<String>>,
) -> u16 {
    origin::serve(move |request| {
        let path = request.uri().path().to_owned();
        reached.lock().unwrap().insert(path.clone());
        let mut ended = ended.subscribe();
        async move {
            match path.split_once("stream/") {
                Some((prefix, _)) => {
                    let _ = ended.wait_for(|ended| ended.contains(prefix)).await;
                }
                None => {
                    let pause = path.rsplit('/').next().and_then(|it| it.parse().ok());
                    sleep(Duration::from_millis(pause.unwrap_or(0))).await;
                }
            }
            Response::new(Bytes::from(path))
        }
    })
    .await
}

/// Stops and continues a sidecar until it is dropped.
async fn stop_and_go(street: Arc<Street>, sidecar: Running) {
    loop {
        sleep(Duration::from_millis(500 + street.below(2_000))).await;
        sidecar.signal("STOP");
        sleep(Duration::from_millis(200 + street.below(1_300))).await;
        sidecar.signal("CONT");
    }
}

async fn background(street: Arc<Street>) {
    let client = Client::new();
    for number in 0_u64.. {
        let uri = format!("http://127.0.0.1:{}/background/{number}/0", street.front);
        client.get(&uri, &[]).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
}

/// What is known of a round's calls at one moment.
struct Known {
    /// Every record that may be made, and by whom.
    sent: HashSet<(&'static str, Record)>,
    /// Those of calls that have reached the application.
    reached: Vec<(&'static str, Record)>,
    /// Of calls whose answer was here.
    answered: HashSet<Record>,
    /// Who records the streams that run and have reached it.
    streams: Vec<&'static str>,
}

impl Known {
    fn of(street: &Street, calls: &[Sent]) -> Self {
        let mut known = Self {
            sent: HashSet::new(),
            reached: Vec::new(),
            answered: HashSet::new(),
            streams: Vec::new(),
        };
        let reached = street.reached.lock().unwrap();
        for call in calls {
            let answered = call.answered.is_finished();
            for &(workload, leg) in call.way.records() {
                let record = (leg.to_owned(), call.path.clone());
                known.sent.insert((workload, record.clone()));
                if answered {
                    known.answered.insert(record.clone());
                }
                if reached.contains(&call.path) {
                    known.reached.push((workload, record));
                    if !answered && call.path.contains("stream/") {
                        known.streams.push(workload);
                    }
                }
            }
        }
        known
    }
}

/// The names of the sidecars that did not answer.
fn unanswered(told: &Value) -> Vec<&str> {
    let spots = told["blind_spots"].as_array().unwrap().iter();
    let spots = spots.map(|spot| spot.as_str().unwrap());
    let named = spots.filter(|spot| spot.contains("did not answer the flush"));
    named
        .map(|spot| spot.split_whitespace().nth(3).unwrap())
        .collect()
}

/// How many calls were not waited for.
fn not_waited_for(told: &Value) -> usize {
    let spots = told["blind_spots"].as_array().unwrap().iter();
    let mut spots = spots.map(|spot| spot.as_str().unwrap());
    let spot = spots.find(|spot| spot.contains("that had run for over 700 ms"));
    spot.map_or(0, |spot| {
        spot.split_whitespace().next().unwrap().parse().unwrap()
    })
}

/// Waits for a snapshot once, and holds what is told against what is stored; says what was told and
/// what is held.
async fn wait(
    street: &Street,
    id: &str,
    prefix: &str,
    calls: &[Sent],
    mut body: Value,
) -> (Value, Vec<Record>) {
    body["filter"] = json!({"path_prefix": prefix});
    let known = Known::of(street, calls);
    let told = street.ask(Method::POST, &format!("/{id}/wait"), body).await;
    let held = street.held(id, prefix).await;
    let of_leg = |leg: &str| held.iter().filter(|(of, _)| of == leg).count() as u64;
    let number = |field: &str| told[field].as_u64().unwrap();
    let count = |counter: &AtomicU64, is: bool| counter.fetch_add(is.into(), Ordering::Relaxed);

    let distinct: HashSet<&Record> = held.iter().collect();
    assert_eq!(distinct.len(), held.len(), "{held:?}");
    let sent: HashSet<&Record> = known.sent.iter().map(|(_, record)| record).collect();
    assert!(distinct.is_subset(&sent), "{held:?}");
    assert_eq!(number("calls"), number("inbound") + number("outbound"));
    let unanswered = unanswered(&told);
    let heard = number("sidecars_flushed") + unanswered.len() as u64;
    assert_eq!((number("sidecars"), heard), (SIDECARS, SIDECARS), "{told}");

    // Who is not named has handed over all that had reached the application, but for streams.
    let streams = not_waited_for(&told);
    let handed_over = |who: &str| !unanswered.contains(&who);
    let due: Vec<&Record> = known
        .reached
        .iter()
        .filter(|(who, _)| handed_over(who))
        .map(|(_, record)| record)
        .collect();
    let settled = told["settled"] == true;
    match settled {
        true => {
            let legs = (of_leg("inbound"), of_leg("outbound"));
            assert_eq!((number("inbound"), number("outbound")), legs, "{told}");
            assert_eq!(number("in_flight"), 0, "{told}");
            assert_eq!(
                (&told["reason"], &told["sealed"]),
                (&json!("idle"), &json!(true))
            );
            let missing: Vec<_> = due.iter().filter(|it| !distinct.contains(**it)).collect();
            assert!(missing.len() <= streams, "{prefix}: {missing:?} of {told}");
            assert!(
                missing.iter().all(|it| !known.answered.contains(**it)),
                "{prefix}: {missing:?} of {told}"
            );
            let running = known.streams.iter().filter(|who| handed_over(who)).count();
            assert!(streams >= running, "{prefix}: {running} run, {told}");
        }
        false => {
            // More may have come since.
            assert!(number("inbound") <= of_leg("inbound"), "{told}");
            assert!(number("outbound") <= of_leg("outbound"), "{told}");
            let ended = due
                .iter()
                .filter(|it| known.answered.contains(**it))
                .count();
            assert!(number("calls") >= ended as u64, "{ended} ended, {told}");
            assert_eq!(
                (&told["reason"], &told["sealed"]),
                (&json!("timeout"), &json!(false))
            );
        }
    }
    let may_run = known
        .sent
        .iter()
        .filter(|(who, record)| !known.answered.contains(record) || !handed_over(who));
    let unfinished = may_run.count();
    assert!(
        streams + number("in_flight") as usize <= unfinished,
        "{prefix}: {unfinished} may run, {told}"
    );
    count(&street.tally.waits, true);
    count(&street.tally.not_settled, !settled);
    count(&street.tally.with_streams, streams > 0);
    count(&street.tally.with_unanswered, !unanswered.is_empty());
    (told, held)
}

/// Waits until a snapshot has settled; gives what it holds.
async fn settle(street: &Street, id: &str, prefix: &str, calls: &[Sent]) -> Vec<Record> {
    for _ in 0..TRIES {
        let body = json!({"idle_ms": street.below(100), "max_wait_s": 1 + street.below(3)});
        let (told, held) = wait(street, id, prefix, calls, body).await;
        if told["settled"] == true {
            return held;
        }
    }
    panic!("{prefix} did not settle");
}

async fn send_some(street: &Street, prefix: &str, number: u64) -> Vec<Sent> {
    let mut calls = Vec::new();
    if number % 8 == 4 {
        let way = [Way::Front, Way::Steady][street.below(2) as usize];
        calls.push(street.send(way, format!("{prefix}stream/0")));
    }
    for call in 0..1 + street.below(12) {
        let way = match street.below(8) {
            0 => Way::Stopped,
            1..=3 => Way::Steady,
            _ => Way::Front,
        };
        let pause = street.below(150);
        calls.push(street.send(way, format!("{prefix}{call}/{pause}")));
        sleep(Duration::from_millis(street.below(10))).await;
    }
    let first = format!("{prefix}first/{}", street.below(100));
    calls.push(street.send(Way::Front, first.clone()));
    eventually("a call of the round is on its way", || async {
        let reached = street.reached.lock().unwrap();
        reached.contains(&first).then_some(())
    })
    .await;
    calls
}

async fn round(street: &Street, lane: u64, number: u64) {
    let prefix = format!("/round/{lane}/{number}/");
    let id = street.snapshot(&prefix).await;
    let of_all = street.snapshot("all").await;
    let mut calls = send_some(street, &prefix, number).await;
    if number % 8 == 2 {
        let records = calls.iter().map(|call| call.way.records().len());
        let body = json!({"min_calls": records.sum::<usize>() + 1, "max_wait_s": 1});
        let (told, _) = wait(street, &id, &prefix, &calls, body).await;
        assert_eq!(told["settled"], false, "{told}");
    }
    let held = settle(street, &id, &prefix, &calls).await;

    // What comes later, from whichever sidecar, changes nothing.
    street.ended.send_modify(|ended| {
        ended.insert(prefix.clone());
    });
    calls.push(street.send(Way::Steady, format!("{prefix}late/0")));
    for call in &mut calls {
        (&mut call.answered).await.unwrap();
    }
    let all = settle(street, &of_all, &prefix, &calls).await;
    assert!(
        held.iter().all(|it| all.contains(it)),
        "{held:?} of {all:?}"
    );
    assert_eq!(street.held(&id, &prefix).await, held, "{prefix} changed");
    for id in [id, of_all] {
        street
            .ask(Method::DELETE, &format!("/{id}"), json!(null))
            .await;
    }
    street.ended.send_modify(|ended| {
        ended.remove(&prefix);
    });
    let mut reached = street.reached.lock().unwrap();
    reached.retain(|path| !path.starts_with(&prefix) && !path.starts_with("/background"));
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
                round(&street, lane, lane + number).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    eprintln!("{:?}", street.tally);
    assert!(
        !background.is_finished(),
        "the background traffic broke off"
    );
    background.abort();
    stopping.abort();
}
