//! What a call of a database is: a statement of SQL, or a command of Redis.
//!
//! These hold no values: literals, bind values, arguments, rows and messages of errors are bodies, and
//! fall under whatever is said of bodies. How those are written is [`crate::sql`]'s business.

use std::fmt;
use std::str::FromStr;

use super::UnknownWord;

/// Longest text of [`Sql::fingerprint`] and [`Redis::key`], in bytes.
pub const MAX_ABOUT_BYTES: usize = 1024;

/// A statement that was executed, without its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sql {
    /// What it does, in capitals, such as `SELECT`; of a statement with `WITH` what that is for.
    /// `CONNECT` for a session that was refused, `CANCEL` for a request to cancel.
    pub command: String,
    /// The statement with each literal written `?`, lists of them folded, comments gone and white space
    /// normalised; at most [`MAX_ABOUT_BYTES`].
    pub fingerprint: String,
    /// How it was sent.
    pub sent: SqlSent,
    /// How many bind values it had.
    pub params: u32,
    /// Rows that the server says were returned or changed; `None` where it says nothing of them.
    pub rows: Option<u64>,
    /// The error that the server answered.
    pub error: Option<SqlError>,
    /// Name of the database of the session, where its beginning was seen.
    pub database: Option<String>,
    /// Name of the user of the session.
    pub user: Option<String>,
    /// Whether a transaction block was open when it was sent, as far as is known.
    pub in_transaction: bool,
}

/// An error that a server of SQL answered. Its message is in the body of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlError {
    /// SQLSTATE, such as `23505`.
    pub code: ErrorCode,
    /// What it ended.
    pub severity: Severity,
}

/// A command of Redis, without its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redis {
    /// Name of the command in capitals, such as `GET`, with its subcommand where it has one.
    pub command: String,
    /// Its first key; empty where it has none. At most [`MAX_ABOUT_BYTES`].
    pub key: String,
    /// How many keys it names.
    pub keys: u32,
    /// First word of the error that the server answered, such as `WRONGTYPE`.
    pub error: Option<ErrorCode>,
    /// Number of the database that was selected; `None` where the session's beginning was not seen.
    pub database: Option<u32>,
    /// Name of the user of the session.
    pub user: Option<String>,
    /// Version of the protocol, 2 or 3; 0 where it is not known.
    pub version: u32,
    /// Whether it was queued in a transaction (`MULTI`).
    pub in_transaction: bool,
}

impl Sql {
    /// Whether it follows what others write for as long as its client likes, as replication does.
    pub fn follows(&self) -> bool {
        self.command == "START_REPLICATION"
    }
}

impl Redis {
    /// Whether it may wait until another client does something, as `BLPOP` does.
    pub fn waits(&self) -> bool {
        matches!(
            self.command.as_str(),
            "BLPOP"
                | "BRPOP"
                | "BLMOVE"
                | "BRPOPLPUSH"
                | "BLMPOP"
                | "BZPOPMIN"
                | "BZPOPMAX"
                | "BZMPOP"
                | "XREAD"
                | "XREADGROUP"
                | "WAIT"
                | "WAITAOF"
        )
    }
}

/// Code of an error that a server answered, such as `23505` or `WRONGTYPE`: at most
/// [`ErrorCode::MAX_BYTES`] letters, digits and `_` of ASCII.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode([u8; ErrorCode::MAX_BYTES]);

impl ErrorCode {
    /// Longest code.
    pub const MAX_BYTES: usize = 16;

    /// The code that `text` begins with; `None` where it begins with something else.
    pub fn read(text: &[u8]) -> Option<Self> {
        let is_code = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let mut code = [0; Self::MAX_BYTES];
        for (place, byte) in code.iter_mut().zip(text.iter().take_while(is_code)) {
            *place = *byte;
        }
        (code[0] != 0).then_some(Self(code))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0);
        let written = self.0.get(..length.unwrap_or(Self::MAX_BYTES));
        // Only ASCII goes in.
        written
            .and_then(|written| str::from_utf8(written).ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({})", self.as_str())
    }
}

words! {
    /// How a statement was sent.
    #[derive(Default)]
    SqlSent {
        /// As text, with its values in it.
        #[default]
        Simple = 0 "simple",
        /// Parsed and executed for this once, with its values apart.
        Extended = 1 "extended",
        /// Parsed before, by a name.
        Prepared = 2 "prepared",
        /// A function called by its number.
        Function = 3 "function",
        /// As no statement: a session that begins, or a request to cancel.
        Session = 4 "session",
    }
}

words! {
    /// What an error of SQL ended.
    Severity {
        /// The statement, and the transaction that it was in.
        Error = 0 "ERROR",
        /// The session.
        Fatal = 1 "FATAL",
        /// Every session of the server.
        Panic = 2 "PANIC",
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("23505", Some("23505"))]
    #[test_case("WRONGTYPE Operation against", Some("WRONGTYPE"); "the first word")]
    #[test_case("ABCDEFGHIJKLMNOPQRST", Some("ABCDEFGHIJKLMNOP"); "cut")]
    #[test_case("", None; "nothing")]
    #[test_case(" ERR", None; "no word")]
    #[test_case("é", None; "no ASCII")]
    fn a_code_is_what_a_text_begins_with(text: &str, expected: Option<&str>) {
        let code = ErrorCode::read(text.as_bytes());
        assert_eq!(code.as_ref().map(ErrorCode::as_str), expected);
    }
}
