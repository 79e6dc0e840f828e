//! Who may have calls fail on purpose, and that it is written down who did.

use serde_json::{Value, json};

use super::cluster::{Cluster, bind};

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_made_by_those_who_may_and_are_in_the_audit() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let server = &cluster.server;
    server.ask(["-n", "shop", "create", "serviceaccount", "maker"]);
    bind(server, "remora-fault-maker", "shop:maker", Some("shop"));
    let maker = server.hub_token("shop", "maker", &[]);
    let reader = cluster.reader("shop");
    let fault = |workload: &str| json!({"workload": workload, "leg": "inbound", "effect": {"status": 503}, "for": "1m"});
    let faults = "/api/v1/faults";

    // Whoever sees the calls of a namespace may not yet disturb them.
    let (status, refused) = cluster
        .send("POST", faults, &reader, fault("shop-pod"))
        .await;
    assert_eq!(status, 403, "{refused}");
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("remora-fault-maker"), "{hint}");
    // Of a namespace that somebody does not see, nothing is known.
    let (status, hidden) = cluster
        .send("POST", faults, &maker, fault("bank-pod"))
        .await;
    assert_eq!(status, 404, "{hidden}");

    let (status, begun) = cluster
        .send("POST", faults, &maker, fault("shop-pod"))
        .await;
    assert_eq!((status, &begun["sidecars"]), (201, &json!(1)), "{begun}");
    let one = format!("{faults}/{}", begun["id"].as_str().unwrap());
    for (token, known) in [(&maker, 1), (&reader, 1), (&cluster.reader("bank"), 0)] {
        let (_, list) = cluster.get(faults, Some(token)).await.unwrap();
        assert_eq!(list["faults"].as_array().unwrap().len(), known, "{list}");
    }
    assert_eq!(
        cluster.send("DELETE", &one, &reader, Value::Null).await.0,
        403
    );
    let other = cluster.reader("bank");
    assert_eq!(
        cluster.send("DELETE", &one, &other, Value::Null).await.0,
        404
    );
    let (status, stopped) = cluster.send("DELETE", &one, &maker, Value::Null).await;
    assert_eq!(
        (status, &stopped["unanswered"]),
        (200, &json!(0)),
        "{stopped}"
    );

    let told: Vec<(String, String)> = cluster
        .audit()
        .iter()
        .filter(|line| line["fault.id"] == begun["id"])
        .map(|line| (text(&line["user"]), text(&line["message"])))
        .collect();
    let who = "system:serviceaccount:shop:maker".to_owned();
    let expected = ["fault begun", "fault stopped"].map(|what| (who.clone(), what.to_owned()));
    assert_eq!(told, expected);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
