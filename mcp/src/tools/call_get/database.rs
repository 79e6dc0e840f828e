//! What a call of a database is shown with beside its bodies.

use crate::call_json::CallJson;
use crate::tools::fence::Fence;

/// Longest line.
const LINE_BYTES: usize = 400;

/// Writes what is known of a statement or command, inside the fence.
pub(super) fn write_details(json: &CallJson, fence: &mut Fence) {
    if let Some(sql) = &json.sql {
        let rows = sql.rows.map(|rows| format!("{rows} rows"));
        let error = sql.error.as_ref();
        let error = error.map(|error| format!("{} {}", error.severity, error.code));
        let facts = [
            Some(format!("[SQL, {}", sql.sent)),
            named("database", &sql.database),
            named("user", &sql.user),
            sql.in_transaction.then(|| "in a transaction".to_owned()),
            rows,
            error,
        ];
        write(facts, fence);
    }
    if let Some(redis) = &json.redis {
        let facts = [
            Some("[Redis".to_owned()),
            redis.version.map(|version| format!("RESP{version}")),
            redis
                .database
                .map(|database| format!("database {database}")),
            named("user", &redis.user),
            redis.in_transaction.then(|| "in a transaction".to_owned()),
            redis.error.clone(),
        ];
        write(facts, fence);
    }
}

fn named(what: &str, name: &Option<String>) -> Option<String> {
    name.as_ref().map(|name| format!("{what} {name}"))
}

fn write(facts: impl IntoIterator<Item = Option<String>>, fence: &mut Fence) {
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    fence.line(&format!("{}]", facts.join(", ")), LINE_BYTES);
}
