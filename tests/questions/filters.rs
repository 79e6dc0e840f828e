//! Filters as people write them for Kubeshark, each compared with the rows picked by hand.

use serde_json::Value;

use super::town::Town;

type Pick = fn(&Value) -> bool;

/// Filters and the rows that they must give; each of them gives some and not all.
const SOME: &[(&str, Pick)] = &[
    ("http && status_code >= 500", |call| status(call) >= 500),
    (
        "http && dst.service.name == \"payment\" && method == \"POST\"",
        |call| to(call) == "payment" && call["method"] == "POST",
    ),
    (
        "http && path.startsWith(\"/api/orders\") && elapsed_time > 2000000",
        |call| path(call).starts_with("/api/orders") && call["latency_ms"].as_f64() > Some(2_000.0),
    ),
    ("http && !(\"cache-control\" in response.headers)", |call| {
        header(call, "response", "cache-control").is_none()
    }),
    (
        "http && \"authorization\" in request.headers && dst.pod.namespace != \"auth\"",
        |call| {
            header(call, "request", "authorization").is_some() && call["dst"]["namespace"] != "auth"
        },
    ),
    (
        "http && request.headers[\"content-type\"] != \"application/json\"",
        |call| {
            header(call, "request", "content-type")
                .is_some_and(|r#type| r#type != "application/json")
        },
    ),
    (
        "http && map_get(request.headers, \"x-request-id\", \"\") == \"abc\"",
        |call| header(call, "request", "x-request-id") == Some("abc"),
    ),
    (
        "map_get(local_labels, \"pod-template-hash\", \"\") == \"7f8b9c\"",
        |call| call["leg"] == "outbound",
    ),
    (
        "timestamp > now() - duration(\"5m\") && src.pod.namespace == \"dev\"",
        |call| call["src"]["namespace"] == "dev",
    ),
    ("elapsed_time > 2000000 || status_code == 404", |call| {
        call["latency_ms"].as_f64() > Some(2_000.0) || status(call) == 404
    }),
    ("src.name == \"shop\" && dst.name == \"login\"", |call| {
        call["src"]["workload"] == "shop" && to(call) == "login"
    }),
    (
        "dst.namespace == \"auth\" && \"auth\" in namespaces",
        |call| call["dst"]["namespace"] == "auth",
    ),
    ("services.exists(s, s == \"login\")", |call| {
        to(call) == "login"
    }),
    ("query_string[\"page\"] == \"2\"", |call| {
        call["query"] == "page=2"
    }),
    ("url == \"/api/orders/17?page=2\"", |call| {
        path(call) == "/api/orders/17"
    }),
    (
        "path.matches(\"^/api/orders/[0-9]+$\") && route == \"/api/orders/{id}\"",
        |call| ["/api/orders/17", "/api/orders/18"].contains(&path(call)),
    ),
    (
        "request_body_size > 0 && response_body_size > request_body_size",
        |call| call["request"]["size"].as_u64() > Some(0),
    ),
    (
        "method in [\"POST\", \"PUT\"] ? path.endsWith(\"slow\") : status_code == 503",
        |call| match call["method"] == "POST" {
            true => path(call).ends_with("slow"),
            false => status(call) == 503,
        },
    ),
    ("response.json.path == \"/login\"", |call| {
        path(call) == "/login"
    }),
    (
        "request.json.amount == 12 || request.body == \"user=ann\"",
        |call| path(call) == "/pay" || path(call) == "/login",
    ),
    ("src.ip == \"127.0.0.1\" && leg == \"inbound\"", |call| {
        call["leg"] == "inbound"
    }),
];

/// Filters that every call here matches.
const ALL: &[&str] = &[
    "true",
    "http",
    "http && http_version == \"HTTP/1.1\"",
    "timestamp > now() - duration(\"1h\") && timestamp <= now()",
    "elapsed_time >= 0 && dst.port > 0 && dst.ip == \"127.0.0.1\"",
    "response.json.items.size() == 0",
];

/// Filters of protocols that nobody spoke here, and a time in which nothing was.
const NONE: &[&str] = &[
    "grpc && grpc_status != 0",
    "postgresql && postgresql_query.contains(\"SELECT\")",
    "redis && redis_type == \"GET\"",
    "mysql && !mysql_success",
    "kafka && kafka_api_key_name == \"PRODUCE\"",
    "dns && dns_questions.exists(q, q.endsWith(\".com\"))",
    "tcp_conn && conn_state == \"open\"",
    "tlsx && tlsx_sni.contains(\"amazonaws\")",
    "timestamp < timestamp(\"2020-01-01T00:00:00Z\")",
];

#[tokio::test(flavor = "multi_thread")]
async fn filters_written_for_kubeshark_give_the_rows_that_a_person_would_pick() {
    let town = Town::start().await;
    for (filter, pick) in SOME {
        let picked: Vec<&Value> = town.calls.iter().filter(|call| pick(call)).collect();
        assert!(
            !picked.is_empty() && picked.len() < town.calls.len(),
            "{filter} tells nothing apart"
        );
        check(&town, filter, &picked).await;
    }
    let all: Vec<&Value> = town.calls.iter().collect();
    for filter in ALL {
        check(&town, filter, &all).await;
    }
    for filter in NONE {
        check(&town, filter, &[]).await;
    }
}

async fn check(town: &Town, filter: &str, picked: &[&Value]) {
    let found = town.client.matching(&town.place.api(), filter).await;
    let found = found.unwrap_or_else(|| panic!("{filter} is refused"));
    let short = |call: &Value| format!("{} {} {}", call["id"], call["leg"], call["path"]);
    let found: Vec<String> = found.iter().map(short).collect();
    let picked: Vec<String> = picked.iter().map(|call| short(call)).collect();
    assert_eq!(found, picked, "{filter}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_counts_what_a_person_would_count() {
    let town = Town::start().await;
    let (status, summary) = town.ask("/api/v1/summary?group_by=edge,route,status").await;
    assert_eq!(status, 200, "{summary}");
    let groups = summary["groups"].as_array().unwrap();
    for group in groups {
        let members: Vec<&Value> = town
            .calls
            .iter()
            .filter(|call| {
                call["leg"] == group["leg"]
                    && to(call) == group["dst"]
                    && call["method"] == group["method"]
                    && call["route"] == group["route"]
                    && group["status"] == self::status(call)
            })
            .collect();
        assert_eq!(group["calls"], members.len(), "{group}");
        let failed = members
            .iter()
            .filter(|call| self::status(call) >= 500)
            .count();
        assert_eq!(group["errors"], failed, "{group}");
        for side in ["request", "response"] {
            let bytes: u64 = members
                .iter()
                .map(|call| call[side]["size"].as_u64().unwrap())
                .sum();
            assert_eq!(group[format!("{side}_bytes")], bytes, "{group}");
        }
        let mut latencies: Vec<f64> = members
            .iter()
            .map(|call| call["latency_ms"].as_f64().unwrap())
            .collect();
        latencies.sort_by(f64::total_cmp);
        let within = latencies[0] * 0.98 - 0.01..=latencies[latencies.len() - 1] * 1.02 + 0.01;
        for percentile in ["p50_ms", "p95_ms", "p99_ms"] {
            let value = group[percentile].as_f64().unwrap();
            assert!(
                within.contains(&value),
                "{percentile} of {group}: {latencies:?}"
            );
        }
    }
    let counted: u64 = groups
        .iter()
        .map(|group| group["calls"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, town.calls.len() as u64);
    let (_, one) = town.ask("/api/v1/summary?group_by=status&limit=1").await;
    assert_eq!(one["groups"].as_array().unwrap().len(), 1);
    assert!(one["groups_omitted"].as_u64() > Some(0), "{one}");
}

fn status(call: &Value) -> u64 {
    call["status"].as_u64().unwrap_or(0)
}

fn path(call: &Value) -> &str {
    call["path"].as_str().unwrap()
}

/// The workload that was called.
fn to(call: &Value) -> &str {
    call["dst"]["workload"].as_str().unwrap_or("")
}

fn header<'a>(call: &'a Value, side: &str, name: &str) -> Option<&'a str> {
    let headers = call[side]["headers"].as_array().unwrap();
    let header = headers
        .iter()
        .find(|header| header[0].as_str().unwrap().eq_ignore_ascii_case(name))?;
    header[1].as_str()
}
