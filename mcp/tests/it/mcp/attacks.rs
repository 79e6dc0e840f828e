//! Requests that no well-behaved client sends are refused with the code that says why, in both
//! protocols.

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use test_case::test_case;

use super::CURRENT;
use crate::http::{Answer, send};
use crate::hub::TestHub;

/// A request that is well made, to be spoilt in one place.
struct Attempt {
    method: Method,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Attempt {
    fn of(current: bool, method: &str, mut params: Value) -> Self {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        if current {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": CURRENT,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            headers.push(("mcp-protocol-version", CURRENT.to_owned()));
            headers.push(("mcp-method", method.to_owned()));
        } else {
            headers.push(("mcp-protocol-version", "2025-11-25".to_owned()));
        }
        let body = json!({"jsonrpc": "2.0", "id": "x", "method": method, "params": params});
        Self {
            method: Method::POST,
            headers,
            body: body.to_string(),
        }
    }

    fn list(current: bool) -> Self {
        Self::of(current, "tools/list", json!({}))
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn with(self, name: &'static str, value: &str) -> Self {
        let mut spoilt = self.without(name);
        spoilt.headers.push((name, value.to_owned()));
        spoilt
    }

    fn saying(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    async fn send(self, hub: &TestHub) -> Answer {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        send(
            hub.api_address(),
            self.method,
            "/mcp",
            &headers,
            Bytes::from(self.body),
        )
        .await
    }
}

#[test_case(true; "of the current protocol")]
#[test_case(false; "of the one before")]
#[tokio::test]
async fn requests(current: bool) {
    let hub = TestHub::start().await;
    let list = || Attempt::list(current);
    assert_eq!(
        list().send(&hub).await.status,
        200,
        "the request that is spoilt below is a good one"
    );
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{}1{}}}",
        "{\"a\":".repeat(5_000),
        "}".repeat(5_000)
    );
    let batch = format!("[{}]", list().body);
    for (attempt, status, why) in [
        (
            list().with("origin", "http://evil.example"),
            403,
            "the page of another site",
        ),
        (list().with("origin", "null"), 403, "a page without a site"),
        (
            list().with("host", "evil.example"),
            403,
            "a name that is not the hub's",
        ),
        (
            list().with("content-type", "text/plain"),
            415,
            "what a form of a page may send",
        ),
        (list().without("content-type"), 415, "no type"),
        (
            list().with("accept", "text/html"),
            406,
            "no type that MCP has",
        ),
        (list().saying(batch), 415, "a batch"),
        (list().saying("[]"), 415, "an empty batch"),
        (list().saying("nonsense"), 415, "no JSON"),
        (list().saying(""), 415, "nothing"),
        (list().saying(deep), 415, "JSON that is nested deeply"),
        (list().saying("[".repeat(100_000)), 415, "lists without end"),
        (
            list().saying("x".repeat(2 * 1024 * 1024)),
            413,
            "more than is taken",
        ),
        (
            list().with("mcp-protocol-version", "1999-01-01"),
            400,
            "a protocol that never was",
        ),
        (list().by(Method::GET), 405, "a stream without a request"),
        (list().by(Method::DELETE), 405, "the end of a session"),
        (list().by(Method::PUT), 405, "another method"),
    ] {
        let answer = attempt.send(&hub).await;
        assert_eq!(answer.status.as_u16(), status, "{why}: {}", answer.text());
        assert!(answer.body.len() < 2_000, "{why}");
    }
    assert_eq!(list().send(&hub).await.status, 200, "the hub is as it was");
}

#[tokio::test]
async fn headers_that_contradict_the_message_have_codes_of_their_own() {
    let hub = TestHub::start().await;
    let call = || {
        Attempt::of(
            true,
            "tools/call",
            json!({"name": "recorder_status", "arguments": {}}),
        )
    };
    let named = || call().with("mcp-name", "recorder_status");
    assert_eq!(named().send(&hub).await.status, 200);
    let unknown = named().body.replace(CURRENT, "2031-01-01");
    let bare =
        json!({"jsonrpc": "2.0", "id": "x", "method": "tools/list", "params": {}}).to_string();
    for (attempt, status, code, why) in [
        (
            named().with("mcp-method", "tools/list"),
            400,
            -32020,
            "another method",
        ),
        (named().without("mcp-method"), 400, -32020, "no method"),
        (
            named().with("mcp-name", "call_get"),
            400,
            -32020,
            "another name",
        ),
        (call(), 400, -32020, "no name"),
        (
            named().with("mcp-protocol-version", "2025-11-25"),
            400,
            -32020,
            "another protocol",
        ),
        (
            named()
                .with("mcp-protocol-version", "2031-01-01")
                .saying(unknown),
            400,
            -32022,
            "a protocol to come",
        ),
        (
            Attempt::list(true).saying(bare),
            400,
            -32602,
            "a message that says nothing of itself",
        ),
        (
            Attempt::of(true, "tools/explode", json!({})),
            404,
            -32601,
            "a method that is not there",
        ),
        (
            Attempt::of(false, "tools/explode", json!({})),
            200,
            -32601,
            "the same of an older client",
        ),
        (
            Attempt::of(true, "initialize", json!({})),
            404,
            -32601,
            "a handshake that the protocol has not",
        ),
    ] {
        let answer = attempt.send(&hub).await;
        let said = answer.json();
        assert_eq!(
            (answer.status.as_u16(), said["error"]["code"].as_i64()),
            (status, Some(code)),
            "{why}: {said}"
        );
        assert_eq!(said["id"], "x", "{why}: {said}");
    }
}
