//! What an error says that a database answered: that something is broken, or no more than "not so" (pure).

use crate::call::ErrorCode;

/// What an error says that a database answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Something is broken, or was written wrongly: the statement, the session, the server.
    Failure,
    /// An answer, as a 409 is one: a key is there already, a value is none, a lock is taken, or a client of
    /// Redis is told where or how to ask instead.
    Answer,
    /// The same may go well later: a transaction lost against another, or keys are on their way.
    Later,
    /// The statement was cancelled: by a timeout, or because somebody asked for it. Which, the code does not
    /// tell.
    Cancelled,
    /// Something failed before in the same transaction, and this was not even tried.
    Consequence,
}

/// Classes of SQLSTATE that are about values: data exceptions, and constraints of integrity (PostgreSQL,
/// appendix A).
const CLASSES_OF_VALUES: &[&str] = &["22", "23"];

impl Refusal {
    /// What a SQLSTATE of PostgreSQL says.
    pub fn of_sql(code: ErrorCode) -> Self {
        match code.as_str() {
            "40001" | "40P01" => Self::Later,
            "57014" => Self::Cancelled,
            "25P02" => Self::Consequence,
            // A lock that is not waited for, and what a function raises by itself.
            "55P03" | "P0001" => Self::Answer,
            code if is_of(CLASSES_OF_VALUES, code) => Self::Answer,
            _ => Self::Failure,
        }
    }

    /// What the first word of an error of Redis says.
    pub fn of_redis(code: ErrorCode) -> Self {
        match code.as_str() {
            // The key is on another node of the cluster, the script has to be sent whole, the group of
            // consumers is there already.
            "MOVED" | "ASK" | "NOSCRIPT" | "BUSYGROUP" => Self::Answer,
            "TRYAGAIN" => Self::Later,
            "EXECABORT" => Self::Consequence,
            _ => Self::Failure,
        }
    }
}

fn is_of(classes: &[&str], code: &str) -> bool {
    classes.iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn code(text: &str) -> ErrorCode {
        ErrorCode::read(text.as_bytes()).expect("it is a code")
    }

    #[test_case("23505", Refusal::Answer; "the key is there already")]
    #[test_case("22P02", Refusal::Answer; "that is no number")]
    #[test_case("55P03", Refusal::Answer; "the lock is taken")]
    #[test_case("P0001", Refusal::Answer; "a function says no")]
    #[test_case("40001", Refusal::Later; "not serializable")]
    #[test_case("40P01", Refusal::Later; "a deadlock")]
    #[test_case("57014", Refusal::Cancelled; "cancelled")]
    #[test_case("25P02", Refusal::Consequence; "behind an error")]
    #[test_case("08006", Refusal::Failure; "the connection")]
    #[test_case("26000", Refusal::Failure; "no such prepared statement")]
    #[test_case("28P01", Refusal::Failure; "the password")]
    #[test_case("42P01", Refusal::Failure; "no such table")]
    #[test_case("53300", Refusal::Failure; "too many connections")]
    #[test_case("54001", Refusal::Failure; "too complex")]
    #[test_case("57P01", Refusal::Failure; "the server shuts down")]
    #[test_case("58030", Refusal::Failure; "the disk")]
    #[test_case("XX000", Refusal::Failure; "a bug")]
    #[test_case("99999", Refusal::Failure; "a code that nobody knows")]
    fn a_code_of_postgresql_says(text: &str, expected: Refusal) {
        assert_eq!(Refusal::of_sql(code(text)), expected);
    }

    #[test_case("MOVED", Refusal::Answer)]
    #[test_case("ASK", Refusal::Answer)]
    #[test_case("NOSCRIPT", Refusal::Answer)]
    #[test_case("BUSYGROUP", Refusal::Answer)]
    #[test_case("TRYAGAIN", Refusal::Later)]
    #[test_case("EXECABORT", Refusal::Consequence)]
    #[test_case("WRONGTYPE", Refusal::Failure)]
    #[test_case("ERR", Refusal::Failure)]
    fn a_word_of_redis_says(text: &str, expected: Refusal) {
        assert_eq!(Refusal::of_redis(code(text)), expected);
    }
}
