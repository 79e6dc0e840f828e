//! What a server logged and what was recorded, told alike.

use serde_json::Value;

/// A statement that went well with its values as text, or the code of the error that it ended with.
pub type Told = (String, Result<Vec<String>, String>);

/// What the server logged: each statement that was executed.
pub fn logged(log: &[Value]) -> Vec<Told> {
    let mut told: Vec<Told> = log.iter().filter_map(logged_line).collect();
    told.sort();
    told
}

fn logged_line(line: &Value) -> Option<Told> {
    let message = line["message"].as_str()?;
    if line["error_severity"] == "ERROR" {
        let code = line["state_code"].as_str()?.to_owned();
        return Some((plain(line["statement"].as_str()?), Err(code)));
    }
    let (_, done) = message.strip_prefix("duration: ")?.split_once(" ms  ")?;
    if let Some(statement) = done.strip_prefix("statement: ") {
        return Some((plain(statement), Ok(Vec::new())));
    }
    let (_, statement) = done.strip_prefix("execute ")?.split_once(": ")?;
    let detail = line["detail"].as_str().unwrap_or_default();
    let values = detail
        .split_once("arameters: ")
        .map_or("", |(_, values)| values);
    Some((plain(statement), Ok(parameters(values))))
}

/// `$1 = '7', $2 = NULL, $3 = 'it''s'`
fn parameters(mut rest: &str) -> Vec<String> {
    let mut values = Vec::new();
    while let Some((_, value)) = rest.split_once(" = ") {
        if let Some(behind) = value.strip_prefix("NULL") {
            values.push("NULL".to_owned());
            rest = behind;
            continue;
        }
        let mut text = String::new();
        let mut quoted = &value[1..];
        loop {
            let (piece, behind) = quoted.split_once('\'').unwrap();
            text.push_str(piece);
            quoted = behind;
            match behind.strip_prefix('\'') {
                Some(more) => {
                    text.push('\'');
                    quoted = more;
                }
                None => break,
            }
        }
        values.push(text);
        rest = quoted;
    }
    values
}

/// What was recorded: each statement that was executed.
pub fn recorded(calls: &[Value]) -> Vec<Told> {
    let statements = calls
        .iter()
        .filter(|call| call["protocol"] == "postgresql" && call["sql"]["sent"] != "session");
    let mut told: Vec<Told> = statements.map(recorded_call).collect();
    told.sort();
    told
}

fn recorded_call(call: &Value) -> Told {
    let sql = &call["sql"];
    let statement = plain(sql["statement"].as_str().unwrap_or_default());
    if let Some(code) = call["error_code"].as_str() {
        return (statement, Err(code.to_owned()));
    }
    let as_text = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string()[..1].to_owned(),
        other => other.to_string(),
    };
    let values = sql["params"].as_array().into_iter().flatten().map(as_text);
    (statement, Ok(values.collect()))
}

/// A statement without what surrounds it.
fn plain(statement: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c == ';';
    statement.trim_matches(blank).to_owned()
}

/// Rows that statements returned or changed, all together.
pub fn rows(calls: &[Value]) -> u64 {
    let rows = calls.iter().filter_map(|call| call["sql"]["rows"].as_u64());
    rows.sum()
}
