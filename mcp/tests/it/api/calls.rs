use std::io::Write as _;
use std::process::Command;

use base64::Engine as _;
use bytes::Bytes;
use remora_store::call::Omitted;
use remora_store::testing::grpc_call;
use serde_json::Value;

use crate::clients::{installed_with_chromium, script};
use crate::http::encoded;
use crate::hub::TestHub;
use crate::shop::{BEGAN_NS, block, origin};

/// The same answer without what is different in every run: times become the seconds since the first
/// call, and what depends on the clock of the hub is left out.
pub(crate) fn timeless(mut answer: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Ok(time) = text.parse::<jiff::Timestamp>() {
                    let since = time.as_nanosecond() - i128::from(*BEGAN_NS);
                    *text = format!("[first + {} s]", since as f64 / 1e9);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(walk),
            Value::Object(object) => object.values_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut answer);
    answer
}

fn ids(answer: &Value) -> Vec<String> {
    let calls = answer["calls"].as_array().unwrap();
    calls
        .iter()
        .map(|call| call["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_page_of_calls() {
    let hub = TestHub::with_shop().await;
    let mut answer = timeless(
        hub.get("/api/v1/calls?limit=2&filter=leg+%3D%3D+%22inbound%22")
            .await
            .json(),
    );
    assert!(answer["next"].is_string());
    answer["next"] = Value::from("[cursor]");
    insta::assert_json_snapshot!(answer);
}

#[tokio::test]
async fn pages_hold_every_call_once_in_both_orders() {
    let hub = TestHub::with_shop().await;
    let all = ids(&hub.get("/api/v1/calls?fields=id").await.json());
    assert_eq!(all.len(), 30);
    for order in ["newest", "oldest"] {
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = hub
                .get(&format!(
                    "/api/v1/calls?fields=id&limit=7&order={order}&cursor={cursor}"
                ))
                .await
                .json();
            paged.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        if order == "oldest" {
            paged.reverse();
        }
        assert_eq!(paged, all, "{order}");
    }
}

#[tokio::test]
async fn lines_say_the_same_as_the_document() {
    let hub = TestHub::with_shop().await;
    let document = hub.get("/api/v1/calls").await.json();
    let lines = hub.get("/api/v1/calls?format=ndjson").await;
    assert_eq!(lines.headers["content-type"], "application/x-ndjson");
    assert!(
        lines.headers["remora-coverage"]
            .to_str()
            .unwrap()
            .contains("\"dropped\":0")
    );
    let lines: Vec<Value> = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(Value::from(lines), document["calls"]);
}

/// A cell as it was before it was escaped.
fn unescaped(cell: &str) -> String {
    let mut text = String::new();
    let mut characters = cell.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(match characters.next().unwrap() {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                other => other,
            }),
            other => text.push(other),
        }
    }
    text
}

#[tokio::test]
async fn a_table_has_the_documented_columns_and_every_call_on_a_line() {
    let hub = TestHub::with_shop().await;
    let table = hub
        .get("/api/v1/calls?format=tsv&limit=2&filter=leg+%3D%3D+%22inbound%22")
        .await;
    assert_eq!(
        table.headers["content-type"],
        "text/tab-separated-values; charset=utf-8"
    );
    assert!(table.headers.contains_key("remora-coverage"));
    let lines: Vec<&str> = table.text().lines().collect();
    assert_eq!(
        lines[0].replace('\t', ","),
        "id,time,leg,protocol,src.workload,src.ip,dst.workload,dst.ip,dst.port,method,host,path,\
         status,grpc.status_name,error,latency_ms,request.size,response.size,fault.id,fault.effect"
    );
    let cells: Vec<&str> = lines[2].split('\t').collect();
    assert_eq!(cells[0], "c1-13");
    assert_eq!(
        cells[2..].join(","),
        "inbound,http1,web,10.0.0.1,orders,10.0.0.2,8080,POST,orders,/api/orders,201,,,2.0,54,8,,"
    );
    let last: Value = serde_json::from_str(lines[3].strip_prefix("# ").unwrap()).unwrap();
    assert!(last["next"].is_string());
    assert_eq!(lines.len(), 4);
    // That HTTP went well says nothing of a gRPC call, so its own status stands beside.
    let failed = grpc_call(*BEGAN_NS, "/shop.v1.Orders/Get", Some(13));
    let sealed = block(origin("orders", 0xcc), 1, &[failed]);
    assert_eq!(hub.ingest(&[sealed]).await.status, 200);
    let table = hub.get("/api/v1/calls?format=tsv&filter=grpc").await;
    assert!(
        table.text().contains("\t200\tINTERNAL\t\t"),
        "{}",
        table.text()
    );
}

#[tokio::test]
async fn cells_hold_what_the_document_says_whatever_was_recorded() {
    let hub = TestHub::start().await;
    let mut call = crate::shop::inbound().remove(14);
    call.request.body = Bytes::from_static(b"#\ta\r\n\\t\\");
    call.request.body_size = 9;
    let mut plain = call.clone();
    plain.request.body = Bytes::new();
    let calls = [call, plain];
    assert_eq!(
        hub.ingest(&[block(origin("orders", 0xaa), 1, &calls)])
            .await
            .status,
        200
    );
    let fields = "request.body,response.body,path,request.headers,error,request.truncated";
    let query = format!("/api/v1/calls?order=oldest&fields={fields}");
    let document = hub.get(&query).await.json();
    let table = hub.get(&format!("{query}&format=tsv")).await;
    let lines: Vec<&str> = table.text().split_terminator('\n').collect();
    assert_eq!(lines.len(), 3, "{}", table.text());
    for (line, call) in lines[1..].iter().zip(document["calls"].as_array().unwrap()) {
        let cells: Vec<String> = line.split('\t').map(unescaped).collect();
        assert_eq!(cells.len(), 6);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(cells[0], text(&call["request"]["body"]));
        assert_eq!(cells[1], text(&call["response"]["body"]));
        assert_eq!(cells[2], text(&call["path"]));
        assert_eq!(cells[3], call["request"]["headers"].to_string());
        assert_eq!((cells[4].as_str(), cells[5].as_str()), ("", "false"));
        assert!(!line.starts_with('#'));
    }
}

#[tokio::test]
async fn an_archive_counts_what_it_leaves_out_and_says_where_to_go_on() {
    let hub = TestHub::with_shop().await;
    let all = hub.get("/api/v1/calls?format=har").await;
    assert_eq!(
        all.headers["content-disposition"],
        "attachment; filename=\"calls.har\""
    );
    let log = all.json()["log"].clone();
    assert_eq!(log["entries"].as_array().unwrap().len(), 28);
    assert_eq!(log["comment"], "28 calls; 2 left out that are not HTTP");
    assert_eq!(log["_remora"], serde_json::json!({"next": null}));
    let first = hub.get("/api/v1/calls?format=har&limit=4").await.json();
    let next = first["log"]["_remora"]["next"].as_str().unwrap();
    let document = hub.get("/api/v1/calls?limit=4&fields=id").await.json();
    assert_eq!(document["next"], next);
    let nothing = hub.get("/api/v1/calls?format=har&since=1s").await.json();
    let because = &nothing["log"]["_remora"]["empty_because"];
    assert_eq!(because["code"], "nothing_in_window");
}

#[tokio::test]
async fn an_entry_of_an_archive() {
    let hub = TestHub::with_shop().await;
    let archive = hub
        .get("/api/v1/calls?format=har&filter=status+%3D%3D+201")
        .await;
    insta::assert_json_snapshot!(timeless(archive.json()["log"]["entries"][0].take()));
}

#[tokio::test]
async fn chromium_is_answered_from_an_archive_with_what_was_recorded() {
    let Some(clients) = installed_with_chromium() else {
        return;
    };
    let hub = TestHub::with_shop().await;
    let filter = encoded("leg == \"inbound\"");
    let archive = hub
        .get(&format!("/api/v1/calls?format=har&filter={filter}"))
        .await;
    let mut file = tempfile::Builder::new().suffix(".har").tempfile().unwrap();
    file.write_all(&archive.body).unwrap();
    let mut node = Command::new("node");
    node.arg(script("browser/har.mjs"))
        .arg(clients.join("browser"))
        .arg(file.path())
        .arg("http://orders");
    let output = tokio::task::spawn_blocking(move || node.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["valid"], &found["errors"]),
        (&Value::from(true), &Value::Null)
    );
    let answers = found["answers"].as_array().unwrap();
    let mut recorded = crate::shop::inbound();
    recorded.reverse();
    assert_eq!(answers.len(), recorded.len());
    for (answer, call) in answers.iter().zip(&recorded) {
        let body = base64::engine::general_purpose::STANDARD.encode(&call.response.body);
        let status = remora_store::head::response_status(&call.response.head);
        assert_eq!(answer["body"], body, "{answer}");
        assert_eq!(answer["status"], status.unwrap(), "{answer}");
    }
}

#[tokio::test]
async fn lines_that_are_cut_end_with_where_to_go_on() {
    let hub = TestHub::with_shop().await;
    let document = hub.get("/api/v1/calls?limit=4&fields=id").await.json();
    let lines = hub
        .get("/api/v1/calls?limit=4&fields=id&format=ndjson")
        .await;
    let last: Value = serde_json::from_str(lines.text().lines().last().unwrap()).unwrap();
    assert_eq!(lines.text().lines().count(), 5);
    assert_eq!(last["next"], document["next"]);
}

#[tokio::test]
async fn a_page_that_grows_too_large_ends_early_and_goes_on_with_its_cursor() {
    let hub = TestHub::start().await;
    let mut calls = crate::shop::inbound();
    calls.truncate(12);
    for call in &mut calls {
        call.response.body = Bytes::from("x".repeat(1024 * 1024));
        call.response.body_size = 1024 * 1024;
    }
    for (sequence, pair) in (1..).zip(calls.chunks(2)) {
        assert_eq!(
            hub.ingest(&[block(origin("orders", 0xaa), sequence, pair)])
                .await
                .status,
            200
        );
    }
    let page = hub.get("/api/v1/calls").await;
    assert!(page.body.len() < 10 * 1024 * 1024);
    let first = ids(&page.json());
    let next = page.json()["next"].as_str().unwrap().to_owned();
    let rest = ids(&hub
        .get(&format!("/api/v1/calls?cursor={next}"))
        .await
        .json());
    assert_eq!(first.len() + rest.len(), 12);
    assert!(first.iter().all(|id| !rest.contains(id)));
}

#[tokio::test]
async fn a_time_that_was_shown_names_the_same_instant_when_it_comes_back() {
    let hub = TestHub::with_shop().await;
    let oldest = hub.get("/api/v1/calls?order=oldest&limit=1").await.json();
    let time = encoded(oldest["calls"][0]["time"].as_str().unwrap());
    let from = hub
        .get(&format!(
            "/api/v1/calls?order=oldest&since={time}&fields=id"
        ))
        .await
        .json();
    assert_eq!(ids(&from).len(), 30);
    let before = hub
        .get(&format!("/api/v1/calls?until={time}&fields=id"))
        .await
        .json();
    assert_eq!(ids(&before).len(), 0);
    assert_eq!(before["empty_because"]["code"], "nothing_in_window");
}

#[tokio::test]
async fn an_empty_answer_says_why() {
    let hub = TestHub::start().await;
    assert_eq!(
        hub.get("/api/v1/calls").await.json()["empty_because"]["code"],
        "no_sidecar"
    );
    hub.ingest(&crate::shop::blocks()).await;
    let answer = hub
        .get("/api/v1/calls?filter=status+%3D%3D+418")
        .await
        .json();
    assert_eq!(answer["empty_because"]["code"], "nothing_matches");
    let answer = hub.get("/api/v1/calls?since=1s").await.json();
    assert_eq!(answer["empty_because"]["code"], "nothing_in_window");
    let lines = hub.get("/api/v1/calls?since=1s&format=ndjson").await;
    assert!(
        lines.text().contains("nothing_in_window"),
        "{}",
        lines.text()
    );
}

#[tokio::test]
async fn calls_left_out_over_a_cut_body_are_counted_in_every_answer() {
    let hub = TestHub::start().await;
    let mut calls = vec![crate::shop::inbound().remove(13); 2];
    calls[1].request.body.truncate(20);
    calls[1].request.omitted = Some(Omitted::Limit);
    assert_eq!(
        hub.ingest(&[block(origin("orders", 0xaa), 1, &calls)])
            .await
            .status,
        200
    );
    let filter = encoded("request.json.items[0].sku == \"tea\"");
    for (question, told) in [
        ("calls?fields=id&", "\"undecided\":1"),
        (
            "calls?fields=id&format=ndjson&",
            "\n{\"next\":null,\"undecided\":1}\n",
        ),
        (
            "calls?fields=id&format=tsv&",
            "\n# {\"next\":null,\"undecided\":1}\n",
        ),
        (
            "calls?format=har&",
            "\"_remora\":{\"next\":null,\"undecided\":1}",
        ),
        ("summary?", "\"undecided\":1"),
        ("map?", "\"undecided\":1"),
    ] {
        let answer = hub.get(&format!("/api/v1/{question}filter={filter}")).await;
        assert!(
            answer.text().contains(told),
            "{question}: {}",
            answer.text()
        );
    }
    let answer = hub
        .get("/api/v1/calls?fields=id&filter=status+%3D%3D+201")
        .await;
    assert_eq!(ids(&answer.json()).len(), 2);
    assert!(!answer.text().contains("undecided"));
    // Whether one is asked for what a body has or for what it lacks: the cut one might do either.
    let asked_both_ways = [
        ("request.json.items[0].sku == \"tea\"", 1),
        ("request.json.items[0].sku != \"tea\"", 0),
        ("request.body.contains(\"none\")", 0),
        ("!request.body.contains(\"none\")", 1),
    ];
    for (filter, matching) in asked_both_ways {
        let path = format!("/api/v1/calls?fields=id&filter={}", encoded(filter));
        let answer = hub.get(&path).await.json();
        assert_eq!(ids(&answer).len(), matching, "{filter}");
        assert_eq!(answer["undecided"], 1, "{filter}");
        for tool in ["calls_search", "traffic_summary"] {
            let arguments = serde_json::json!({"filter": {"where": filter}});
            let (text, _) = crate::mcp::text(&hub, tool, arguments).await;
            let told = match matching {
                0 => {
                    "matches the filter; 1 might: what it asks for was not kept, or you may not get their bodies\n"
                }
                _ => {
                    "left out: 1 calls that might match; what it asks for was not kept, or you may not get their bodies\n"
                }
            };
            assert!(text.contains(told), "{tool} with {filter}: {text}");
        }
    }
}

#[tokio::test]
async fn questions_that_are_wrong_are_refused_with_the_field() {
    let hub = TestHub::start().await;
    let long_filter = format!("filter={}", "a".repeat(40_000));
    for (query, code, field) in [
        ("limt=5", "unknown_parameter", "limt"),
        ("limit=0", "bad_parameter", "limit"),
        ("limit=1001", "bad_parameter", "limit"),
        ("limit=5&limit=6", "repeated_parameter", "limit"),
        ("since=yesterday", "bad_parameter", "since"),
        ("since=1m&until=2m", "bad_parameter", "until"),
        ("order=up", "bad_parameter", "order"),
        ("format=xml", "bad_parameter", "format"),
        ("probes=maybe", "bad_parameter", "probes"),
        ("format=har&fields=id", "bad_parameter", "fields"),
        ("cursor=abc", "bad_cursor", "cursor"),
        ("fields=id,bdy", "unknown_field", "fields"),
        ("filter=methd+%3D%3D+%22GET%22", "bad_filter", "filter"),
        ("filter=status+%3D%3D", "bad_filter", "filter"),
        (long_filter.as_str(), "query_too_long", ""),
    ] {
        let answer = hub.get(&format!("/api/v1/calls?{query}")).await;
        let error = answer.json()["error"].clone();
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(error["code"], code, "{query}: {error}");
        assert_eq!(
            error["field"].as_str().unwrap_or_default(),
            field,
            "{query}: {error}"
        );
    }
}
