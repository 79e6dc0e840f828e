//! How a sidecar ends: one that is told to, and ships everything, is missed by nobody; one that is
//! killed is.

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, start_sidecar};
use crate::support::{eventually, origin};

struct Place {
    place: HubPlace,
    _hub: Running,
    client: Client,
    sidecar: Running,
    snapshot: String,
}

impl Place {
    /// A hub, a snapshot, and a sidecar through which three calls went.
    async fn start() -> Self {
        let place = HubPlace::new();
        let hub = place.start();
        let upstream = origin::start().await;
        let client = Client::new();
        let (sidecar, port) = start_sidecar(&place, upstream, &["--pod", "tested-1"]);
        eventually("the sidecar is connected", || async {
            let status = client.status(&place.api()).await?;
            (status["coverage"]["sidecars"].as_array()?.len() == 1).then_some(())
        })
        .await;
        let mut place = Self {
            place,
            _hub: hub,
            client,
            sidecar,
            snapshot: String::new(),
        };
        let made = place.post("", json!({})).await;
        place.snapshot = made["id"].as_str().unwrap().to_owned();
        // Its connections are closed with it, so that the sidecar has none to wait for.
        let caller = Client::new();
        for number in 0..3 {
            let uri = format!("http://127.0.0.1:{port}/call/{number}");
            caller.get(&uri, &[]).await.unwrap();
        }
        eventually("the calls are stored", || async {
            let calls = place.client.calls(&place.place.api()).await?;
            (calls.len() == 3).then_some(())
        })
        .await;
        place
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let uri = format!("{}/api/v1/snapshots{path}", self.place.api());
        let request = Request::post(uri).body(Full::from(body.to_string()));
        let answer = self.client.send(request.unwrap()).await.unwrap();
        serde_json::from_slice(answer.body()).unwrap()
    }

    async fn wait(&self) -> Value {
        let body = json!({"idle_ms": 0, "min_calls": 0});
        self.post(&format!("/{}/wait", self.snapshot), body).await
    }

    async fn coverage(&self) -> Value {
        let status = self.client.status(&self.place.api()).await;
        status.unwrap()["coverage"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_told_to_end_is_missed_by_nobody() {
    let place = Place::start().await;
    assert_eq!(place.coverage().await["sidecars"][0]["state"], "live");
    place.sidecar.signal("TERM");
    eventually("the sidecar is gone", || async {
        let coverage = place.coverage().await;
        (coverage["sidecars"] == json!([])).then_some(())
    })
    .await;
    let coverage = place.coverage().await;
    assert_eq!(
        (&coverage["silent"], &coverage["past_sidecars"]),
        (&json!(0), &json!(1)),
        "{coverage}"
    );
    let told = place.wait().await;
    assert_eq!(
        (&told["settled"], &told["calls"], &told["blind_spots"]),
        (&json!(true), &json!(3), &json!([])),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_killed_is_a_blind_spot() {
    let place = Place::start().await;
    place.sidecar.signal("KILL");
    let told = place.wait().await;
    let spots = told["blind_spots"].to_string();
    assert!(
        spots.contains("the sidecar of tested (tested-1) in local did not answer the flush"),
        "{told}"
    );
    let coverage = place.coverage().await;
    assert_eq!(
        coverage["sidecars"].as_array().unwrap().len(),
        1,
        "{coverage}"
    );
}
