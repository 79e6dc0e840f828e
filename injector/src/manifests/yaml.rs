//! One document to a value and back, by the rules of the YAML that Kubernetes speaks.

use serde_json::Value;

/// Most that aliases may stand for, counted in scalars and collections: beyond it they are a bomb.
const MAX_REPLAYED_EVENTS: usize = 20_000;

/// Reads a document; an empty one is null.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: false,
        legacy_octal_numbers: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED_EVENTS,
        },
    };
    if says_nothing(text) {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Writes `value` in place of `original`: in its language, behind its marker and its leading comments.
pub(super) fn write(value: &Value, original: &str) -> Result<String, String> {
    if original.trim_start().starts_with(['{', '[']) {
        let json = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
        return Ok(json + "\n");
    }
    let mut text: String = original
        .split_inclusive('\n')
        .take_while(|line| is_blank(line))
        .collect();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&serde_saphyr::to_string(value).map_err(|error| error.to_string())?);
    Ok(text)
}

/// Whether there are only markers and comments.
fn says_nothing(text: &str) -> bool {
    text.lines().all(is_blank)
}

/// Whether a line is empty, a comment or a marker.
fn is_blank(line: &str) -> bool {
    let line = line.trim_end();
    let marked = line.strip_prefix("---").unwrap_or(line).trim_start();
    marked.is_empty() || marked.starts_with('#')
}
