//! Bodies are a right of their own.

use serde_json::{Value, json};

use super::cluster::{Cluster, HEADS, WHOLE, bind};
use super::sweep::answers;
use crate::support::api::encoded;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_shown_to_nobody_who_may_get_calls_alone() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let id = cluster.call_of("shop").await;
    let planted = async |token: &str| {
        let answers = answers(&cluster, token, &id).await;
        let with = |part: &str| {
            answers
                .iter()
                .filter(|answer| answer.contains(part))
                .count()
        };
        (with("planted-"), with("not_permitted"), with("shop-"))
    };
    let (bodies, withheld, _) = planted(&cluster.reader("shop")).await;
    assert!(
        bodies >= 6 && withheld == 0,
        "{bodies} show bodies, {withheld} withhold them"
    );
    let heads = cluster.server.hub_token("shop", "heads", &[]);
    let (bodies, withheld, named) = planted(&heads).await;
    assert_eq!(bodies, 0);
    assert!(
        withheld >= 6 && named >= 10,
        "{withheld} say so, {named} name the shop"
    );

    let (_, call) = cluster
        .get(&format!("/api/v1/calls/{id}"), Some(&heads))
        .await
        .unwrap();
    for message in ["request", "response"] {
        let shown = |field: &str| call[message][field].clone();
        assert_eq!(shown("body"), Value::Null, "{call}");
        assert_eq!(shown("omitted"), "not_permitted", "{call}");
        assert!(shown("size").as_u64() > Some(20), "{call}");
    }

    // Two requests that are alike but for their bodies may look like one that was sent again.
    let (_, found) = cluster.get("/api/v1/findings", Some(&heads)).await.unwrap();
    let spots = found["blind_spots"].to_string();
    assert!(
        spots.contains("1 requests have bodies that are withheld"),
        "{found}"
    );

    // Whether a body holds something is not told either.
    for filter in [
        "response.body.contains('planted')",
        "!response.body.contains('planted')",
    ] {
        let path = format!("/api/v1/calls?filter={}", encoded(filter));
        let (_, seen) = cluster.get(&path, Some(&heads)).await.unwrap();
        let told = (seen["calls"].as_array().map(Vec::len), &seen["undecided"]);
        assert_eq!(told, (Some(0), &json!(1)), "{filter}: {seen}");
        let settled = cluster.wait_for(filter, &heads).await;
        assert_eq!(settled["inbound"], 0, "{settled}");
        let spots = settled["blind_spots"].to_string();
        assert!(spots.contains("1 calls might match"), "{settled}");
    }
    let settled = cluster
        .wait_for("response.body.contains('planted')", &cluster.reader("shop"))
        .await;
    assert_eq!(settled["inbound"], 1, "{settled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_bodies_are_shown_is_asked_by_namespace() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    // All calls, and the bodies of one namespace.
    cluster
        .server
        .ask(["-n", "remora", "create", "serviceaccount", "mixed"]);
    bind(&cluster.server, HEADS, "remora:mixed", None);
    bind(&cluster.server, WHOLE, "remora:mixed", Some("bank"));
    let mixed = cluster.server.hub_token("remora", "mixed", &[]);
    let (_, seen) = cluster
        .get("/api/v1/calls?format=har", Some(&mixed))
        .await
        .unwrap();
    let text = seen.to_string();
    assert!(
        text.contains("planted-answer-of-bank") && text.contains("planted-question-of-bank"),
        "{text}"
    );
    assert!(
        text.contains("/shop-path") && !text.contains("-of-shop"),
        "{text}"
    );
}
