//! What a call of a database is to a check: a question, a change, or neither.

use remora_store::call::Protocol;

use crate::traffic::Observed;

/// Commands of SQL that read or change data.
const DATA_COMMANDS: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "CALL", "VALUES", "TABLE", "EXECUTE",
];
/// Statements by which pools ask whether a connection still works.
const PINGS: &[&str] = &[
    "SELECT ?",
    "SELECT",
    "SELECT version()",
    "SELECT pg_catalog.version()",
];
/// Commands of Redis that are about the connection, a transaction or the server, and not about data.
const NO_DATA: &[&str] = &[
    "PING",
    "ECHO",
    "AUTH",
    "HELLO",
    "SELECT",
    "QUIT",
    "RESET",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH",
    "UNWATCH",
    "INFO",
    "TIME",
    "ROLE",
    "COMMAND",
    "ASKING",
    "READONLY",
    "READWRITE",
    "WAIT",
    // Reading on where the call before ended is no question of its own.
    "SCAN",
    "SSCAN",
    "HSCAN",
    "ZSCAN",
];
/// Commands of Redis that change nothing.
const READS: &[&str] = &[
    "GET",
    "MGET",
    "EXISTS",
    "GETRANGE",
    "STRLEN",
    "TTL",
    "PTTL",
    "TYPE",
    "HGET",
    "HMGET",
    "HGETALL",
    "HKEYS",
    "HVALS",
    "HLEN",
    "HEXISTS",
    "LRANGE",
    "LINDEX",
    "LLEN",
    "SMEMBERS",
    "SISMEMBER",
    "SCARD",
    "SINTER",
    "SUNION",
    "SDIFF",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZSCORE",
    "ZRANK",
    "ZCARD",
    "ZCOUNT",
    "XRANGE",
    "XLEN",
    "GETBIT",
    "BITCOUNT",
    "JSON.GET",
];

/// Whether a call asks for data of its server: a database is also told where a transaction begins and
/// ends, and asked whether it is there.
pub(super) fn asks_for_data(call: &Observed) -> bool {
    let method = call.method.as_str();
    let is_data = match call.found.call.protocol {
        Protocol::Postgresql => {
            DATA_COMMANDS.contains(&method) && !PINGS.contains(&call.route.as_str())
        }
        // The second half of a name is about the server too: `CLIENT SETNAME`.
        Protocol::Redis => !NO_DATA.contains(&method) && !method.contains(' '),
        _ => true,
    };
    is_data && call.is_request()
}

/// Whether a call only introduces a client to its server: newer clients say more of themselves than older
/// servers take, and go on when they are refused.
pub(super) fn is_greeting(call: &Observed) -> bool {
    let method = call.method.as_str();
    call.found.call.protocol == Protocol::Redis
        && (method == "HELLO" || method.starts_with("CLIENT "))
}

/// Whether asking again is asking for the same: nothing is changed by it.
pub(super) fn only_reads(call: &Observed) -> bool {
    let method = call.method.as_str();
    match call.found.call.protocol {
        Protocol::Postgresql => method == "SELECT",
        Protocol::Redis => READS.contains(&method),
        _ => matches!(method, "GET" | "HEAD"),
    }
}

/// Whether a call is of a store that answers are kept in, and not of where they come from.
pub(super) fn is_of_cache(call: &Observed) -> bool {
    call.found.call.protocol == Protocol::Redis
}

/// What one of these calls is called, if they are of one kind.
pub(super) fn noun(calls: &[&Observed]) -> &'static str {
    let mut protocols = calls.iter().map(|call| call.found.call.protocol);
    let first = protocols.next();
    match first.filter(|first| protocols.all(|it| it == *first)) {
        Some(Protocol::Postgresql) => "PostgreSQL query",
        Some(Protocol::Redis) => "Redis command",
        _ => "call",
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::traffic::testing::{Told, command, get, statement, traffic};

    #[test_case(get(0, "/a", 200), (true, true); "a page")]
    #[test_case(statement(0, "SELECT * FROM orders WHERE id = ?", 7), (true, true); "a query")]
    #[test_case(statement(0, "INSERT INTO orders VALUES (?)", 7), (true, false); "a change")]
    #[test_case(statement(0, "BEGIN", 7), (false, false); "a transaction")]
    #[test_case(statement(0, "SELECT ?", 7), (false, true); "a ping of a pool")]
    #[test_case(command(0, "GET", "order:7"), (true, true); "a lookup")]
    #[test_case(command(0, "HSET", "order:7"), (true, false); "a change in redis")]
    #[test_case(command(0, "PING", ""), (false, false); "a ping of redis")]
    #[test_case(command(0, "CLIENT SETNAME", ""), (false, false); "a name for a connection")]
    #[test_case(statement(0, "FETCH ? FROM c", 7), (false, false); "the next page of a cursor")]
    #[test_case(command(0, "SCAN", ""), (false, false); "the next page of keys")]
    fn a_call_asks_or_changes_or_neither(told: Told, expected: (bool, bool)) {
        let traffic = traffic([told]);
        let call = &traffic.observed()[0];
        assert_eq!((asks_for_data(call), only_reads(call)), expected);
    }
}
