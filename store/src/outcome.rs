//! How a call ended, in a word, and whether that counts as a failure (pure).
//!
//! Told alike from a call and from the columns of its block.

mod refusal;

use std::fmt;

pub use refusal::Refusal;

use crate::block::Columns;
use crate::call::{Call, CallError, Detail, ErrorCode, Protocol};
use crate::grpc;
use crate::head::response_status;

/// How a call ended: with a status, else with an error, else neither is known.
///
/// That HTTP went well says nothing of a gRPC call. A database has no status where all went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Status of the response.
    Status(u16),
    /// Status of a gRPC call.
    Grpc(u16),
    /// Error that a database answered.
    Refused(ErrorCode),
    /// A database answered, and no error.
    Answered,
    /// Why there was no status.
    Error(CallError),
    /// No status was seen, and no error; or one that only newer sidecars know.
    Nothing,
}

impl fmt::Display for Outcome {
    /// Writes the status, the name of gRPC's, the code of a database's error or `ok`, the word of the
    /// error, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Grpc(status) => grpc::status_name(*status).fmt(f),
            Self::Refused(code) => code.fmt(f),
            Self::Answered => f.write_str("ok"),
            Self::Error(error) => error.fmt(f),
            Self::Nothing => f.write_str("none"),
        }
    }
}

/// Everything that is known of the end of a call.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    is_grpc: bool,
    is_sql: bool,
    /// Whether it lasts as long as somebody wants to listen ([`Call::is_stream`]).
    is_stream: bool,
    /// Whether a database answered.
    is_answered: bool,
    /// What error it answered.
    refused: Option<ErrorCode>,
    /// 0 for none.
    status: u16,
    /// Plus one; 0 for none.
    grpc_status: u16,
    /// Code plus one; 0 for none.
    error: u8,
}

impl Ending {
    /// The end of a call.
    pub fn of(call: &Call) -> Self {
        Self {
            is_grpc: call.protocol == Protocol::Grpc,
            is_sql: call.protocol == Protocol::Postgresql,
            is_stream: call.is_stream(),
            is_answered: call.protocol.is_database() && call.phases.latency_ns().is_some(),
            refused: refused(call),
            status: response_status(&call.response.head).unwrap_or_default(),
            grpc_status: grpc::status(call).map_or(0, |status| status + 1),
            error: call.error.map_or(0, |error| error.code() + 1),
        }
    }

    /// The end of the call in a row; of one that is not there, nothing.
    pub fn at(columns: &Columns, row: usize) -> Self {
        let number = |column: &[u16]| column.get(row).copied().unwrap_or_default();
        let code = columns.protocol.get(row).copied();
        let is = |protocol: Protocol| code == Some(protocol.code());
        Self {
            is_grpc: is(Protocol::Grpc),
            is_sql: is(Protocol::Postgresql),
            is_stream: columns.streams.get(row).copied().unwrap_or_default(),
            is_answered: (is(Protocol::Postgresql) || is(Protocol::Redis))
                && columns.latency_ns.get(row).is_some_and(|&ns| ns != 0),
            refused: columns
                .refused
                .get(row)
                .and_then(|&number| columns.texts.get(number as usize))
                .and_then(|code| ErrorCode::read(code.as_bytes())),
            status: number(&columns.status),
            grpc_status: number(&columns.grpc_status),
            error: columns.error.get(row).copied().unwrap_or_default(),
        }
    }

    /// Whether the call failed: a status of 500 or above, a gRPC status that stands for one
    /// ([`grpc::is_server_failure`]), an error of a database that is no answer ([`Refusal`]), or an error below
    /// the protocol. A 404 or a NOT_FOUND is an answer, and so is a key that is there already. A stream is over
    /// when its client has heard enough.
    pub fn failed(self) -> bool {
        let grpc_status = self.grpc_status.checked_sub(1);
        self.status >= 500
            || self.is_broken()
            || self.refusal() == Some(Refusal::Failure)
            || grpc_status.is_some_and(grpc::is_server_failure)
    }

    /// What the error says that a database answered.
    pub fn refusal(self) -> Option<Refusal> {
        let code = self.refused?;
        Some(match self.is_sql {
            true => Refusal::of_sql(code),
            false => Refusal::of_redis(code),
        })
    }

    /// Whether something ended it that should not have, perhaps something that only newer sidecars know.
    fn is_broken(self) -> bool {
        let left = self.error().is_some_and(CallError::is_client_leaving);
        self.error != 0 && !(self.is_stream && left)
    }

    fn error(self) -> Option<CallError> {
        CallError::from_code(self.error.checked_sub(1)?)
    }

    /// How the call ended, in a word.
    pub fn outcome(self) -> Outcome {
        let error = match self.error() {
            Some(error) => Outcome::Error(error),
            None if self.is_answered => Outcome::Answered,
            None => Outcome::Nothing,
        };
        if let Some(code) = self.refused {
            return Outcome::Refused(code);
        }
        match (self.grpc_status.checked_sub(1), self.status) {
            (Some(status), _) => Outcome::Grpc(status),
            (None, 200) if self.is_grpc => error,
            (None, 0) => error,
            (None, status) => Outcome::Status(status),
        }
    }
}

/// Code of the error that a database answered.
pub fn refused(call: &Call) -> Option<ErrorCode> {
    match &call.detail {
        Detail::Sql(sql) => sql.error.map(|error| error.code),
        Detail::Redis(redis) => redis.error,
        Detail::None | Detail::Tls(_) | Detail::Opaque(_) | Detail::Http2(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::testing::{call, grpc_call, redis_call, sql_call};

    fn assert_ends(call: &Call, word: &str, fails: bool) {
        let ending = Ending::of(call);
        let ended = (ending.outcome().to_string(), ending.failed());
        assert_eq!(ended, (word.to_owned(), fails));
    }

    #[test_case(200, None, "200", false)]
    #[test_case(404, None, "404", false)]
    #[test_case(503, None, "503", true)]
    #[test_case(200, Some(CallError::ServerClosed), "200", true; "cut off")]
    fn a_call_of_http_ends(status: u16, error: Option<CallError>, word: &str, fails: bool) {
        let mut call = call(5, "/", status);
        call.error = error;
        assert_ends(&call, word, fails);
    }

    #[test_case(CallError::ClientClosed, false; "closed")]
    #[test_case(CallError::ClientReset, false; "closed with something on its way")]
    #[test_case(CallError::ClientCancelled, false; "cancelled")]
    #[test_case(CallError::ServerClosed, true; "by the server")]
    fn a_stream_is_over_when_its_client_has_heard_enough(error: CallError, fails: bool) {
        let mut events = call(5, "/events", 200);
        events.error = Some(error);
        assert_ends(&events, "200", true);
        events.stream = Some(Box::default());
        assert_ends(&events, "200", fails);
    }

    #[test_case(redis_call(5, "BLPOP", "jobs"), false; "a worker that waits for jobs")]
    #[test_case(sql_call(5, "START_REPLICATION SLOT s LOGICAL ?"), false; "a standby that follows")]
    #[test_case(redis_call(5, "LPOP", "jobs"), true; "a command that does not wait")]
    fn whoever_waits_may_leave(mut call: Call, fails: bool) {
        call.phases.response_last = None;
        call.error = Some(CallError::ClientClosed);
        assert_ends(&call, "client_closed", fails);
    }

    #[test_case(Some(0), None, "OK", false)]
    #[test_case(Some(5), None, "NOT_FOUND", false)]
    #[test_case(Some(13), None, "INTERNAL", true)]
    #[test_case(Some(4), Some(CallError::ClientCancelled), "DEADLINE_EXCEEDED", true)]
    #[test_case(Some(42), None, "STATUS_42", true; "unknown")]
    #[test_case(None, Some(CallError::ClientCancelled), "client_cancelled", true; "given up")]
    #[test_case(None, None, "none", false; "still running")]
    fn a_call_of_grpc_ends(status: Option<u16>, error: Option<CallError>, word: &str, fails: bool) {
        let mut call = grpc_call(5, "/shop.Orders/Get", status);
        call.error = error;
        assert_ends(&call, word, fails);
    }

    #[test]
    fn a_database_call_ends() {
        let mut call = sql_call(5, "SELECT ?");
        assert_ends(&call, "ok", false);
        let severity = crate::call::Severity::Error;
        for (word, fails) in [("23505", false), ("42601", true)] {
            let code = ErrorCode::read(word.as_bytes()).expect("a code");
            if let Detail::Sql(sql) = &mut call.detail {
                sql.error = Some(crate::call::SqlError { code, severity });
            }
            assert_ends(&call, word, fails);
        }
        let mut call = redis_call(5, "GET", "order:17");
        for (word, fails) in [("MOVED", false), ("WRONGTYPE", true)] {
            if let Detail::Redis(redis) = &mut call.detail {
                redis.error = ErrorCode::read(word.as_bytes());
            }
            assert_ends(&call, word, fails);
        }
        let mut call = redis_call(5, "GET", "order:17");
        call.phases.response_last = None;
        assert_ends(&call, "none", false);
        call.error = Some(CallError::ServerReset);
        assert_ends(&call, "server_reset", true);
    }

    #[test]
    fn a_proxy_that_answers_grpc_with_http_is_told_by_its_status() {
        let mut call = grpc_call(5, "/shop.Orders/Get", None);
        call.response.head = ":status: 502\r\n".into();
        assert_ends(&call, "502", true);
    }
}
