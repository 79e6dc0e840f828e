//! Everything that somebody can ask of a hub.

use serde_json::json;

use super::cluster::Cluster;
use crate::support::api::encoded;

/// Every answer that one caller gets who asks for everything: each path of the API's own contract, each tool and
/// each resource.
pub(super) async fn answers(cluster: &Cluster, token: &str, id: &str) -> Vec<String> {
    let mut answers = Vec::new();
    let (_, contract) = cluster.get("/openapi.json", Some(token)).await.unwrap();
    let filter = encoded("path.contains(\"-path\")");
    for (path, methods) in contract["paths"].as_object().unwrap() {
        if methods.get("get").is_some() {
            let path = path.replace("{id}", id);
            answers.push(cluster.get(&path, Some(token)).await.unwrap().1.to_string());
        }
    }
    for path in [
        format!("/api/v1/calls?filter={filter}&format=har"),
        format!("/api/v1/calls?filter={filter}&format=ndjson"),
        format!("/api/v1/calls?filter={filter}&format=tsv"),
        "/api/v1/calls?format=tsv&fields=id,request.body,response.body".to_owned(),
        format!("/api/v1/summary?group_by=edge,route&filter={filter}"),
        "/api/v1/compare?base=live:1h&head=live:15m".to_owned(),
        "/metrics".to_owned(),
    ] {
        answers.push(cluster.get(&path, Some(token)).await.unwrap().1.to_string());
    }
    let listed = cluster.mcp(token, "tools/list", json!({})).await;
    let tools = listed
        .split("{\"name\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    for tool in tools {
        let arguments = match tool {
            "check" => json!({"kind": "status"}),
            "compare" => json!({"base": "live:15m", "head": "live:15m", "filter": {"min_ms": 0}}),
            "verify" => json!({"expectations": [
                {"check": "status"}, {"check": "no_call"}, {"check": "latency", "args": {"max_ms": 0}},
                {"check": "connections"}, {"check": "count", "args": {"max": 0}},
            ]}),
            "call_get" => json!({"call_ids": [id]}),
            "call_tree" => json!({"call_id": id}),
            "snapshot_start" => json!({"name": "mine", "since": "-5m"}),
            "snapshot_wait" | "snapshot_delete" => json!({"snapshot": "live:15m"}),
            "fault_start" => json!({"workload": "anybody", "effect": {"reset": true}}),
            "fault_stop" => json!({"id": "f-00000000"}),
            "recorder_status" | "snapshot_list" | "fault_list" => json!({}),
            _ => json!({"snapshot": "live:15m"}),
        };
        let call = json!({"name": tool, "arguments": arguments});
        answers.push(cluster.mcp(token, "tools/call", call).await);
    }
    for (list, field) in [
        ("resources/list", "uri"),
        ("resources/templates/list", "uriTemplate"),
    ] {
        let listed = cluster.mcp(token, list, json!({})).await;
        let field = format!("\"{field}\":\"");
        let uris = listed
            .split(&field)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap());
        for uri in uris {
            let read = json!({"uri": uri.replace("{id}", id)});
            answers.push(cluster.mcp(token, "resources/read", read).await);
        }
    }
    let complete = json!({"ref": {"type": "ref/resource", "uri": "remora://snapshots/{id}"},
        "argument": {"name": "id", "value": ""}});
    answers.push(cluster.mcp(token, "completion/complete", complete).await);
    answers
}
