//! What the error of a statement and its fingerprint tell of its secrets.

use remora_store::call::{ErrorCode, Severity, SqlError};
use test_case::test_case;

use super::*;

/// A statement that was refused with this code and line.
fn refused(statement: &str, line: &str) -> Call {
    let mut call = sql_call(5, statement);
    call.request.body = statement.to_owned().into();
    call.request.body_size = statement.len() as u64;
    call.response.body = line.to_owned().into();
    if let Detail::Sql(sql) = &mut call.detail {
        let code = ErrorCode::read(b"22P02").unwrap();
        let severity = Severity::Error;
        sql.error = Some(SqlError { code, severity });
    }
    let key = RedactionKey::new("k".to_owned(), &[1; 32]);
    Redactor::new(&key, &Redaction::default()).redact(&mut call);
    call
}

#[test_case("SELECT 1 WHERE pin = 'code'", r##"{"code":"22P02","message":"no integer: \"code\" (encoded)"}"##, r##"{"code":"22P02","message":"no integer: \"#\" (encoded)"}"##; "a literal")]
#[test_case("INSERT INTO u SELECT * FROM t", r##"{"code":"23505","detail":"Key (lower(name), api_key)=(bob, hun)ter2) already exists."}"##, r##"{"code":"23505","detail":"Key (lower(name), api_key)=(#) already exists."}"##; "the values of a key")]
#[test_case("INSERT INTO u SELECT * FROM t", r##"{"code":"23505","detail":"Key (name)=(bob) already exists."}"##, r##"{"code":"23505","detail":"Key (name)=(bob) already exists."}"##; "a key without a secret")]
#[test_case("SELECT 1 WHERE password = 'hunter2'", r##"{"message":"no: hunter2, but it is"##, r##"{"message":"no: #, but it is"##; "cut off")]
fn an_error_tells_no_secret(statement: &str, line: &str, expected: &str) {
    let call = refused(statement, line);
    assert_eq!(short(&call.response.body), expected);
}

#[test]
fn a_value_in_the_quotes_of_names_is_in_no_part_of_a_call() {
    let statement = "SELECT a FROM u WHERE password = \"hunter2\" AND b = \"c\"";
    let call = refused(
        statement,
        r#"{"message":"column \"hunter2\" is not there"}"#,
    );
    let Detail::Sql(sql) = &call.detail else {
        unreachable!()
    };
    assert_eq!(
        sql.fingerprint,
        "SELECT a FROM u WHERE password = ? AND b = \"c\""
    );
    assert!(!format!("{call:?}").contains("hunter2"), "{call:?}");
}
