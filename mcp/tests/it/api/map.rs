use std::net::SocketAddr;

use remora_store::block::Origin;
use serde_json::Value;

use crate::api::calls::timeless;
use crate::hub::TestHub;
use crate::shop::{self, block, origin};

fn ids(answer: &Value) -> Vec<&str> {
    let nodes = answer["nodes"].as_array().unwrap();
    nodes
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_shop_is_drawn_with_both_legs_apart() {
    let hub = TestHub::with_shop().await;
    let mut answer = timeless(hub.get("/api/v1/map").await.json());
    answer.as_object_mut().unwrap().remove("coverage").unwrap();
    insta::assert_json_snapshot!(answer);
}

#[tokio::test]
async fn edges_hold_every_call_once_per_leg_and_their_ends_are_nodes() {
    let hub = TestHub::with_shop().await;
    let answer = hub.get("/api/v1/map?probes=include").await.json();
    let nodes = ids(&answer);
    let edges = answer["edges"].as_array().unwrap();
    let calls: u64 = edges
        .iter()
        .map(|edge| edge["calls"].as_u64().unwrap())
        .sum();
    assert_eq!(calls, 30);
    for edge in edges {
        assert!(nodes.contains(&edge["src"].as_str().unwrap()), "{edge}");
        assert!(nodes.contains(&edge["dst"].as_str().unwrap()), "{edge}");
    }
}

#[tokio::test]
async fn workloads_of_one_name_in_two_namespaces_are_two_nodes() {
    let hub = TestHub::start().await;
    let calls = shop::inbound();
    for (namespace, incarnation) in [("shop", 0xaa), ("staging", 0xcc)] {
        let recorder = Origin {
            namespace: namespace.to_owned(),
            ..origin("orders", incarnation)
        };
        assert_eq!(hub.ingest(&[block(recorder, 1, &calls)]).await.status, 200);
    }
    let answer = hub.get("/api/v1/map").await.json();
    assert_eq!(ids(&answer), ["10.0.0.1", "shop/orders", "staging/orders"]);
    assert_eq!(answer["nodes"][0]["recorded"], false);
    assert_eq!(answer["edges"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_workload_has_every_revision_that_was_recorded() {
    let hub = TestHub::start().await;
    let calls = shop::inbound();
    for (revision, incarnation) in [("v2", 0xaa), ("v1", 0xcc), ("", 0xdd)] {
        let recorder = Origin {
            revision: revision.to_owned(),
            ..origin("orders", incarnation)
        };
        assert_eq!(hub.ingest(&[block(recorder, 1, &calls)]).await.status, 200);
    }
    let answer = hub
        .get("/api/v1/map?filter=leg+%3D%3D+%22inbound%22")
        .await
        .json();
    assert_eq!(
        answer["nodes"][1]["revisions"],
        serde_json::json!(["v1", "v2"])
    );
}

#[tokio::test]
async fn a_workload_without_calls_is_a_node_unless_calls_are_chosen() {
    let hub = TestHub::with_shop().await;
    let lone = Origin {
        serves: vec![SocketAddr::from(([10, 0, 0, 7], 0))],
        ..origin("lone", 0xee)
    };
    assert_eq!(hub.ingest(&[block(lone, 1, &[])]).await.status, 200);
    let answer = hub.get("/api/v1/map").await.json();
    let node = &answer["nodes"][ids(&answer)
        .iter()
        .position(|id| *id == "shop/lone")
        .unwrap()];
    assert_eq!(node["recorded"], true);
    let chosen = hub.get("/api/v1/map?filter=status+%3D%3D+500").await.json();
    assert_eq!(ids(&chosen), ["shop/orders", "shop/web"]);
}

#[tokio::test]
async fn what_the_limit_cuts_off_is_counted_and_has_no_nodes() {
    let hub = TestHub::with_shop().await;
    let all = hub.get("/api/v1/map").await.json()["edges"]
        .as_array()
        .unwrap()
        .len();
    let answer = hub.get("/api/v1/map?limit=1&filter=true").await.json();
    assert_eq!(answer["edges_omitted"], all - 1);
    assert_eq!(ids(&answer), ["shop/orders", "shop/web"]);
}

#[tokio::test]
async fn an_empty_map_says_why() {
    let hub = TestHub::with_shop().await;
    let answer = hub.get("/api/v1/map?since=1s").await.json();
    assert_eq!(answer["empty_because"]["code"], "nothing_in_window");
    let answer = hub.get("/api/v1/map?filter=status+%3D%3D+418").await.json();
    assert_eq!(answer["empty_because"]["code"], "nothing_matches");
    assert_eq!(hub.get("/api/v1/map?limit=1001").await.status, 400);
}
