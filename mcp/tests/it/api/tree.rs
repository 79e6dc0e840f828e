//! What a call caused.

use std::net::SocketAddr;

use remora_store::call::{Call, Digest, Leg};

use super::calls::timeless;
use crate::hub::TestHub;
use crate::shop::{BEGAN_NS, block, origin};
use remora_store::testing::call;

const MS: i64 = 1_000_000;

/// One leg of a call that began and ended so many milliseconds after the first.
fn leg(leg: Leg, ms: std::ops::Range<i64>, client: [u8; 4], path: &str) -> Call {
    let mut call = call(*BEGAN_NS + ms.start * MS, path, 200);
    call.leg = leg;
    call.src = SocketAddr::from((client, 40_000));
    call.connection.forwarded_from = (leg == Leg::Outbound).then_some(call.src);
    let end = call.phases.request_first.unwrap() + ((ms.end - ms.start) * MS) as u64;
    call.phases.response_first = Some(end);
    call.phases.response_last = Some(end);
    call.join_digest = Some(Digest([path.len() as u8; 16]));
    call
}

/// Web is called, and calls orders, which calls somebody who is not recorded.
async fn hub() -> TestHub {
    let hub = TestHub::start().await;
    let web = [
        leg(Leg::Inbound, 0..100, [10, 0, 0, 1], "/shop"),
        leg(Leg::Outbound, 10..60, [10, 0, 0, 2], "/orders"),
    ];
    let orders = [
        leg(Leg::Inbound, 11..59, [10, 0, 0, 2], "/orders"),
        leg(Leg::Outbound, 20..40, [10, 0, 0, 3], "/pay/12"),
    ];
    hub.ingest(&[
        block(origin("web", 1), 1, &web),
        block(origin("orders", 2), 1, &orders),
    ])
    .await;
    hub
}

#[tokio::test]
async fn a_tree_holds_what_a_call_caused() {
    let hub = hub().await;
    insta::assert_json_snapshot!(timeless(hub.get("/api/v1/calls/c1-0/tree").await.json()));
    let answer = hub
        .get("/api/v1/calls/c1-0/tree?depth=2&limit=1")
        .await
        .json();
    assert_eq!(answer["cut"], serde_json::json!(["calls"]), "{answer}");
}

#[tokio::test]
async fn a_call_tells_what_it_belongs_to() {
    let hub = hub().await;
    let of = async |id: &str| {
        let path = format!("/api/v1/calls/{id}?fields=joined,parent");
        let mut answer = hub.get(&path).await.json();
        answer.as_object_mut().unwrap().remove("coverage");
        answer
    };
    insta::assert_json_snapshot!([
        of("c1-0").await,
        of("c1-1").await,
        of("c2-0").await,
        of("c2-1").await
    ]);
}

#[tokio::test]
async fn a_tree_that_is_asked_for_wrongly_is_refused() {
    let hub = hub().await;
    for (path, status, code) in [
        ("/api/v1/calls/c9-0/tree", 404, "no_such_call"),
        ("/api/v1/calls/nine/tree", 400, "bad_call_id"),
        ("/api/v1/calls/c1-0/tree?depth=0", 400, "bad_parameter"),
        ("/api/v1/calls/c1-0/tree?limit=1001", 400, "bad_parameter"),
        ("/api/v1/calls/c1-0/tree?snapshot=old", 400, "bad_snapshot"),
        ("/api/v1/calls/c1-0/tree?depht=3", 400, "unknown_parameter"),
    ] {
        let answer = hub.get(path).await;
        let got = (answer.status.as_u16(), answer.error_code());
        assert_eq!(got, (status, code.to_owned()), "{path}");
    }
}
