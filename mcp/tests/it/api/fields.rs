//! The paths that `fields` takes are those that a call has.

use std::collections::BTreeSet;

use remora_mcp::fields::{Fields, PATHS};
use serde_json::Value;

use crate::hub::TestHub;

/// Every path of an object, one level deep.
fn paths(call: &Value, found: &mut BTreeSet<String>) {
    for (key, value) in call.as_object().unwrap() {
        found.insert(key.clone());
        if let Value::Object(inner) = value {
            found.extend(inner.keys().map(|inner| format!("{key}.{inner}")));
        }
    }
}

#[tokio::test]
async fn every_part_of_a_call_can_be_chosen() {
    let hub = TestHub::with_shop().await;
    let answer = hub.get("/api/v1/calls").await.json();
    let mut found = BTreeSet::new();
    for call in answer["calls"].as_array().unwrap() {
        paths(call, &mut found);
    }
    for path in &found {
        assert!(Fields::parse(Some(path)).is_ok(), "{path} cannot be chosen");
    }
}

#[tokio::test]
async fn what_can_be_chosen_is_in_the_contract() {
    let hub = TestHub::start().await;
    let contract = hub.get("/openapi.json").await.json();
    let schemas = &contract["components"]["schemas"];
    for path in PATHS {
        let mut schema = &schemas["Call"];
        for key in path.split('.') {
            if schema["properties"].is_null() {
                let named = [&schema["$ref"], &schema["oneOf"][0]["$ref"]];
                let reference = named
                    .into_iter()
                    .find_map(Value::as_str)
                    .unwrap_or_else(|| panic!("{path}: {schema}"));
                schema = &schemas[reference.rsplit('/').next().unwrap()];
            }
            schema = &schema["properties"][key];
            assert!(!schema.is_null(), "{path} is not in the contract");
        }
    }
}
