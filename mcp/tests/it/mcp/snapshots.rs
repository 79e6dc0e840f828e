//! The tools that make, wait for, list and delete snapshots.

use serde_json::{Value, json};

use super::{CURRENT, call, post, text, timeless};
use crate::control::ask;
use crate::hub::{INCARNATION, TestHub};

async fn start(hub: &TestHub, arguments: Value) -> (String, Value) {
    let result = call(hub, "snapshot_start", arguments).await;
    let made = result["structuredContent"].clone();
    assert!(made.is_object(), "{result}");
    let id = made["id"].as_str().unwrap().to_owned();
    (id, result)
}

#[tokio::test]
async fn the_loop_of_a_snapshot_says_the_same_in_both_forms() {
    let hub = TestHub::with_shop().await;
    let (id, result) = start(&hub, json!({"name": "fix", "since": "-5m"})).await;
    let words = result["content"][0]["text"].as_str().unwrap();
    for fact in ["id", "state", "since", "created", "expires"] {
        let fact = result["structuredContent"][fact].as_str().unwrap();
        assert!(words.contains(fact), "{fact} is not in {words}");
    }
    assert!(words.contains("orders\tshop\t7f9c\t-\t1"), "{words}");

    let result = call(&hub, "snapshot_wait", json!({"snapshot": id, "idle_ms": 0})).await;
    let (words, told) = (&result["content"][0]["text"], &result["structuredContent"]);
    let words = words.as_str().unwrap();
    assert_eq!(
        (&told["settled"], &told["calls"], &told["inbound"]),
        (&json!(true), &json!(30), &json!(15))
    );
    assert!(words.starts_with("settled (idle): 30 calls (15 inbound, 15 outbound records), 0 in flight, 0/0 sidecars flushed, sealed"), "{words}");
    for spot in told["blind_spots"].as_array().unwrap() {
        assert!(
            words.contains(spot.as_str().unwrap()),
            "{spot} is not in {words}"
        );
    }
    let next = format!("traffic_summary(snapshot=\"{id}\")");
    assert_eq!(told["next"], next);

    let (table, error) = text(&hub, "traffic_summary", json!({"snapshot": id})).await;
    assert!(!error && table.contains("orders"), "{table}");
    let (table, error) = text(&hub, "calls_search", json!({"snapshot": id, "limit": 1})).await;
    assert!(!error, "{table}");
    let (table, _) = text(&hub, "snapshot_list", json!({})).await;
    assert!(
        table.contains(&format!("{id}\tsealed")) && table.contains("\tyes\tfix"),
        "{table}"
    );

    let (gone, error) = text(&hub, "snapshot_delete", json!({"snapshot": id})).await;
    assert!(!error && gone.contains(&id), "{gone}");
    let (refused, error) = text(&hub, "calls_search", json!({"snapshot": id})).await;
    assert!(
        error && refused.contains("there is no snapshot"),
        "{refused}"
    );
    let (table, _) = text(&hub, "snapshot_list", json!({})).await;
    assert!(table.contains("snapshot_start()"), "{table}");
}

#[tokio::test]
async fn a_wait_that_lasts_tells_how_far_it_is_and_can_be_called_again() {
    let hub = TestHub::start().await;
    let (id, _) = start(&hub, json!({})).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": CURRENT,
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": "p1",
    });
    let arguments = json!({"snapshot": id, "max_wait_s": 8});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "snapshot_wait", "arguments": arguments, "_meta": meta,
    }});
    let headers = [
        ("mcp-protocol-version", CURRENT),
        ("mcp-method", "tools/call"),
        ("mcp-name", "snapshot_wait"),
    ];
    let answer = post(&hub, &headers, message).await;
    let events = answer
        .text()
        .lines()
        .filter_map(|it| it.strip_prefix("data:"));
    let events: Vec<Value> = events
        .filter_map(|it| serde_json::from_str(it).ok())
        .collect();
    let (last, progress) = events.split_last().unwrap();
    assert!(progress.len() >= 2, "{events:?}");
    let mut before = 0.0;
    for news in progress {
        assert_eq!(news["method"], "notifications/progress");
        let params = &news["params"];
        assert_eq!(params["progressToken"], "p1");
        assert_eq!(
            params["message"],
            "0 calls, 0 in flight, 0/0 sidecars flushed"
        );
        let now = params["progress"].as_f64().unwrap();
        assert!(now > before, "{events:?}");
        before = now;
    }
    let told = &last["result"]["structuredContent"];
    assert_eq!(
        (&told["settled"], &told["reason"]),
        (&json!(false), &json!("timeout"))
    );
    assert_eq!(told["next"], format!("snapshot_wait(snapshot=\"{id}\")"));
}

#[tokio::test]
async fn a_wrong_argument_is_named_with_the_nearest_right_one() {
    let hub = TestHub::start().await;
    for (tool, arguments, told) in [
        ("snapshot_start", json!({"nmae": "x"}), "did you mean name?"),
        ("snapshot_start", json!({"since": "5m"}), "-5m"),
        (
            "snapshot_wait",
            json!({"snapshot": "snp_x"}),
            "there are none",
        ),
        (
            "snapshot_wait",
            json!({"snapshot": "snp_x", "max_wait_s": 60}),
            "1 to 45",
        ),
        ("snapshot_wait", json!({}), "snapshot"),
        (
            "traffic_summary",
            json!({"snapshot": "last week"}),
            "live:15m",
        ),
    ] {
        let (answer, error) = text(&hub, tool, arguments.clone()).await;
        assert!(
            error && answer.contains(told),
            "{tool} {arguments}: {answer}"
        );
    }
}

#[tokio::test]
async fn the_four_tools_say() {
    let hub = TestHub::with_shop().await;
    ask(&hub, &format!("incarnation={INCARNATION}&workload=orders&namespace=shop&pod=orders-1&epoch=0&sequence=3&goodbye=true")).await;
    let started = json!({"name": "fix", "namespaces": ["shop"], "since": "-5m", "ttl": "1h"});
    let (id, result) = start(&hub, started).await;
    let mut said = result["content"][0]["text"].as_str().unwrap().to_owned();
    for (tool, arguments) in [
        (
            "snapshot_wait",
            json!({"snapshot": id, "min_calls": 99, "max_wait_s": 1}),
        ),
        ("snapshot_wait", json!({"snapshot": id, "idle_ms": 0})),
        (
            "snapshot_wait",
            json!({"snapshot": id, "filter": {"status": "5xx"}}),
        ),
        ("snapshot_list", json!({})),
        ("snapshot_delete", json!({"snapshot": id})),
        ("snapshot_list", json!({})),
        ("snapshot_wait", json!({"snapshot": id})),
    ] {
        let shown = arguments.to_string();
        let (answer, _) = text(&hub, tool, arguments).await;
        said.push_str(&format!("\n> {tool} {shown}\n{answer}"));
    }
    insta::assert_snapshot!(timeless(&said));
}

#[tokio::test]
async fn what_a_wait_says_of_who_is_missing() {
    let hub = TestHub::start().await;
    let silent = "workload=stock&namespace=shop&pod=stock-1&epoch=0&sequence=2";
    ask(&hub, &format!("incarnation={INCARNATION}&{silent}")).await;
    let (id, _) = start(&hub, json!({})).await;
    let arguments = json!({"snapshot": id, "idle_ms": 0, "min_calls": 0});
    let (answer, _) = text(&hub, "snapshot_wait", arguments).await;
    insta::assert_snapshot!(timeless(&answer));
}
