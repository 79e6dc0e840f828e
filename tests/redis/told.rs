//! What was recorded, in the words of the server's own accounts.

use std::collections::BTreeMap;

use serde_json::Value;

/// How often each command was recorded, by the names of `INFO commandstats`. What the server does not know
/// it does not count.
pub fn counts(calls: &[Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for call in calls.iter().filter(|call| is_known(call)) {
        let method = call["method"].as_str().unwrap_or_default();
        let name = method.to_lowercase().replace(' ', "|");
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// Every recorded command that a monitor is shown, as its arguments.
pub fn commands(calls: &[Value]) -> Vec<Vec<String>> {
    let shown = calls
        .iter()
        .filter(|call| is_known(call) && !is_hidden(call));
    shown
        .map(|call| {
            let line = call["request"]["body"].as_str().unwrap_or_default();
            // A monitor escapes what is not ASCII.
            let escaped = |c: char| match c.is_ascii() {
                true => c.to_string(),
                false => c.to_string().as_bytes().escape_ascii().to_string(),
            };
            let line: String = line.chars().map(escaped).collect();
            lower_name(arguments(&line))
        })
        .collect()
}

/// The commands in the lines of a monitor: `1339518083.107412 [0 127.0.0.1:60866] "get" "a"`.
pub fn monitored(lines: &[String]) -> Vec<Vec<String>> {
    let shown = lines.iter().map(|line| {
        let (_, command) = line.split_once("] ").unwrap_or_else(|| panic!("{line}"));
        lower_name(arguments(command))
    });
    shown.collect()
}

fn is_known(call: &Value) -> bool {
    let reply = call["response"]["body"].as_str().unwrap_or_default();
    call["protocol"] == "redis" && !reply.starts_with("ERR unknown")
}

/// What credentials are in, and what changes nothing, is not shown to a monitor.
fn is_hidden(call: &Value) -> bool {
    let refused = call["redis"]["error"] != Value::Null
        && !matches!(call["redis"]["error"].as_str(), Some("WRONGTYPE"));
    refused || matches!(call["method"].as_str(), Some("AUTH" | "QUIT"))
}

fn lower_name(mut arguments: Vec<String>) -> Vec<String> {
    if let Some(name) = arguments.first_mut() {
        *name = name.to_lowercase();
    }
    arguments
}

/// The arguments of a line, quoted or not.
fn arguments(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(first) = rest.next() {
        let mut argument = String::new();
        match first {
            ' ' => continue,
            '"' => {
                while let Some(next) = rest.next() {
                    match next {
                        '"' => break,
                        '\\' => argument.extend(['\\'].into_iter().chain(rest.next())),
                        next => argument.push(next),
                    }
                }
            }
            first => {
                argument.push(first);
                while let Some(next) = rest.next_if(|next| *next != ' ') {
                    argument.push(next);
                }
            }
        }
        arguments.push(argument);
    }
    arguments
}
