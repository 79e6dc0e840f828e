//! The way from the details of a database call to their messages and back.

use super::known;
use crate::block::record::{RedisRecord, SqlRecord};
use crate::call::{ErrorCode, MAX_ABOUT_BYTES, Redis, Severity, Sql, SqlError, SqlSent};

/// Longest command, name of a database or name of a user that is written.
const MAX_NAME_BYTES: usize = 256;

impl From<&Sql> for SqlRecord {
    fn from(sql: &Sql) -> Self {
        Self {
            command: clipped(&sql.command, MAX_NAME_BYTES),
            fingerprint: clipped(&sql.fingerprint, MAX_ABOUT_BYTES),
            sent: sql.sent.code().into(),
            params: sql.params,
            rows: sql.rows,
            error_code: sql
                .error
                .map_or_else(String::new, |error| error.code.to_string()),
            severity: sql.error.map_or(0, |error| error.severity.code().into()),
            database: named(&sql.database),
            user: named(&sql.user),
            in_transaction: sql.in_transaction,
        }
    }
}

impl From<SqlRecord> for Sql {
    fn from(record: SqlRecord) -> Self {
        let severity = known(record.severity, Severity::from_code).unwrap_or(Severity::Error);
        Self {
            command: record.command,
            fingerprint: record.fingerprint,
            sent: known(record.sent, SqlSent::from_code).unwrap_or_default(),
            params: record.params,
            rows: record.rows,
            error: ErrorCode::read(record.error_code.as_bytes())
                .map(|code| SqlError { code, severity }),
            database: record.database,
            user: record.user,
            in_transaction: record.in_transaction,
        }
    }
}

impl From<&Redis> for RedisRecord {
    fn from(redis: &Redis) -> Self {
        Self {
            command: clipped(&redis.command, MAX_NAME_BYTES),
            key: clipped(&redis.key, MAX_ABOUT_BYTES),
            keys: redis.keys,
            error_code: redis
                .error
                .map_or_else(String::new, |code| code.to_string()),
            database: redis.database,
            user: named(&redis.user),
            version: redis.version,
            in_transaction: redis.in_transaction,
        }
    }
}

impl From<RedisRecord> for Redis {
    fn from(record: RedisRecord) -> Self {
        Self {
            command: record.command,
            key: record.key,
            keys: record.keys,
            error: ErrorCode::read(record.error_code.as_bytes()),
            database: record.database,
            user: record.user,
            version: record.version,
            in_transaction: record.in_transaction,
        }
    }
}

fn clipped(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most))
        .unwrap_or_default()
        .to_owned()
}

fn named(name: &Option<String>) -> Option<String> {
    name.as_deref().map(|name| clipped(name, MAX_NAME_BYTES))
}
