use serde_json::{Value, json};

use crate::hub::TestHub;

#[tokio::test]
async fn the_contract_is_as_reviewed() {
    let hub = TestHub::start().await;
    insta::assert_json_snapshot!(hub.get("/openapi.json").await.json());
}

/// A schema of the contract as a document of its own.
fn schema(contract: &Value, name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}"), "components": contract["components"]})
}

#[tokio::test]
async fn answers_are_as_the_contract_says() {
    let hub = TestHub::with_shop().await;
    let contract = hub.get("/openapi.json").await.json();
    for (path, name) in [
        ("/api/v1/status", "Status"),
        ("/api/v1/calls", "CallsAnswer"),
        ("/api/v1/calls?since=1s", "CallsAnswer"),
        (
            "/api/v1/calls?fields=id,src.workload,request.size,phases_ns.closed",
            "CallsAnswer",
        ),
        ("/api/v1/calls/c1-13", "CallAnswer"),
        ("/api/v1/calls/c2-13", "CallAnswer"),
        ("/api/v1/summary", "SummaryAnswer"),
        ("/api/v1/summary?group_by=status", "SummaryAnswer"),
        ("/api/v1/map", "MapAnswer"),
        ("/api/v1/map?since=1s", "MapAnswer"),
        ("/api/v1/calls?limit=0", "ErrorBody"),
        ("/nowhere", "ErrorBody"),
    ] {
        let answer = hub.get(path).await.json();
        let validator = jsonschema::validator_for(&schema(&contract, name)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&answer)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
    }
}

#[tokio::test]
async fn every_path_of_the_contract_is_served() {
    let hub = TestHub::with_shop().await;
    let contract = hub.get("/openapi.json").await.json();
    let snapshot = hub.make_snapshot().await;
    for (path, methods) in contract["paths"].as_object().unwrap() {
        let id = match path.starts_with("/api/v1/snapshots") {
            true => snapshot.as_str(),
            false => "c1-0",
        };
        let needed = match path.as_str() {
            "/api/v1/compare" => "?base=live:1h&head=live:15m",
            _ => "",
        };
        let answer = hub.get(&(path.replace("{id}", id) + needed)).await;
        let expected = match methods.get("get") {
            Some(_) => 200,
            None => 405,
        };
        assert_eq!(answer.status, expected, "{path}");
    }
}
