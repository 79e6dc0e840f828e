//! Asking the hub as an assistant does: over MCP.

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

use super::api::Client;
use super::eventually;

/// An assistant at the hub whose API is here.
pub struct Assistant {
    client: Client,
    api: String,
}

/// What a tool answered, in both forms.
#[derive(Debug)]
pub struct Answer {
    pub structured: Value,
    pub text: String,
}

impl Assistant {
    pub fn new(api: String) -> Self {
        Self {
            client: Client::new(),
            api,
        }
    }

    /// Waits until the hub answers.
    pub async fn answers(&self) {
        eventually("the hub answers", || self.client.status(&self.api)).await;
    }

    /// Calls a tool, which has to go well.
    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        });
        let request = Request::post(format!("{}/mcp", self.api))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(Full::from(message.to_string()))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let body = std::str::from_utf8(answer.body()).unwrap();
        // A tool that tells its progress answers with a stream of events, of which the last is the result.
        let last = body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .next_back();
        let answer: Value = serde_json::from_str(last.unwrap_or(body)).unwrap();
        let result = &answer["result"];
        assert_ne!(result["isError"], true, "{tool}: {answer}");
        Answer {
            structured: result["structuredContent"].clone(),
            text: result["content"][0]["text"].as_str().unwrap().to_owned(),
        }
    }
}
