//! The page on expectations, written from the types that read them, so that it names what is taken.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    Kind, cache, connections, count, headers, latency, n_plus_one, no_call, order, retries,
    secrets, status,
};
use crate::tools::schema::of_input;

const HEAD: &str = "\
# Expectations

What should hold of recorded calls, in one form for `verify` of MCP, `POST /api/v1/verify` and `remora verify FILE` (YAML or
JSON). This page is written from the code.

```yaml
snapshot: live:15m            # or the id of a snapshot
expectations:
  - name: payments back off
    check: retries
    args:
      filter: {src: orders, dst: payments}
      expect_retries: 3
      expect_backoff: {base_ms: 1000, factor: 2}
  - check: headers
    args:
      filter: {dst: orders, route: '/api/orders/{id}'}
      require: [{name: cache-control, pattern: '^max-age=[0-9]+$'}]
  - check: no_call
    args: {filter: {src: web, dst: admin}}
```

Each expectation comes to `pass`, `fail` or `inconclusive`, with what was expected, what was seen, and the ids of the calls that prove it.
All of them: one failure fails, and what is inconclusive keeps the rest from passing. Nothing matched is `inconclusive`. What
should *not* be (`no_call`, `secrets`, `count` with `max`, `headers` with `forbid`) passes only where it would have been seen: in a
snapshot that a wait has sealed, with a sidecar beside who was named. Everything else that passes does so only where no record of
such calls is missing. [What a verdict rests on](ground.md). A call that both sides recorded counts once.
Calls that an injected fault met are what `retries` is judged by; `status`, `latency`, `headers`, `cache` and `connections`
leave them out, `count` and `no_call` count them as others, and all seven say how many they are.

A filter is an object, every field of which must hold: `src`, `dst`, `method`, `route`, `path_prefix`, `status`, `min_ms`,
`header`, `revision`, `namespace`, `trace_id`, and `where`, which takes [CEL](filters.md). At most 20 expectations are judged at
a time, over at most 100,000 records.
";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for kind in Kind::ALL {
        let _ = write!(page, "\n## `{kind}`\n\n{}\n\n", about(kind));
        page.push_str("| argument | takes | |\n|---|---|---|\n");
        write_rows(&mut page, "", &arguments(kind));
    }
    page
}

fn arguments(kind: Kind) -> Map<String, Value> {
    match kind {
        Kind::Retries => of_input::<retries::Args>(),
        Kind::NPlusOne => of_input::<n_plus_one::Args>(),
        Kind::Cache => of_input::<cache::Args>(),
        Kind::Secrets => of_input::<secrets::Args>(),
        Kind::Connections => of_input::<connections::Args>(),
        Kind::Headers => of_input::<headers::Args>(),
        Kind::Latency => of_input::<latency::Args>(),
        Kind::Status => of_input::<status::Args>(),
        Kind::Count => of_input::<count::Args>(),
        Kind::NoCall => of_input::<no_call::Args>(),
        Kind::Order => of_input::<order::Args>(),
    }
}

const fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Retries => {
            "Attempts are calls with the same source, destination, method, path, query and body, and where that is sure the same \
             [cause](causality.md), each made when the one before it had failed: a status of 500 or above, 408, 425 or 429, a gRPC \
             status that stands for one, an error of a database that is a failure, says \"later\" (40001, 40P01, TRYAGAIN) or that the \
             statement was cancelled (57014), or no answer at all. A delay runs from the end of the failed attempt to the first byte \
             of the next. That there was no further retry can be told once it would have been due, and behind the last that is \
             expected after five minutes at most. Before, and while a call runs that may be one, it is `inconclusive`. Without \
             `expect_…` it asks whether anything is wrong: delays that do not grow, `Retry-After` passed over, retries that hide a \
             fault, more than six of them."
        }
        Kind::NPlusOne => {
            "How many calls with the same destination, method and route one call caused, counting those of which that is sure \
             ([how](causality.md)), and not attempts after a failure. Found are one call for each of something (five or more \
             different ones), and the same asked again, answered well and with the same each time."
        }
        Kind::Cache => {
            "Requests (GET and HEAD, answered well) with the same destination, path and query: a hit is one that made its service ask nobody, or that was answered with 304. It needs a sidecar beside the service, on both of its sides. Found are answers that never change, that anybody may have, and that are made anew each of five times or more; of answers longer than 4 KiB it is not known whether they change."
        }
        Kind::Secrets => {
            "Where secrets go, by the tags that stand in their place: in a URL; and what somebody had sent to a pod, sent on by it, out of the cluster, to another namespace or to another workload. A request that is passed through as it came, as gateways do, is none. `may_receive` names those who may have what was received."
        }
        Kind::Connections => {
            "How many connections the calls were made on, how many of them were on one that was used before, and how many were \
             reset or could not be made. Without limits it asks whether callers with a sidecar open one for each call. `min_reuse` \
             and the question without limits are about calls that can share a connection: a WebSocket cannot, and of what passes unread it is not known."
        }
        Kind::Headers => {
            "What every head has, and what none has. With `propagate` a header of the request has to go on, with the same value, \
             with every call that is [caused](causality.md); of trace headers the id of the trace. A value that was redacted cannot be compared with a pattern: `inconclusive`."
        }
        Kind::Latency => {
            "Percentiles by nearest rank, without streams. Where there are fewer calls than it takes to tell (20 for p95, 100 for \
             p99) a percentile that is too long is `inconclusive`."
        }
        Kind::Status => {
            "How every call ends. A status is asked of the calls that have one: one of HTTP not of databases, a name of gRPC's of \
             calls of gRPC alone. A call that failed is no 2xx, whatever its status says: a 200 that was cut off, a call of gRPC with \
             another status than OK, a connection that could not be made. Without `expect` it asks whether calls failed, as the filter \
             `failed` has it ([filters](filters.md)); statements that were cancelled (57014) leave that open: `inconclusive`."
        }
        Kind::Count => "How many calls there are.",
        Kind::NoCall => "That there is none.",
        Kind::Order => {
            "The first call of each step begins before the first call of the next. What two sidecars saw is put in order as far as \
             the calls between them tell how far their clocks are apart."
        }
    }
}

fn write_rows(page: &mut String, prefix: &str, schema: &Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, field) in properties.into_iter().flatten() {
        let Some(field) = field.as_object() else {
            continue;
        };
        let words = field
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .replace('\n', " ");
        let needed = match required.contains(&name.as_str()) && prefix.is_empty() {
            true => ", needed",
            false => "",
        };
        let _ = writeln!(
            page,
            "| `{prefix}{name}` | {}{needed} | {words} |",
            taken(name, field)
        );
        let inner = field
            .get("items")
            .and_then(Value::as_object)
            .unwrap_or(field);
        if !is_filter(name) {
            write_rows(page, &format!("{prefix}{name}."), inner);
        }
    }
}

fn is_filter(name: &str) -> bool {
    matches!(name, "filter" | "steps")
}

fn taken(name: &str, field: &Map<String, Value>) -> String {
    if let Some(words) = field.get("enum").and_then(Value::as_array) {
        let words = words.iter().filter_map(Value::as_str);
        return words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(choices) = field.get("oneOf").and_then(Value::as_array) {
        let words = choices.iter().filter_map(|it| it.get("const")?.as_str());
        return words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match (name, field.get("type").and_then(Value::as_str)) {
        ("filter", _) => "a filter".to_owned(),
        ("steps", _) => "a list of filters".to_owned(),
        (_, Some("array")) => "a list".to_owned(),
        (_, Some("integer")) => "a whole number".to_owned(),
        (_, Some("number")) => "a number".to_owned(),
        (_, Some("string")) => "a text".to_owned(),
        _ => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_docs_is_the_one_that_the_code_writes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/expectations.md");
        if std::env::var_os("REMORA_WRITE_DOCS").is_some() {
            std::fs::write(path, page()).expect("the page can be written");
        }
        let written = std::fs::read_to_string(path).expect("the page is there");
        assert_eq!(written, page(), "run this test with REMORA_WRITE_DOCS=1");
    }
}
