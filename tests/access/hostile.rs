//! Sidecars that lie: over TLS, with the tokens of two pods of a real API server.

use remora_store::block::Origin;
use remora_store::testing::call;
use serde_json::{Value, json};

use super::cluster::{Cluster, now_ns};
use crate::support::api::encoded;

/// What the sidecar of the bank's pod says of itself, and any other may say.
fn of_the_bank(cluster: &Cluster) -> Origin {
    let pod = ["-n", "bank", "get", "pod", "bank-pod", "-o"];
    let uid = pod.iter().chain(&["jsonpath={.metadata.uid}"]);
    Origin {
        incarnation: 7,
        workload: "bank-pod".to_owned(),
        namespace: "bank".to_owned(),
        pod: "bank-pod".to_owned(),
        pod_uid: cluster.server.ask(uid),
        revision: "1".to_owned(),
        serves: vec!["10.0.0.1:0".parse().unwrap()],
    }
}

/// The calls of a path that the reader of a namespace sees: whose they are.
async fn owners(cluster: &Cluster, reader: &str, path: &str) -> Vec<Value> {
    let query = format!(
        "/api/v1/calls?filter={}",
        encoded(&format!("path == '{path}'"))
    );
    let (status, seen) = cluster
        .get(&query, Some(&cluster.reader(reader)))
        .await
        .unwrap();
    assert_eq!(status, 200, "{seen}");
    let calls = seen["calls"].as_array().unwrap();
    let owner = |call: &Value| json!([call["dst"]["namespace"], call["dst"]["pod"]]);
    calls.iter().map(owner).collect()
}

/// How many sidecars are there, as the reader of a namespace is told.
async fn sidecars(cluster: &Cluster, reader: &str) -> usize {
    let reader = cluster.reader(reader);
    let (_, status) = cluster.get("/api/v1/status", Some(&reader)).await.unwrap();
    status["coverage"]["sidecars"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_says_it_is_another_writes_as_itself() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let hostile = cluster.sidecar("shop");
    let claimed = of_the_bank(&cluster);
    let lie = [call(now_ns(), "/lie", 200)];
    assert_eq!(hostile.write(&claimed, 1, &lie).await, 200);
    let shop = json!(["shop", "shop-pod"]);
    assert_eq!(owners(&cluster, "shop", "/lie").await, [shop]);
    assert_eq!(owners(&cluster, "bank", "/lie").await, [Value::Null; 0]);
    // The address that it says to serve is not its own, and names nobody: the caller of this call is at it.
    let (_, seen) = cluster
        .get("/api/v1/calls", Some(&cluster.admin))
        .await
        .unwrap();
    let calls = seen["calls"].as_array().unwrap();
    let lie = calls.iter().find(|call| call["path"] == "/lie").unwrap();
    assert_eq!(lie["src"], json!({"ip": "10.0.0.1", "port": 40_000}));

    // Nor is it let in with a token that is bound to no pod, whatever that may see.
    let unbound = cluster.sidecar_with(&cluster.admin);
    assert_eq!(
        unbound
            .write(&claimed, 2, &[call(now_ns(), "/lie", 200)])
            .await,
        403
    );
    assert_eq!(unbound.ask(&claimed, "").await, 403);
    let stranger = cluster.sidecar_with("made-up");
    assert_eq!(stranger.ask(&claimed, "").await, 401);
    assert_eq!(owners(&cluster, "shop", "/lie").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_takes_the_number_of_anothers_run_neither_hides_nor_ends_it() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let (hostile, victim) = (cluster.sidecar("shop"), cluster.sidecar("bank"));
    let claimed = of_the_bank(&cluster);
    // The hostile one comes first, with the number and the sequence of what is about to come.
    for (sidecar, path) in [(&hostile, "/taken"), (&victim, "/own"), (&victim, "/own")] {
        let calls = [call(now_ns(), path, 200)];
        assert_eq!(sidecar.write(&claimed, 1, &calls).await, 200);
    }
    assert_eq!(
        owners(&cluster, "bank", "/own").await,
        [json!(["bank", "bank-pod"])]
    );
    assert_eq!(
        owners(&cluster, "shop", "/taken").await,
        [json!(["shop", "shop-pod"])]
    );
    assert_eq!(owners(&cluster, "bank", "/taken").await, [Value::Null; 0]);
    assert_eq!(owners(&cluster, "shop", "/own").await, [Value::Null; 0]);

    // Each namespace has a true sidecar besides.
    assert_eq!(victim.ask(&claimed, "").await, 200);
    assert_eq!(sidecars(&cluster, "bank").await, 2);
    assert_eq!(hostile.ask(&claimed, "&goodbye=true").await, 200);
    assert_eq!(
        (
            sidecars(&cluster, "bank").await,
            sidecars(&cluster, "shop").await
        ),
        (2, 1)
    );
    assert_eq!(victim.ask(&claimed, "&goodbye=true").await, 200);
    assert_eq!(sidecars(&cluster, "bank").await, 1);
}
