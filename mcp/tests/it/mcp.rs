//! MCP over the wire, as a client sends it.

mod arguments;
mod attacks;
mod budget;
mod cancel;
mod faults;
mod offers;
mod protocol;
mod results;
mod snapshots;
mod transcripts;
mod untrusted;
mod verdicts;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::http::{Answer, send};
use crate::hub::TestHub;

/// The protocol that has no sessions.
pub(crate) const CURRENT: &str = "2026-07-28";

/// Sends one message of the current protocol.
pub(crate) async fn rpc(hub: &TestHub, method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": CURRENT,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });
    let name = params["name"].as_str().or(params["uri"].as_str());
    let name = name.map(str::to_owned);
    let mut headers = vec![("mcp-protocol-version", CURRENT), ("mcp-method", method)];
    if let Some(name) = &name {
        headers.push(("mcp-name", name));
    }
    let answer = post(
        hub,
        &headers,
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
    )
    .await;
    answer.json()
}

/// Sends one message of the protocol before, in which a request says little of itself.
pub(crate) async fn legacy(hub: &TestHub, method: &str, params: Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    post(hub, &[("mcp-protocol-version", "2025-11-25")], message)
        .await
        .json()
}

pub(crate) async fn post(hub: &TestHub, headers: &[(&str, &str)], message: Value) -> Answer {
    let mut all = vec![
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    all.extend_from_slice(headers);
    send(
        hub.api_address(),
        Method::POST,
        "/mcp",
        &all,
        Bytes::from(message.to_string()),
    )
    .await
}

/// Calls a tool. A structured result is checked against the tool's own schema, and must say the same
/// as the text; a result without one must have no schema.
pub(crate) async fn call(hub: &TestHub, tool: &str, arguments: Value) -> Value {
    let answer = rpc(
        hub,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
    .await;
    let result = answer["result"].clone();
    assert!(result.is_object(), "{answer}");
    let tools = rpc(hub, "tools/list", json!({})).await["result"]["tools"].clone();
    let listed = tools
        .as_array()
        .unwrap()
        .iter()
        .find(|listed| listed["name"] == tool)
        .unwrap();
    if result["isError"] == json!(true) {
        assert!(
            result["structuredContent"].is_null(),
            "an error is text alone: {result}"
        );
    } else {
        match (&listed["outputSchema"], &result["structuredContent"]) {
            (Value::Null, structured) => assert!(structured.is_null(), "{result}"),
            (schema, structured) => {
                let validator = jsonschema::validator_for(schema).unwrap();
                let errors: Vec<String> = validator
                    .iter_errors(structured)
                    .map(|error| error.to_string())
                    .collect();
                assert!(errors.is_empty(), "{errors:?} in {structured}");
            }
        }
    }
    result
}

/// The text of a result, and whether it is an error.
pub(crate) async fn text(hub: &TestHub, tool: &str, arguments: Value) -> (String, bool) {
    let result = call(hub, tool, arguments).await;
    let text = result["content"][0]["text"].as_str().unwrap().to_owned();
    (text, result["isError"] == json!(true))
}

/// Text without what is different in every run: times, boundaries, keys, cursors, ids of snapshots.
pub(crate) fn timeless(text: &str) -> String {
    let patterns = [
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]"),
        (r"(?m)^\d{4}-\d\d-\d\d UTC", "[day] UTC"),
        (r"\b\d\d:\d\d:\d\d\.\d{3}\b", "[clock]"),
        (r"--- [0-9a-f]{12} (recorded|end)", "--- [boundary] $1"),
        (r"k-[0-9a-f]{8}", "[key]"),
        (r"cursor=\S+", "cursor=[cursor]"),
        (r"snp_[a-z2-7]{16}", "[snapshot]"),
    ];
    patterns
        .iter()
        .fold(text.to_owned(), |text, (pattern, with)| {
            regex_lite::Regex::new(pattern)
                .unwrap()
                .replace_all(&text, *with)
                .into_owned()
        })
}
