//! How the bodies of a call of SQL are written, and read again.
//!
//! The body of the request is the statement as it was sent. Where it had bind values, a line follows
//! with a JSON array of them: texts, numbers, `true`, `false` and `null`, arrays of these, or
//! `{"bytes": 12}` for so many bytes that cannot be read as any of them. The body of the response has a line for each row: a JSON object of the
//! columns in their order, written like the values, or an array where the columns' names were not seen.
//! An error is a line behind the rows: `{"severity", "code", "message"}` and what else it says. Data of
//! `COPY` stands as it was sent.

use std::borrow::Cow;

use serde_json::Value;

use crate::call::{Call, Detail, Message, Omitted, Sql};

/// A statement with its bind values, as far as both were kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement<'a> {
    /// The statement as it was sent.
    pub text: Cow<'a, str>,
    /// Whether only its beginning was kept.
    pub cut: bool,
    /// Its bind values; `None` where they were not all kept.
    pub params: Option<Vec<Value>>,
}

/// The statement of a call; `None` where it is no call of SQL, or nothing of the statement was kept.
pub fn statement(call: &Call) -> Option<Statement<'_>> {
    let Detail::Sql(sql) = &call.detail else {
        return None;
    };
    let (text, values) = split(sql, &call.request)?;
    let params = match values {
        _ if sql.params == 0 => Some(Vec::new()),
        Some(values) => serde_json::from_slice(values).ok(),
        None => None,
    };
    Some(Statement {
        text: String::from_utf8_lossy(text),
        cut: values.is_none() && call.request.truncated(),
        params,
    })
}

/// The kept bytes of a statement, and those of the line of its bind values.
///
/// `None` where nothing of the statement was kept.
pub fn split<'a>(sql: &Sql, request: &'a Message) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let body = request.body.as_ref();
    if body.is_empty() && request.body_size > 0 {
        return None;
    }
    if sql.params == 0 {
        return Some((body, None));
    }
    // A line of JSON holds no line end. Of a body that was cut it is there if it has begun, which the
    // last line of a statement hardly looks like.
    let values = memchr::memrchr(b'\n', body).map(|end| body.split_at(end));
    match values {
        Some((statement, [b'\n', values @ ..])) if begins_values(values) => {
            Some((statement, Some(values)))
        }
        _ => Some((body, None)),
    }
}

/// Whether a line begins as an array of values does.
fn begins_values(line: &[u8]) -> bool {
    match line {
        [b'[', first, ..] => matches!(
            first,
            b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'{' | b'['
        ),
        line => line == b"[",
    }
}

/// The message of the error that the server answered: `None` where it answered none, `Some(None)` where
/// its message was not kept.
pub fn error_message(call: &Call) -> Option<Option<String>> {
    let Detail::Sql(Sql { error: Some(_), .. }) = &call.detail else {
        return None;
    };
    let body = call.response.body.as_ref();
    let line = memchr::memrchr(b'\n', body)
        .and_then(|end| body.get(end + 1..))
        .unwrap_or(body);
    let is_cut = call
        .response
        .omitted
        .is_some_and(|why| why != Omitted::Head);
    let error: Option<Value> = serde_json::from_slice(line).ok();
    let message = error
        .filter(|_| !is_cut)
        .and_then(|error| error.get("message")?.as_str().map(str::to_owned));
    Some(message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::*;
    use crate::call::{ErrorCode, Severity, SqlError};
    use crate::testing::sql_call;

    fn sent(body: &'static str, params: u32, omitted: Option<Omitted>) -> Call {
        let mut call = sql_call(5, "SELECT ?");
        call.request.body = body.into();
        call.request.body_size = 100;
        call.request.omitted = omitted;
        if let Detail::Sql(sql) = &mut call.detail {
            sql.params = params;
        }
        call
    }

    #[test_case("SELECT 7", 0, None, ("SELECT 7", false, Some(json!([]))); "no values")]
    #[test_case("SELECT\n[1]", 0, None, ("SELECT\n[1]", false, Some(json!([]))); "what looks like them")]
    #[test_case("SELECT $1,\n$2\n[7,\"a\\nb\"]", 2, None, ("SELECT $1,\n$2", false, Some(json!([7, "a\nb"]))); "values")]
    #[test_case("SELECT $1", 1, Some(Omitted::Limit), ("SELECT $1", true, None); "cut before them")]
    #[test_case("SELECT $1 = ANY(ARRAY\n['a', b])", 1, Some(Omitted::Limit), ("SELECT $1 = ANY(ARRAY\n['a', b])", true, None); "cut before them, and what looks like them")]
    #[test_case("SELECT $1\n[7,\"a", 2, Some(Omitted::Limit), ("SELECT $1", false, None); "cut within them")]
    fn a_statement_reads(
        body: &'static str,
        params: u32,
        omitted: Option<Omitted>,
        expected: (&str, bool, Option<Value>),
    ) {
        let call = sent(body, params, omitted);
        let read = statement(&call).expect("a statement");
        let params = read.params.map(Value::Array);
        assert_eq!((read.text.as_ref(), read.cut, params), expected);
    }

    #[test]
    fn what_was_not_kept_is_not_told() {
        assert_eq!(statement(&sent("", 0, Some(Omitted::Budget))), None);
    }

    #[test]
    fn the_message_of_an_error_is_behind_the_rows() {
        let mut call = sql_call(5, "SELECT ?");
        assert_eq!(error_message(&call), None);
        let Detail::Sql(sql) = &mut call.detail else {
            unreachable!()
        };
        let code = ErrorCode::read(b"22012").expect("a code");
        let severity = Severity::Error;
        sql.error = Some(SqlError { code, severity });
        call.response.body = "{\"a\":1}\n{\"message\":\"division by zero\"}".into();
        assert_eq!(error_message(&call), Some(Some("division by zero".into())));
        call.response.omitted = Some(Omitted::Limit);
        assert_eq!(error_message(&call), Some(None), "it may be another line");
    }
}
