//! Two sides compared over HTTP.

use std::net::SocketAddr;

use remora_store::block::Origin;
use remora_store::call::{Call, Leg};
use remora_store::testing::call;
use serde_json::Value;
use test_case::test_case;

use crate::hub::TestHub;
use crate::shop::{BEGAN_NS, ORDERS, block, origin};

const MS: i64 = 1_000_000;

/// What the sidecar of `orders` saw: as many requests, of which every `fails`th failed.
fn calls(n: i64, fails: i64, path: &str) -> Vec<Call> {
    let one = |it: i64| {
        let status = if fails > 0 && it % fails == 0 {
            503
        } else {
            200
        };
        call(*BEGAN_NS + it * 10 * MS, path, status)
    };
    (0..n).map(one).collect()
}

fn revision(revision: &str, incarnation: u128) -> Origin {
    Origin {
        revision: revision.to_owned(),
        ..origin("orders", incarnation)
    }
}

/// A hub that saw an older revision, which does well, and a newer one.
async fn two_revisions() -> TestHub {
    let hub = TestHub::start().await;
    let older = block(revision("v1", 0xa1), 1, &calls(100, 0, "/pay"));
    let mut newer = calls(100, 3, "/pay");
    newer.extend(calls(5, 0, "/refund"));
    let newer = block(revision("v2", 0xa2), 1, &newer);
    assert_eq!(hub.ingest(&[older, newer]).await.status, 200);
    hub
}

#[tokio::test]
async fn a_newer_revision_that_fails_more_is_told_with_calls_of_both() {
    let hub = two_revisions().await;
    let answer = hub
        .get("/api/v1/compare?base=orders@v1&head=orders@v2")
        .await
        .json();
    assert_eq!(
        (&answer["base_calls"], &answer["head_calls"]),
        (&100.into(), &105.into()),
        "{answer}"
    );
    let differences: Vec<Value> = answer["differences"].as_array().unwrap().clone();
    let changes: Vec<_> = differences
        .iter()
        .map(|it| it["change"].as_str().unwrap())
        .collect();
    assert_eq!(changes, ["more_errors", "new"], "{answer}");
    assert_eq!(differences[0]["base"], "0 of 100 calls failed (0 %)");
    assert_eq!(differences[0]["head"], "34 of 100 calls failed (34 %)");
    let evidence: Vec<_> = differences[0]["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let of = |block: &str| {
        evidence
            .iter()
            .filter(|id| id.as_str().unwrap().starts_with(block))
            .count()
    };
    assert_eq!((of("c1-"), of("c2-")), (2, 2), "{evidence:?}");
}

#[tokio::test]
async fn a_revision_is_judged_by_what_its_own_sidecars_saw() {
    let hub = TestHub::start().await;
    let serving = |revision_name, incarnation| Origin {
        serves: vec![SocketAddr::from(ORDERS)],
        ..revision(revision_name, incarnation)
    };
    let older = block(serving("v1", 0xa1), 1, &calls(10, 0, "/pay"));
    let newer = block(serving("v2", 0xa2), 1, &calls(20, 0, "/pay"));
    let asked = calls(40, 0, "/stock").into_iter().map(|call| Call {
        leg: Leg::Outbound,
        ..call
    });
    let web = Origin {
        revision: "v1".to_owned(),
        ..origin("web", 0xb1)
    };
    let web = block(web, 1, &asked.collect::<Vec<_>>());
    assert_eq!(hub.ingest(&[older, newer, web]).await.status, 200);
    let path = "/api/v1/compare?base=orders@v1&head=orders@v2";
    let answer = hub.get(path).await.json();
    assert_eq!(
        (&answer["base_calls"], &answer["head_calls"]),
        (&10.into(), &20.into()),
        "{answer}"
    );
}

#[test_case("orders@v9", Some("did you mean orders@v1?"); "no such revision")]
#[test_case("ordrs@v1", Some("did you mean orders@v1?"); "no such workload")]
#[test_case("payments@7f9c", None; "nothing like it")]
#[tokio::test]
async fn a_revision_that_nobody_recorded_is_refused_with_the_nearest(
    base: &str,
    hint: Option<&str>,
) {
    let hub = two_revisions().await;
    let path = format!("/api/v1/compare?base={base}&head=orders@v2");
    let answer = hub.get(&path).await.json();
    assert_eq!(answer["error"]["hint"].as_str(), hint, "{answer}");
    if hint.is_none() {
        let summary = "nothing to compare with: base has no calls";
        assert_eq!(answer["summary"], summary, "{answer}");
    }
}

#[tokio::test]
async fn the_same_side_twice_has_no_difference() {
    let hub = two_revisions().await;
    let answer = hub
        .get("/api/v1/compare?base=live:15m&head=live:15m")
        .await
        .json();
    assert_eq!(answer["differences"], serde_json::json!([]), "{answer}");
    assert!(
        answer["summary"]
            .as_str()
            .unwrap()
            .starts_with("no difference in"),
        "{answer}"
    );
}

#[test_case("head=live:15m", "base")]
#[test_case("base=live:15m", "head")]
#[test_case("base=yesterday&head=live:15m", "base")]
#[test_case("base=live:15m&head=snp_aaaaaaaaaaaaaaaa", "head")]
#[test_case("base=@v1&head=live:15m", "base")]
#[test_case("base=orders@v1&head=orders@v2&snapshot=never", "snapshot")]
#[test_case("base=live:15m&head=live:15m&filter=statsu==1", "filter")]
#[tokio::test]
async fn a_side_that_is_none_is_named(query: &str, field: &str) {
    let hub = TestHub::start().await;
    let answer = hub.get(&format!("/api/v1/compare?{query}")).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    assert_eq!(answer.json()["error"]["field"], field, "{}", answer.text());
}
