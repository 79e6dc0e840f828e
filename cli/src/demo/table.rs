//! The table of what the demo saw: one row per edge, route and status, drawn for a person.

use std::fmt::Write;

use serde_json::Value;

/// Rows of the summary, as text. Times are in milliseconds.
pub(super) fn render(summary: &Value) -> String {
    let heading = [
        "LEG", "FROM", "TO", "REQUEST", "STATUS", "CALLS", "P50 ms", "P95 ms",
    ]
    .map(str::to_owned);
    let groups = summary
        .get("groups")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let rows: Vec<[String; 8]> = std::iter::once(heading)
        .chain(groups.iter().map(row))
        .collect();
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn row(group: &Value) -> [String; 8] {
    let text = |name: &str| {
        group
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let millis = |name: &str| {
        let value = group.get(name).and_then(Value::as_f64);
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
    };
    let calls = group
        .get("calls")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        .to_string();
    let (method, route) = (text("method"), text("route"));
    // A statement says its command itself.
    let request = match route.starts_with(&format!("{method} ")) {
        true => route,
        false => format!("{method} {route}"),
    };
    [
        text("leg"),
        text("src"),
        text("dst"),
        request,
        outcome(group),
        calls,
        millis("p50_ms"),
        millis("p95_ms"),
    ]
}

/// The status, or why there was none.
fn outcome(group: &Value) -> String {
    let told = ["status", "grpc_status", "error"].map(|name| group.get(name));
    match told.into_iter().flatten().find(|value| !value.is_null()) {
        Some(Value::String(word)) => word.clone(),
        Some(number) => number.to_string(),
        None => "-".to_owned(),
    }
}

/// One line: text to the left, the last three columns (figures) to the right.
fn line(row: &[String; 8], widths: &[usize; 8]) -> String {
    let mut line = String::from(" ");
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width - cell.chars().count());
        // Writing to a String cannot fail.
        let _ = if column < 5 {
            write!(line, " {cell}{padding}")
        } else {
            write!(line, " {padding}{cell}")
        };
        line.push(' ');
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_and_figures_stand_to_the_right() {
        let group = |src: &str, status: Value, error: Value, calls: u32| {
            json!({"leg": "inbound", "src": src, "dst": "orders", "method": "GET", "route": "/orders/{id}",
                   "status": status, "grpc_status": null, "error": error, "calls": calls,
                   "p50_ms": 1.25, "p95_ms": null})
        };
        let table = render(&json!({"groups": [
            group("storefront", json!(200), Value::Null, 120),
            group("x", Value::Null, json!("server_reset"), 7),
        ]}));
        let mut statement = group("x", Value::Null, Value::Null, 7);
        statement["method"] = json!("SELECT");
        statement["route"] = json!("SELECT id FROM orders");
        assert_eq!(row(&statement)[3], "SELECT id FROM orders");
        let expected = [
            "  LEG      FROM        TO      REQUEST           STATUS        CALLS  P50 ms  P95 ms",
            "  inbound  storefront  orders  GET /orders/{id}  200             120    1.25       -",
            "  inbound  x           orders  GET /orders/{id}  server_reset      7    1.25       -",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }
}
