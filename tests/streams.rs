//! Streams of real programs: how far they are is seen while they run, and all of it when they are over,
//! over HTTP and by a model.

mod programs;

use std::process::Command;

use hyper::Request;
use serde_json::{Value, json};
use test_case::test_case;

use crate::support::api::Client;
use crate::support::eventually;
use crate::support::process::{HubPlace, Running, start_sidecar};
use crate::support::programs::Programs;
use crate::support::spoken::Spoken;
use programs::{
    EVENT_CLIENT, EVENT_SERVER, GRPC_CLIENT, GRPC_SERVER, WEBSOCKET_CLIENT, WEBSOCKET_SERVER,
};

/// Two programs with a stream between them that goes through a sidecar, and the hub that is told of it.
struct Line {
    client: Spoken,
    server: Spoken,
    place: HubPlace,
    _hub: Running,
    _sidecar: Running,
    asking: Client,
}

impl Line {
    fn start(engine: &str, mut server: Command, mut client: Command) -> Self {
        let place = HubPlace::new();
        let hub = place.start();
        let server = Spoken::start(&mut server);
        let upstream = server.receive().parse().unwrap();
        let (sidecar, port) = start_sidecar(&place, upstream, &["--engine", engine]);
        Self {
            client: Spoken::start(client.arg(port.to_string())),
            server,
            place,
            _hub: hub,
            _sidecar: sidecar,
            asking: Client::new(),
        }
    }

    /// Has the client send a line, and waits until it came back.
    fn echo(&mut self, line: &str) {
        self.client.send(line);
        assert_eq!(self.client.receive(), line);
    }

    /// Waits until the one call on the line is as the filter says.
    async fn see(&self, filter: &str) -> Value {
        let found = eventually(filter, || async {
            let mut calls = self.asking.matching(&self.place.api(), filter).await?;
            (calls.len() == 1).then(|| calls.remove(0))
        });
        found.await
    }

    /// The call that was seen under this id.
    async fn call(&self, id: &Value) -> Value {
        let uri = format!("{}/api/v1/calls/{}", self.place.api(), text(id));
        self.asking.json(&uri).await.unwrap()
    }

    /// What a model is told of the call.
    async fn told(&self, id: &Value) -> String {
        let arguments = json!({"call_ids": [id], "parts": ["messages", "headers"]});
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "call_get", "arguments": arguments},
        });
        let request = Request::post(format!("{}/mcp", self.place.api()))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(message.to_string().into_bytes().into());
        let answer = self.asking.send(request.unwrap()).await.unwrap();
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        text(&answer["result"]["content"][0]["text"]).to_owned()
    }
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// Sender, kind and payload of each message that was kept.
fn messages(call: &Value) -> Vec<(&str, &str, &str)> {
    let messages = call["messages"].as_array().unwrap().iter();
    messages
        .map(|message| {
            let [from, kind, payload] = ["from", "kind", "payload"].map(|name| &message[name]);
            (text(from), text(kind), payload.as_str().unwrap_or(""))
        })
        .collect()
}

#[test_case("auto"; "spliced")]
#[test_case("terminate"; "terminated")]
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_seen_while_it_runs_and_whole_when_it_is_over(engine: &str) {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let mut line = Line::start(
        engine,
        programs.node(WEBSOCKET_SERVER),
        programs.python(WEBSOCKET_CLIENT),
    );
    line.echo("one");
    line.see(r#"ws && state == "open" && request_messages == 1"#)
        .await;
    for word in ["two", "three", "four"] {
        line.echo(word);
    }
    let open = line
        .see(r#"ws && state == "open" && response_messages == 4"#)
        .await;
    assert_eq!(
        (&open["path"], &open["status"]),
        (&json!("/chat"), &json!(101))
    );
    let told = line.told(&open["id"]).await;
    assert!(told.contains("GET /chat 101 - ms, open\n"), "{told}");
    assert!(
        told.contains("[messages: 4 from the client, 4 from the server;"),
        "{told}"
    );
    assert!(told.contains("ms text 4 bytes: four\n"), "{told}");

    line.client.end_input();
    assert_eq!(line.client.receive(), "1000");
    line.see(r#"ws && state == "complete" && request_messages == 4 && !failed"#)
        .await;
    let call = line.call(&open["id"]).await;
    assert_eq!(
        call["state"], "complete",
        "found under the id it had: {call}"
    );
    assert_eq!(call["message_counts"], json!({"client": 4, "server": 4}));
    let words = ["one", "two", "three", "four"];
    let echoed = words
        .iter()
        .flat_map(|word| [("client", "text", *word), ("server", "text", *word)]);
    assert_eq!(messages(&call)[..8], echoed.collect::<Vec<_>>());
    let closed: Vec<_> = messages(&call)[8..]
        .iter()
        .map(|(from, kind, _)| (*from, *kind))
        .collect();
    assert_eq!(closed, [("client", "close"), ("server", "close")]);
    let told = line.told(&call["id"]).await;
    assert!(told.contains("; 10 kept]\n"), "{told}");
    let uri = format!("{}/api/v1/calls?format=har&filter=ws", line.place.api());
    let archive = line.asking.json(&uri).await.unwrap();
    let messages = archive["log"]["entries"][0]["_webSocketMessages"].as_array();
    let messages = messages.unwrap_or_else(|| panic!("{archive}"));
    let told = |message: &Value| {
        let [from, opcode, data] = ["type", "opcode", "data"].map(|name| message[name].clone());
        json!([from, opcode, data])
    };
    assert_eq!(messages.len(), 10);
    assert_eq!(told(&messages[0]), json!(["send", 1, "one"]));
    assert_eq!(told(&messages[1]), json!(["receive", 1, "one"]));
}

#[test_case("auto"; "spliced")]
#[test_case("terminate"; "terminated")]
#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_is_seen_while_it_runs_and_whole_when_it_is_over(engine: &str) {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let mut line = Line::start(
        engine,
        programs.python(EVENT_SERVER),
        programs.node(EVENT_CLIENT),
    );
    line.server.send("tea");
    assert_eq!(line.client.receive(), "tea");
    line.see(r#"http && state == "open" && response_messages == 1"#)
        .await;
    for word in ["milk", "sugar"] {
        line.server.send(word);
        assert_eq!(line.client.receive(), word);
    }
    let open = line
        .see(r#"http && state == "open" && response_messages == 3"#)
        .await;
    assert_eq!(
        (&open["path"], &open["latency_ms"]),
        (&json!("/events"), &Value::Null)
    );
    let told = line.told(&open["id"]).await;
    assert!(told.contains("server +"), "{told}");
    assert!(told.contains("event 13 bytes: data: sugar\n"), "{told}");

    line.server.end_input();
    assert_eq!(line.client.receive(), "over");
    line.see(r#"http && state == "complete" && response_messages == 3 && !failed"#)
        .await;
    let call = line.call(&open["id"]).await;
    let events = ["data: tea", "data: milk", "data: sugar"].map(|data| ("server", "event", data));
    assert_eq!(messages(&call), events);
    assert_eq!(
        call["state"], "complete",
        "found under the id it had: {call}"
    );
    assert!(
        line.told(&open["id"])
            .await
            .contains("[messages: 0 from the client, 3 from the server; 3 kept]")
    );
}

#[test_case("auto"; "spliced")]
#[test_case("terminate"; "terminated")]
#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_stream_is_seen_while_it_runs_and_with_its_status_when_it_is_over(engine: &str) {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let mut line = Line::start(
        engine,
        programs.python(GRPC_SERVER),
        programs.node(GRPC_CLIENT),
    );
    line.echo("tea");
    line.see(r#"grpc && state == "open" && response_messages == 1"#)
        .await;
    line.echo("milk");
    let open = line
        .see(r#"grpc && state == "open" && response_messages == 2"#)
        .await;
    assert_eq!(open["path"], "/shop.v1.Orders/Each");
    assert_eq!(open["grpc"]["status"], Value::Null, "{open}");
    assert_eq!(open["grpc"]["kind"], "bidi", "{open}");
    let told = line.told(&open["id"]).await;
    assert!(told.contains("server +"), "{told}");
    assert!(told.contains(r#"grpc 6 bytes: {1: "milk"}"#), "{told}");

    line.client.send("fail");
    assert_eq!(line.client.receive(), "13");
    line.see(r#"grpc && state == "complete" && failed && grpc_status_name == "INTERNAL""#)
        .await;
    let call = line.call(&open["id"]).await;
    assert_eq!(call["grpc"]["message"], "no tea left", "{call}");
    assert_eq!(call["message_counts"], json!({"client": 3, "server": 2}));
    let read = |message: &Value| {
        (
            message["from"].clone(),
            message["fields"][0]["value"].clone(),
        )
    };
    let read: Vec<_> = call["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(read)
        .collect();
    let expected = [
        ("client", "tea"),
        ("server", "tea"),
        ("client", "milk"),
        ("server", "milk"),
        ("client", "fail"),
    ];
    assert_eq!(
        read,
        expected.map(|(from, word)| (json!(from), json!(word)))
    );
    let told = line.told(&call["id"]).await;
    assert!(
        told.contains("[gRPC INTERNAL: no tea left, bidi as far as seen]\n"),
        "{told}"
    );
}
