//! The control channel over the wire. The barrier itself is tested beside its code.

use serde_json::Value;

use crate::http::get;
use crate::hub::{INCARNATION, TestHub};
use remora_mcp::{Keep, Options};
use std::time::Duration;

pub(crate) async fn ask(hub: &TestHub, query: &str) -> Value {
    let answer = get(hub.ingest_address(), &format!("/ingest/v1/control?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Has a sidecar of the shop say that it has shipped everything.
pub(crate) async fn goodbye(hub: &TestHub, workload: &str, incarnation: u128) {
    let named = format!("incarnation={incarnation:032x}&workload={workload}&namespace=shop");
    ask(hub, &format!("{named}&epoch=0&sequence=1&goodbye=true")).await;
}

fn question(epoch: u64) -> String {
    format!(
        "incarnation={INCARNATION}&workload=orders&namespace=shop&pod=&epoch={epoch}&sequence=1"
    )
}

#[tokio::test]
async fn the_first_answer_has_the_key_and_an_epoch() {
    let hub = TestHub::start().await;
    let answer = ask(&hub, &question(0)).await;
    assert!(answer["epoch"].as_u64().unwrap() > 0);
    assert!(
        answer["redaction_key"]["id"]
            .as_str()
            .unwrap()
            .starts_with("k-")
    );
    assert_eq!(answer["redaction_key"]["key"].as_str().unwrap().len(), 64);
    assert!(answer["hub"].is_string());
}

#[tokio::test]
async fn a_flush_reaches_a_sidecar_that_waits_and_ends_with_its_answer() {
    let hub = TestHub::start().await;
    let epoch = ask(&hub, &question(0)).await["epoch"].as_u64().unwrap();
    let sidecar = async {
        let told = ask(&hub, &question(epoch)).await["epoch"].as_u64().unwrap();
        assert!(told > epoch);
        // The answer to the flush is the next question; it waits until the hub stops.
        let _ = tokio::time::timeout(
            Duration::from_secs(5),
            get(
                hub.ingest_address(),
                &format!("/ingest/v1/control?{}", question(told)),
            ),
        )
        .await;
    };
    let flushed = tokio::select! {
        flushed = hub.flush(Duration::from_secs(30)) => flushed,
        () = sidecar => panic!("the sidecar was not waited for"),
    };
    assert_eq!(flushed.unanswered, []);
    assert_eq!(flushed.answered[0].workload, "orders");
}

#[tokio::test]
async fn the_key_outlives_the_hub() {
    let directory = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let hub = TestHub::start_with(Options::on_any_port(Keep::Disk(
            directory.path().to_owned(),
        )))
        .await;
        keys.push(ask(&hub, &question(0)).await["redaction_key"].clone());
        hub.stop().await;
    }
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_restarted_hub_gives_out_later_epochs() {
    let mut epochs = Vec::new();
    for _ in 0..2 {
        let hub = TestHub::start().await;
        hub.flush(Duration::ZERO).await;
        epochs.push(ask(&hub, &question(0)).await["epoch"].as_u64().unwrap());
        hub.stop().await;
    }
    assert!(epochs[1] >= epochs[0], "{epochs:?}");
}

#[tokio::test]
async fn odd_questions_are_refused_with_the_field() {
    let hub = TestHub::start().await;
    let long = "w".repeat(300);
    for (query, field) in [
        ("", "incarnation"),
        ("incarnation=12", "incarnation"),
        (
            "incarnation=zz0000000000000000000000000000aa",
            "incarnation",
        ),
        (&format!("incarnation={INCARNATION}&epoch=-1"), "epoch"),
        (
            &format!("incarnation={INCARNATION}&epoch=18446744073709551615"),
            "epoch",
        ),
        (&format!("incarnation={INCARNATION}&sequence=x"), "sequence"),
        (
            &format!("incarnation={INCARNATION}&workload={long}"),
            "workload",
        ),
        (&format!("incarnation={INCARNATION}&pod=a%0Ab"), "pod"),
        (&format!("incarnation={INCARNATION}&port=1"), "port"),
    ] {
        let answer = get(hub.ingest_address(), &format!("/ingest/v1/control?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.json()["error"]["field"], field, "{query}");
    }
}

#[tokio::test]
async fn a_sidecar_that_makes_up_an_epoch_does_not_lock_the_others_out() {
    let hub = TestHub::start().await;
    let liar = "incarnation=000000000000000000000000000000bb&epoch=4611686018427387904";
    ask(&hub, liar).await;
    hub.flush(Duration::ZERO).await;
    let epoch = ask(&hub, &question(0)).await["epoch"].as_u64().unwrap();
    let answer = get(
        hub.ingest_address(),
        &format!("/ingest/v1/control?incarnation=000000000000000000000000000000cc&epoch={epoch}"),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
