//! What a call says as a statement of SQL, or as a command of Redis.

use remora_store::call::{Call, Detail};
use remora_store::sql::{error_message, statement};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A statement of SQL that was executed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sql)]
pub struct SqlJson {
    /// The statement as it was sent, as far as it was kept; `null` where you may not get bodies.
    #[schema(example = "SELECT * FROM orders WHERE id = $1")]
    pub statement: Option<String>,
    /// The statement with its values written `?`, lists of them folded, without comments.
    #[schema(example = "SELECT * FROM orders WHERE id = ?")]
    pub fingerprint: String,
    /// Its bind values: texts, numbers, `true`, `false`, `null`, arrays of these, and `{"bytes": 12}` for so
    /// many bytes that cannot be read as any of them. `null` where not all were kept.
    pub params: Option<Vec<Value>>,
    /// `simple`, `extended`, `prepared`, `function`, or `session` where it is none.
    pub sent: &'static str,
    /// Rows that the server says it returned or changed.
    pub rows: Option<u64>,
    /// The error that the server answered.
    pub error: Option<SqlErrorJson>,
    /// Database of the session, where its beginning was seen.
    pub database: Option<String>,
    /// User of the session.
    pub user: Option<String>,
    /// Whether a transaction block was open when it was sent.
    pub in_transaction: bool,
}

/// An error that a server of SQL answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlError)]
pub struct SqlErrorJson {
    /// SQLSTATE.
    #[schema(example = "23505")]
    pub code: String,
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: &'static str,
    /// What the server says; `null` where it was not kept, or you may not get bodies.
    pub message: Option<String>,
}

/// A command of Redis.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Redis)]
pub struct RedisJson {
    /// Its name in capitals.
    #[schema(example = "GET")]
    pub command: String,
    /// Its first key.
    #[schema(example = "order:17")]
    pub key: Option<String>,
    /// How many keys it names.
    pub keys: u32,
    /// First word of the error that the server answered.
    #[schema(example = "WRONGTYPE")]
    pub error: Option<String>,
    /// Number of the database, where that is known.
    pub database: Option<u32>,
    /// User of the session, where that is known.
    pub user: Option<String>,
    /// Version of the protocol; `null` where that is not known.
    pub version: Option<u32>,
    /// Whether it was queued in a transaction.
    pub in_transaction: bool,
}

pub(super) fn sql(call: &Call) -> Option<SqlJson> {
    let Detail::Sql(sql) = &call.detail else {
        return None;
    };
    let (text, params) = match statement(call) {
        Some(statement) => (Some(statement.text.into_owned()), statement.params),
        None => (None, None),
    };
    Some(SqlJson {
        statement: text,
        fingerprint: sql.fingerprint.clone(),
        params,
        sent: sql.sent.as_str(),
        rows: sql.rows,
        error: sql.error.map(|error| SqlErrorJson {
            code: error.code.to_string(),
            severity: error.severity.as_str(),
            message: error_message(call).flatten(),
        }),
        database: sql.database.clone(),
        user: sql.user.clone(),
        in_transaction: sql.in_transaction,
    })
}

pub(super) fn redis(call: &Call) -> Option<RedisJson> {
    let Detail::Redis(redis) = &call.detail else {
        return None;
    };
    Some(RedisJson {
        command: redis.command.clone(),
        key: (!redis.key.is_empty()).then(|| redis.key.clone()),
        keys: redis.keys,
        error: redis.error.map(|code| code.to_string()),
        database: redis.database,
        user: redis.user.clone(),
        version: (redis.version != 0).then_some(redis.version),
        in_transaction: redis.in_transaction,
    })
}

#[cfg(test)]
mod tests {
    use remora_store::call::{ErrorCode, Severity, SqlError};
    use remora_store::testing::{redis_call, sql_call};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_statement_is_shown_with_its_values() {
        let mut call = sql_call(5, "SELECT * FROM orders WHERE id = ?");
        call.request.body = "SELECT * FROM orders WHERE id = $1\n[\"x\"]".into();
        call.response.body = "{\"message\":\"no such order\"}".into();
        if let Detail::Sql(sql) = &mut call.detail {
            sql.params = 1;
            let code = ErrorCode::read(b"22P02").expect("a code");
            let severity = Severity::Error;
            sql.error = Some(SqlError { code, severity });
        }
        let shown = serde_json::to_value(sql(&call)).expect("plain values");
        let expected = json!({
            "statement": "SELECT * FROM orders WHERE id = $1",
            "fingerprint": "SELECT * FROM orders WHERE id = ?",
            "params": ["x"],
            "sent": "simple",
            "rows": 1,
            "error": {"code": "22P02", "severity": "ERROR", "message": "no such order"},
            "database": "shop",
            "user": "orders",
            "in_transaction": false,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn where_bodies_are_withheld_its_values_are_too() {
        let mut call = sql_call(5, "SELECT * FROM orders WHERE id = ?");
        call.request.body.clear();
        let shown = sql(&call).expect("a statement");
        assert_eq!((shown.statement, shown.params), (None, None));
    }

    #[test]
    fn a_command_is_shown_with_its_key() {
        let shown = serde_json::to_value(redis(&redis_call(5, "GET", "order:17")));
        let expected = json!({
            "command": "GET", "key": "order:17", "keys": 1, "error": null,
            "database": null, "user": null, "version": 2, "in_transaction": false,
        });
        assert_eq!(shown.expect("plain values"), expected);
    }
}
