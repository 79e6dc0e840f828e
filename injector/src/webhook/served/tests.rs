#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::convert::Infallible;

use axum::body::Bytes;
use http_body_util::channel::Channel;
use serde_json::{Value, json};

use super::super::tests::{config, request};
use super::*;
use crate::refusals::Refusal;

/// A webhook whose listeners have room for one, and what they hear.
struct Heard {
    router: Router,
    metrics: Metrics,
    refusals: Refusals,
    injected: mpsc::Receiver<String>,
    events: mpsc::Receiver<Event>,
}

impl Heard {
    fn new() -> Self {
        let (injecting, injected) = mpsc::channel(1);
        let (telling, events) = mpsc::channel(1);
        let listeners = Listeners {
            injected: injecting,
            events: telling,
        };
        let (metrics, refusals) = (Metrics::default(), Refusals::default());
        Self {
            router: router(config(), metrics.clone(), refusals.clone(), listeners),
            metrics,
            refusals,
            injected,
            events,
        }
    }

    /// Asks about a pod of a ReplicaSet; gives the warnings.
    async fn ask(&mut self, spec: &Value, dry_run: bool) -> String {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "8",
            "controller": true});
        let mut spec = spec.clone();
        spec["serviceAccountName"] = "default".into();
        spec["containers"] = json!([{"name": "web"}]);
        let mut review = request(json!({"metadata": {"ownerReferences": [owner]}, "spec": spec}));
        review["request"]["dryRun"] = dry_run.into();
        let asked = axum::http::Request::post("/inject/namespace/permits")
            .body(Body::from(review.to_string()))
            .unwrap();
        let answer = tower::Service::call(&mut self.router, asked).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["response"]["warnings"].to_string()
    }
}

#[tokio::test]
async fn a_review_that_is_too_large_is_told_so() {
    let room = Semaphore::new(MAX_HELD_KIB);
    let length = |arrived: Result<Arrived<'_>, _>| arrived.map(|review| review.bytes.len());
    let whole = arrived(Body::from(vec![b' '; MAX_REVIEW_BYTES]), &room).await;
    assert_eq!(length(whole), Ok(MAX_REVIEW_BYTES));
    let larger = arrived(Body::from(vec![b' '; MAX_REVIEW_BYTES + 1]), &room).await;
    assert_eq!(length(larger), Err(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(room.available_permits(), MAX_HELD_KIB);
}

#[tokio::test]
async fn reviews_take_as_much_room_as_has_come_of_them() {
    let room = Semaphore::new(8);
    let five = || Body::from(vec![b' '; 4 * 1024 + 1]);
    let held = arrived(five(), &room).await.unwrap();
    assert_eq!(room.available_permits(), 3);
    let second = arrived(five(), &room).await;
    assert_eq!(second.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    drop(held);
    assert!(arrived(five(), &room).await.is_ok());
}

#[tokio::test]
async fn requests_that_send_nothing_keep_no_pod_from_its_sidecar() {
    let mut heard = Heard::new();
    let mut silent = Vec::new();
    for _ in 0..2 * MAX_HELD_KIB * 1024 / MAX_REVIEW_BYTES {
        let (sender, body) = Channel::<Bytes, Infallible>::new(1);
        let asked = axum::http::Request::post("/inject/namespace/permits")
            .body(Body::new(body))
            .unwrap();
        tokio::spawn(tower::Service::call(&mut heard.router, asked));
        silent.push(sender);
    }
    // They run until they wait for what does not come.
    tokio::task::yield_now().await;
    assert_eq!(heard.ask(&json!({}), false).await, "null");
}

#[tokio::test]
async fn the_namespace_of_a_pod_is_told_without_waiting_and_not_of_one_that_is_tried() {
    let mut heard = Heard::new();
    heard.ask(&json!({}), true).await;
    assert!(heard.injected.try_recv().is_err());
    // The second is told of to nobody, since one waits already.
    heard.ask(&json!({}), false).await;
    heard.ask(&json!({}), false).await;
    assert_eq!(heard.injected.try_recv().as_deref(), Ok("shop"));
    assert!(heard.injected.try_recv().is_err());
}

#[tokio::test]
async fn somebody_hears_of_a_pod_that_needs_them_unless_it_is_tried_and_no_pod_waits_for_that() {
    let mut heard = Heard::new();
    let spec = json!({"hostNetwork": true});
    heard.ask(&spec, true).await;
    assert!(heard.events.try_recv().is_err());
    heard.ask(&spec, false).await;
    heard.ask(&spec, false).await;
    let event = heard.events.try_recv().unwrap();
    assert_eq!(
        (event.reason, event.action),
        ("SidecarSkipped", "host_network")
    );
    assert_eq!((&*event.maker.kind, &*event.maker.uid), ("ReplicaSet", "8"));
    assert!(heard.events.try_recv().is_err());
    // There was no room for the other.
    let page = heard.metrics.page();
    let dropped = r#"remora_injector_events_total{outcome="dropped"} 1"#;
    assert!(page.contains(dropped), "{page}");
}

#[tokio::test]
async fn pods_of_a_workload_that_was_refused_with_a_sidecar_start_without_one() {
    let mut heard = Heard::new();
    let refusal = Refusal {
        namespace: "shop".to_owned(),
        maker_uid: "8".to_owned(),
        message: "Error creating: pods \"web-1-x\" is forbidden: no".to_owned(),
    };
    // A pod that was only tried is none that could have been refused.
    heard.ask(&json!({}), true).await;
    assert_eq!(heard.refusals.hear(&refusal, Instant::now()), None);
    assert_eq!(heard.ask(&json!({}), false).await, "null");
    assert!(heard.refusals.hear(&refusal, Instant::now()).is_some());
    let warnings = heard.ask(&json!({}), false).await;
    assert!(warnings.contains("refused_by_policy"), "{warnings}");
    assert_eq!(heard.events.try_recv().unwrap().action, "refused_by_policy");
}
