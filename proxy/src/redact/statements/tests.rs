use remora_store::call::{Call, Detail};
use remora_store::testing::sql_call;
use test_case::test_case;

use crate::keys::RedactionKey;
use crate::redact::{Redaction, Redactor};

mod errors;
mod hostile;
mod usual;

fn redacted(body: &str, params: u32) -> Call {
    let mut call = sql_call(5, "SELECT ?");
    call.request.body = body.to_owned().into();
    call.request.body_size = body.len() as u64;
    if let Detail::Sql(sql) = &mut call.detail {
        sql.params = params;
    }
    let key = RedactionKey::new("k".to_owned(), &[1; 32]);
    Redactor::new(&key, &Redaction::default()).redact(&mut call);
    call
}

/// The body with each tag written `#`.
fn masked(body: &str, params: u32) -> String {
    short(&redacted(body, params).request.body)
}

fn short(body: &[u8]) -> String {
    let text = str::from_utf8(body).unwrap();
    let mut pieces = text.split("[redacted ");
    let mut short = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        short.push('#');
        short.push_str(piece.split_once(']').map_or("", |(_, rest)| rest));
    }
    short
}

#[test_case("SELECT * FROM u WHERE password = 'it''s 2'", "SELECT * FROM u WHERE password = '#'"; "compared")]
#[test_case("SELECT * FROM u WHERE u.\"Password\" <> E'x\\'y' AND name = 'bob'", "SELECT * FROM u WHERE u.\"Password\" <> E'#' AND name = 'bob'"; "a quoted name")]
#[test_case("UPDATE u SET name = 'a', api_key = 'k1', age = 5", "UPDATE u SET name = 'a', api_key = '#', age = 5"; "set")]
#[test_case("UPDATE u SET password = crypt('hunter2', gen_salt('bf')), name = 'x'", "UPDATE u SET password = crypt('#', gen_salt('#')), name = 'x'"; "within functions")]
#[test_case("INSERT INTO u (name, password, age) VALUES ('a', 'b1', 3), ('c', 'd2', 4)", "INSERT INTO u (name, password, age) VALUES ('a', '#', 3), ('c', '#', 4)"; "inserted")]
#[test_case("ALTER USER bob WITH PASSWORD 'hunter2' VALID UNTIL 'x'", "ALTER USER bob WITH PASSWORD '#' VALID UNTIL 'x'"; "a user's")]
#[test_case("CREATE USER MAPPING FOR x SERVER y OPTIONS (user 'bob', password 'p1')", "CREATE USER MAPPING FOR x SERVER y OPTIONS (user 'bob', password '#')"; "of another server")]
#[test_case("SELECT * FROM u WHERE token IN ('a1', 'b2') OR id IN (1, 2)", "SELECT * FROM u WHERE token IN ('#', '#') OR id IN (1, 2)"; "one of several")]
#[test_case("SELECT * FROM u WHERE pin = 1234 AND tokens > 5", "SELECT * FROM u WHERE pin = '#' AND tokens > 5"; "numbers")]
#[test_case("SELECT dblink('host=db password=hunter2 user=x')", "SELECT dblink('host=db password=# user=x')"; "a connection string")]
#[test_case("SELECT $$ password = 'x' $$, secret = $a$hidden$a$", "SELECT $$ password = '#' $$, secret = $a$#$a$"; "between dollars")]
#[test_case("SELECT name, password FROM u WHERE id = 'x'", "SELECT name, password FROM u WHERE id = 'x'"; "named, and no value")]
#[test_case("WITH a AS (INSERT INTO log(msg) VALUES ('x')) INSERT INTO u(name, password) VALUES ('bob', 'p1')", "WITH a AS (INSERT INTO log(msg) VALUES ('x')) INSERT INTO u(name, password) VALUES ('bob', '#')"; "inserted behind another insert")]
#[test_case("INSERT INTO log(a, token) VALUES ('x', 'y'); INSERT INTO u(password, name) VALUES ('p1', 'bob')", "INSERT INTO log(a, token) VALUES ('x', '#'); INSERT INTO u(password, name) VALUES ('#', 'bob')"; "inserted by the next statement")]
#[test_case("UPDATE u SET (name, password) = ('bob', 'p1') WHERE (a, b) IN (('x', 'y'))", "UPDATE u SET (name, password) = ('bob', '#') WHERE (a, b) IN (('x', 'y'))"; "set together")]
#[test_case("UPDATE u SET (name, password) = ROW ('bob', 'p1')", "UPDATE u SET (name, password) = ROW ('bob', '#')"; "set as a row")]
#[test_case("UPDATE u SET (name, password) = (SELECT 'bob', 'p1')", "UPDATE u SET (name, password) = (SELECT 'bob', '#')"; "set from a query")]
#[test_case("INSERT INTO u (name, password) SELECT 'bob', crypt('p1', 's') FROM t WHERE a IN ('x', 'y')", "INSERT INTO u (name, password) SELECT 'bob', crypt('#', '#') FROM t WHERE a IN ('x', 'y')"; "inserted from a query")]
#[test_case("INSERT INTO u (name, password) (SELECT 'bob', 'p1' UNION ALL SELECT 'eve', 'p2') ON CONFLICT (name) DO UPDATE SET name = 'x'", "INSERT INTO u (name, password) (SELECT 'bob', '#' UNION ALL SELECT 'eve', '#') ON CONFLICT (name) DO UPDATE SET name = 'x'"; "inserted from two")]
#[test_case("INSERT INTO u (a, password) SELECT 'b', 'p1' ON CONFLICT (a) DO UPDATE SET a = 'y'", "INSERT INTO u (a, password) SELECT 'b', '#' ON CONFLICT (a) DO UPDATE SET a = 'y'"; "or set instead")]
fn a_literal_is_masked_by_its_name(statement: &str, expected: &str) {
    assert_eq!(masked(statement, 0), expected);
}

#[test_case("UPDATE u SET name = $1, password = $2\n[\"a\",\"b\\\"2\"]", 2, "UPDATE u SET name = $1, password = $2\n[\"a\",\"#\"]"; "a text")]
#[test_case("INSERT INTO u (id, token) VALUES ($1, $2), ($3, $4)\n[1,\"t1\",2,null]", 4, "INSERT INTO u (id, token) VALUES ($1, $2), ($3, $4)\n[1,\"#\",2,null]"; "inserted")]
#[test_case("SELECT 1 FROM u WHERE pin = $1\n[1234]", 1, "SELECT 1 FROM u WHERE pin = $1\n[\"#\"]"; "a number")]
#[test_case("SELECT 1 FROM u WHERE pin = $1AND id = $2\n[1234,5]", 2, "SELECT 1 FROM u WHERE pin = $1AND id = $2\n[\"#\",5]"; "with a word glued to its number")]
#[test_case("SELECT 1 FROM u WHERE token = $1 AND id = $2\n[\"t1", 2, "SELECT 1 FROM u WHERE token = $1 AND id = $2\n[\"#"; "cut off")]
fn a_bind_value_is_masked_by_its_column(body: &str, params: u32, expected: &str) {
    assert_eq!(masked(body, params), expected);
}

#[test]
fn the_same_secret_has_the_same_tag_as_a_literal_and_as_a_value() {
    let tag = |body: &str, params| {
        let call = redacted(body, params);
        let text = String::from_utf8(call.request.body.to_vec()).unwrap();
        let (_, tag) = text.split_once('#').expect("a tag");
        tag.split(' ').next().unwrap().to_owned()
    };
    let literal = tag("SELECT 1 WHERE token = 'it''s'", 0);
    assert_eq!(literal, tag("SELECT 1 WHERE token='it''s'", 0));
    assert_eq!(literal, tag("SELECT 1 WHERE token = $1\n[\"it's\"]", 1));
}

#[test]
fn rows_are_masked_by_the_names_of_their_columns() {
    let mut call = sql_call(5, "SELECT ?");
    call.response.body =
        "{\"id\":1,\"password_hash\":\"$2b$12$abc\"}\n{\"id\":2,\"password_hash\":\"x\"}".into();
    let key = RedactionKey::new("k".to_owned(), &[1; 32]);
    Redactor::new(&key, &Redaction::default()).redact(&mut call);
    let text = str::from_utf8(&call.response.body).unwrap();
    assert!(
        !text.contains("$2b$") && text.matches("[redacted").count() == 2,
        "{text}"
    );
}

#[test]
fn a_name_that_is_a_token_leaves_no_fingerprint() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk";
    let mut call = sql_call(5, &format!("SELECT ? WHERE token = \"{token}\""));
    let key = RedactionKey::new("k".to_owned(), &[1; 32]);
    Redactor::new(&key, &Redaction::default()).redact(&mut call);
    let Detail::Sql(sql) = &call.detail else {
        unreachable!()
    };
    assert!(!sql.fingerprint.contains("eyJ"), "{}", sql.fingerprint);
}
