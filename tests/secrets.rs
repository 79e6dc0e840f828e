//! Secrets that pass two sidecars: the traffic arrives as it was sent, and nothing of a secret is in a
//! spool, on the way to the hub, in the hub's files or in any of its answers.

mod planted;
mod street;

use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use remora_store::spool::Spool;
use serde_json::{Value, json};

use self::planted::{PLANTED, planted};
use self::street::Street;
use crate::support::api::{Client, encoded};
use crate::support::eventually;
use crate::support::process::HubPlace;

/// As many characters of a secret in a row must not be found anywhere.
const TELLING: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_arrive_at_the_application_and_nowhere_else() {
    let planted = planted();
    let secrets: Vec<&str> = planted
        .iter()
        .flat_map(|exchange| exchange.secrets.iter().map(String::as_str))
        .collect();
    let place = HubPlace::new();
    let hub = place.start();
    let street = Street::start(&place, &planted).await;
    street.wait_for_the_key(&place).await;

    for exchange in &planted {
        street.play(exchange).await;
    }
    let legs = planted.len() * 2;
    let calls = eventually("both legs of all are stored", || async {
        let calls = Client::new().matching(&place.api(), PLANTED).await?;
        (calls.len() >= legs).then_some(calls)
    })
    .await;
    assert_eq!(calls.len(), legs);
    check_kept(&calls);
    check_answers(&place, &calls, &secrets).await;
    assert_clean(&secrets, &street.relay.shipped(), "what was shipped");

    // Without the hub everything ends in the spools.
    assert_eq!(hub.stop(), Some(0));
    assert_clean(&secrets, &files(place.data()), "the hub's files");
    for exchange in &planted {
        street.play(exchange).await;
    }
    for (sidecar, spool) in street.sidecars {
        assert_eq!(sidecar.stop(), Some(0));
        assert_clean(&secrets, &files(spool.path()), "the spool");
        let spooled = unpacked(spool.path());
        assert!(contains(&spooled, b"/heads"), "nothing was spooled");
        assert_clean(&secrets, &spooled, "what the spool unpacks to");
    }
}

/// What is not secret was kept, and a secret has the same tag on both legs.
fn check_kept(calls: &[Value]) {
    let both = |path: &str| -> Vec<&Value> {
        let found = calls.iter().filter(|call| call["path"] == path);
        found.collect()
    };
    let heads = both("/planted/heads");
    for name in ["authorization", "cookie", "x-api-key", "set-cookie"] {
        let tags: Vec<String> = heads.iter().map(|call| header(call, name)).collect();
        assert!(tags[0].contains("[redacted "), "{name}: {tags:?}");
        assert_eq!(tags[0], tags[1], "{name} is tagged differently");
    }
    assert!(header(heads[0], "cookie").starts_with("theme=[redacted cookie #"));
    assert!(header(heads[0], "set-cookie").ends_with("; HttpOnly"));
    assert!(
        heads[0]["query"]
            .as_str()
            .unwrap()
            .starts_with("page=1&access_token=[redacted")
    );
    for call in both("/planted/json") {
        let body: Value = serde_json::from_str(call["request"]["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["note"], "kept for the shop");
        assert_eq!(body["user"], "ann");
    }
    for call in both("/planted/gzip") {
        assert_eq!(call["response"]["decoded"], true, "{call}");
    }
}

/// The value of a request's header, else of the response's.
fn header(call: &Value, name: &str) -> String {
    let headers = [&call["request"]["headers"], &call["response"]["headers"]];
    let mut headers = headers
        .into_iter()
        .flat_map(|list| list.as_array().unwrap());
    let header = headers.find(|header| header[0].as_str().unwrap().eq_ignore_ascii_case(name));
    header.unwrap()[1].as_str().unwrap().to_owned()
}

/// Asks the hub whatever there is to ask.
async fn check_answers(place: &HubPlace, calls: &[Value], secrets: &[&str]) {
    let mut paths = vec![
        "/api/v1/status".to_owned(),
        "/api/v1/calls?limit=1000".to_owned(),
        "/api/v1/calls?limit=1000&format=ndjson".to_owned(),
        "/api/v1/summary?group_by=edge,route,status,revision".to_owned(),
        "/metrics".to_owned(),
    ];
    for call in calls {
        paths.push(format!("/api/v1/calls/{}", call["id"].as_str().unwrap()));
    }
    for path in &paths {
        let uri = format!("{}{path}", place.api());
        let (status, body) = Client::new().get(&uri, &[]).await.unwrap();
        assert_eq!(status, 200, "{path}");
        assert_clean(secrets, &body, path);
    }
    for call in calls {
        let text = told_over_mcp(place, "call_get", json!({"call_ids": [call["id"]]})).await;
        assert!(contains(&text, b"redacted"), "{call}");
        assert_clean(secrets, &text, "what call_get tells");
    }
    let text = told_over_mcp(place, "calls_search", json!({})).await;
    assert_clean(secrets, &text, "what calls_search tells");
    // Nor can a secret be found out by asking for it.
    for secret in secrets {
        let filter = format!(
            r#"url.contains("{secret}") || request.body.contains("{secret}") || response.body.contains("{secret}")
               || request.headers.exists(name, request.headers[name].contains("{secret}"))"#
        );
        let uri = format!("{}/api/v1/calls?filter={}", place.api(), encoded(&filter));
        let found = Client::new().json(&uri).await.unwrap();
        assert_eq!(found["calls"], Value::Array(Vec::new()), "{secret}");
    }
}

/// What a tool answers, as it is on the wire.
async fn told_over_mcp(place: &HubPlace, tool: &str, arguments: Value) -> Bytes {
    let version = "2026-07-28";
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let request = Request::post(format!("{}/mcp", place.api()))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", version)
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .body(Full::from(message.to_string()))
        .unwrap();
    let answer = Client::new().send(request).await.unwrap();
    let text = String::from_utf8_lossy(answer.body());
    assert!(
        answer.status() == 200 && text.contains("content") && !text.contains("\"isError\":true"),
        "{tool} answered {text}"
    );
    answer.into_body()
}

fn assert_clean(secrets: &[&str], bytes: &[u8], place: &str) {
    for secret in secrets {
        for piece in secret.as_bytes().windows(TELLING) {
            assert!(!contains(bytes, piece), "a piece of {secret} is in {place}");
        }
    }
}

fn contains(bytes: &[u8], piece: &[u8]) -> bool {
    memchr::memmem::find(bytes, piece).is_some()
}

/// All bytes of all files in a folder.
fn files(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            folder if folder.is_dir() => all.extend(files(&folder)),
            file => all.extend(std::fs::read(file).unwrap()),
        }
    }
    all
}

/// Everything that the blocks of a spool hold.
fn unpacked(folder: &Path) -> Vec<u8> {
    let (mut spool, _) = Spool::open(folder, u64::MAX).unwrap();
    let mut all = Vec::new();
    for taken in spool.take(usize::MAX).unwrap().blocks {
        let block = remora_store::block::Block::open(taken.block).unwrap();
        for call in block.calls().unwrap() {
            for message in [&call.request, &call.response] {
                all.extend_from_slice(&message.head);
                all.extend_from_slice(&message.body);
                all.extend_from_slice(&message.trailers);
            }
            all.extend_from_slice(&call.interim);
        }
    }
    all
}
