use proptest::prelude::*;
use remora_store::call::MAX_ABOUT_BYTES;
use test_case::test_case;

use super::*;

#[test_case("SELECT 1", "SELECT ?"; "a number")]
#[test_case("select  *\n from Orders\twhere id=17;", "SELECT * FROM orders WHERE id = ?"; "white space and case")]
#[test_case("SELECT 'it''s', E'a\\'b', U&'d\\0061t', B'01', X'1F', $$a'b$$, $q$ $$ $q$", "SELECT ?"; "strings of every form")]
#[test_case("SELECT 'a'\n  'b' FROM t", "SELECT ? FROM t"; "a string that goes on")]
#[test_case("SELECT 1.5, .5, 1e10, 2E-3, 0x1F, 1_000, -7, +7", "SELECT ?"; "numbers")]
#[test_case("SELECT a - 1, a -1, a+1", "SELECT a - ?, a - ?, a + ?"; "signs between operands stay")]
#[test_case("WHERE a=-1 AND b >=-2", "WHERE a = ? AND b >= ?"; "a sign behind a comparison")]
#[test_case("WHERE id IN (1, 2, 3)", "WHERE id IN (?)"; "a list")]
#[test_case("WHERE id IN ($1,$2 , $3)", "WHERE id IN (?)"; "a list of parameters")]
#[test_case("WHERE id = ANY(ARRAY[1,2])", "WHERE id = ANY (ARRAY[?])"; "an array")]
#[test_case("insert into t (a, b) values (1, 'x'), (2, NULL), (3, true)", "INSERT INTO t(a, b) VALUES (?)"; "rows")]
#[test_case("INSERT INTO t (a, b) VALUES ($1, DEFAULT), ($2, DEFAULT), ($3, DEFAULT)", "INSERT INTO t(a, b) VALUES (?, DEFAULT)"; "rows with defaults")]
#[test_case("INSERT INTO t VALUES ($1, now(), $2::int), ($3, now(), $4::int) RETURNING id", "INSERT INTO t VALUES (?, now(), ?::int) RETURNING id"; "rows with functions and casts")]
#[test_case("WHERE id IN ($1::uuid, $2::uuid, $3::uuid) AND b = 1", "WHERE id IN (?::uuid) AND b = ?"; "a list with casts")]
#[test_case("WHERE id IN ($1::varchar(20), $2::varchar(20))", "WHERE id IN (?::varchar(?))"; "a list with longer casts")]
#[test_case("WHERE id IN (CAST($1 AS int), CAST($2 AS int), 7)", "WHERE id IN (CAST (? AS int), ?)"; "a list of equal elements")]
#[test_case("SELECT f(a), f(a), coalesce(b, 1), coalesce(b, 2) + 1", "SELECT f(a), f(a), coalesce(b, ?), coalesce(b, ?) + ?"; "what is no list of values")]
#[test_case("SELECT a -- the first\n, b /* not /* this */ nor that */ FROM t", "SELECT a, b FROM t"; "comments")]
#[test_case("SELECT \"Order\".\"iD\" FROM \"größe_2\"", "SELECT \"Order\".\"iD\" FROM \"größe_2\""; "names in quotes")]
#[test_case("SELECT id::text, '5'::int, CAST($1 AS int)", "SELECT id::text, ?::int, CAST (? AS int)"; "casts")]
#[test_case("SELECT count(*) FROM t WHERE a IS NULL AND b IS NOT NULL AND c = NULL", "SELECT count(*) FROM t WHERE a IS NULL AND b IS NOT NULL AND c = ?"; "nulls")]
#[test_case("SELECT data->>'a', b @> '{}'", "SELECT data ->> ?, b @> ?"; "operators")]
#[test_case("SELECT größe FROM Straße", "SELECT größe FROM straße"; "names beyond ASCII")]
#[test_case("DO $body$ BEGIN x := 'secret'; END $body$", "DO ?"; "code is a value")]
#[test_case("SELECT 'never closed", "SELECT ?"; "a string without an end")]
#[test_case("SELECT /* never closed", "SELECT"; "a comment without an end")]
#[test_case("SELECT $a FROM t", "SELECT $ a FROM t"; "a dollar alone")]
#[test_case("ALTER USER bob PASSWORD 'hunter2'", "ALTER user bob password ?"; "a password")]
#[test_case("SELECT a FROM t WHERE b = \"never closed", "SELECT a FROM t WHERE b = ?"; "a name without an end")]
#[test_case("WHERE email = \"bob@x.com\" AND id = 1", "WHERE email = ? AND id = ?"; "a value between the quotes of names")]
#[test_case("WHERE id IN (\"a@x\", \"b@x\")", "WHERE id IN (?)"; "a list of them")]
#[test_case("SELECT U&\"plain\", U&\"d\\0061t\"", "SELECT U&\"plain\", ?"; "names with escapes")]
#[test_case("WHERE id = 550e8400-e29b-41d4-a716-446655440000 AND b = 1", "WHERE id = ? AND b = ?"; "an id without quotes")]
#[test_case("WHERE id = e50e8400-e29b-41d4-a716-446655440000", "WHERE id = ?"; "one that begins with a letter")]
#[test_case("WHERE id = 12ab34cd AND b = 0xZZ AND c = $1x", "WHERE id = ? AND b = ? AND c = ?"; "letters glued to numbers")]
#[test_case("SELECT 5-x, a-5", "SELECT ? - x, a - ?"; "a difference")]
#[test_case("", ""; "nothing")]
fn a_statement_has_a_fingerprint(statement: &str, expected: &str) {
    assert_eq!(about(statement.as_bytes(), false).fingerprint, expected);
}

#[test_case("select 1", "SELECT")]
#[test_case("(SELECT 1) UNION (SELECT 2)", "SELECT"; "behind a bracket")]
#[test_case("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "INSERT"; "what WITH is for")]
#[test_case("WITH a AS (DELETE FROM t RETURNING id) SELECT * FROM a", "SELECT"; "not what is within")]
#[test_case("START_REPLICATION SLOT \"s\" LOGICAL 0/0", "START_REPLICATION"; "a standby that follows")]
#[test_case("CREATE_REPLICATION_SLOT s LOGICAL pgoutput", "CREATE_REPLICATION_SLOT"; "the longest of replication")]
#[test_case("IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM"; "a word of two")]
#[test_case("EXPLAIN ANALYZE SELECT 1", "EXPLAIN")]
#[test_case("-- nothing", "EMPTY")]
#[test_case("17", "QUERY")]
#[test_case("BEGIN", "BEGIN")]
fn a_statement_has_a_command(statement: &str, expected: &str) {
    assert_eq!(about(statement.as_bytes(), false).command, expected);
}

#[test]
fn a_backslash_escapes_where_the_server_says_so() {
    let statement = br"SELECT 'a\' , secret, '";
    assert_eq!(about(statement, true).fingerprint, "SELECT ?");
    let plain = about(statement, false).fingerprint;
    assert_eq!(plain, "SELECT ?, secret, ?");
}

#[test]
fn long_statements_that_differ_late_have_fingerprints_that_differ() {
    let statement = |end: &str| format!("SELECT {} {end}", "column_of_a_table, ".repeat(200));
    let (one, other) = (statement("a"), statement("b"));
    let [one, other] = [one, other].map(|it| about(it.as_bytes(), false).fingerprint);
    assert!(one.len() <= MAX_ABOUT_BYTES && one != other, "{one}");
    assert!(one.contains("… #"));
}

#[test_case("SELECT 1; SELECT 'a;b';", &["SELECT 1", " SELECT 'a;b'"])]
#[test_case(";; ;", &[]; "nothing between")]
#[test_case("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", &["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", " SELECT 3"]; "within brackets")]
#[test_case("a; b; c; d", &["a", " b", " c; d"]; "too many")]
#[test_case("/* ; */ -- ;\n", &[]; "comments alone")]
#[test_case("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; INSERT INTO t VALUES (1)", &["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", " INSERT INTO t VALUES (1)"]; "the body of a function")]
#[test_case("BEGIN; SELECT 1; END", &["BEGIN", " SELECT 1", " END"]; "a transaction")]
fn a_text_has_statements(text: &str, expected: &[&str]) {
    let found = statements(text.as_bytes(), false, 3);
    let found: Vec<_> = found
        .into_iter()
        .map(|range| &text.as_bytes()[range])
        .collect();
    let found: Vec<_> = found.iter().map(|it| str::from_utf8(it).unwrap()).collect();
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_read_has_a_short_fingerprint(text in proptest::collection::vec(any::<u8>(), 0..300), escapes: bool) {
        let about = about(&text, escapes);
        prop_assert!(about.fingerprint.len() <= MAX_ABOUT_BYTES);
        prop_assert!(!about.command.is_empty());
        let tokens: usize = Tokens::new(&text, escapes).map(|token| token.text.len()).sum();
        prop_assert!(tokens <= text.len());
        statements(&text, escapes, 8);
    }

    #[test]
    fn a_value_is_not_told_however_a_statement_is_damaged(
        quote in proptest::sample::select(&["", "'", "\"", "$$"][..]),
        before in proptest::sample::select(&["", "x@", "(", "-"][..]),
        template in proptest::sample::select(&[
            ("SELECT a FROM t WHERE b = ", " AND c IN (1, 2)"),
            ("INSERT INTO t (a, \"B\") VALUES ('x', ", "), (2, NULL)"),
            ("UPDATE t SET a = ", "::text WHERE \"Id\" = 5"),
        ][..]),
        damage in proptest::option::of(proptest::sample::select(&b"'\"$;-\\(/*"[..])),
        at: proptest::sample::Index,
        end: proptest::sample::Index,
        escapes: bool,
    ) {
        // As a name without quotes it could not be told from a column.
        let before = if quote.is_empty() { "" } else { before };
        let (open, close) = template;
        let value = format!("{before}7marker7");
        let mut text = format!("{open}{quote}{value}{quote}{close}").into_bytes();
        // Around the value, which would be another one else.
        let start = open.len() + quote.len();
        let at = at.index(text.len());
        let at = if (start + 1..start + value.len()).contains(&at) { start } else { at };
        match damage {
            Some(byte) => text.insert(at, byte),
            None if at == start => {}
            None => drop(text.remove(at)),
        }
        text.truncate(end.index(text.len()).max(open.len() + 4));
        let told = about(&text, escapes).fingerprint;
        prop_assert!(!told.contains("mark"), "{told} of {:?}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn values_do_not_change_a_fingerprint(number: u32, float in 0.0..1e9_f64, text in "\\PC{0,12}", list in 1..9_usize) {
        let list = vec![number.to_string(); list].join(", ");
        let quoted = text.replace('\'', "''");
        let one = format!("SELECT a FROM t WHERE b = {number} AND c < {float} AND d = '{quoted}' AND e IN ({list})");
        let expected = "SELECT a FROM t WHERE b = ? AND c < ? AND d = ? AND e IN (?)";
        prop_assert_eq!(about(one.as_bytes(), false).fingerprint, expected);
    }

    #[test]
    fn the_fingerprint_of_words_is_its_own(words in proptest::collection::vec(proptest::sample::select(&[
        "select", "from", "a", "b_c", "(", ")", ",", "=", "1", "'x'", "$1", "null", "*", "in", "<>",
    ][..]), 0..40)) {
        let once = about(words.join(" ").as_bytes(), false);
        // A question mark is an operator where it is read again.
        let again = about(once.fingerprint.replace('?', "7").as_bytes(), false);
        prop_assert_eq!(again.fingerprint, once.fingerprint);
    }
}
