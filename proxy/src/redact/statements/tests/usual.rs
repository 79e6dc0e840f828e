//! Statements as people and their libraries write them, where the name does not stand right before the value.

use test_case::test_case;

use super::*;

#[test_case("UPDATE u SET password = CASE WHEN id = 1 THEN 'hunter2' ELSE 'x' END, name = CASE id WHEN 1 THEN 'bob' END WHERE id IN (1)", "UPDATE u SET password = CASE WHEN id = '#' THEN '#' ELSE '#' END, name = CASE id WHEN 1 THEN 'bob' END WHERE id IN (1)"; "by cases")]
#[test_case("SELECT CASE password WHEN 'hunter2' THEN 'yes' END FROM u", "SELECT CASE password WHEN '#' THEN '#' END FROM u"; "a case of it")]
#[test_case("SELECT 1 FROM u WHERE lower(password) = 'hunter2' AND lower(name) = 'bob'", "SELECT 1 FROM u WHERE lower(password) = '#' AND lower(name) = 'bob'"; "in a function")]
#[test_case("SELECT 1 FROM u WHERE (password) = 'hunter2' OR (u.name) = 'bob'", "SELECT 1 FROM u WHERE (password) = '#' OR (u.name) = 'bob'"; "in brackets")]
#[test_case("SELECT 1 FROM u WHERE password::text = 'hunter2' AND id::pg_catalog.text = 'bob'", "SELECT 1 FROM u WHERE password::text = '#' AND id::pg_catalog.text = 'bob'"; "behind a cast")]
#[test_case("SELECT 1 FROM u WHERE password::character varying(255) = 'hunter2'", "SELECT 1 FROM u WHERE password::character varying(255) = '#'"; "behind a cast of several words")]
#[test_case("SELECT 1 FROM u WHERE CAST(password AS text) COLLATE \"C\" = 'hunter2'", "SELECT 1 FROM u WHERE CAST(password AS text) COLLATE \"C\" = '#'"; "with a collation")]
#[test_case("SELECT 1 FROM u WHERE token NOT IN ('hunter2') AND name NOT IN ('bob')", "SELECT 1 FROM u WHERE token NOT IN ('#') AND name NOT IN ('bob')"; "not in a list")]
#[test_case("SELECT 1 FROM u WHERE token NOT LIKE 'hunter2%' AND name NOT LIKE 'bob%'", "SELECT 1 FROM u WHERE token NOT LIKE '#' AND name NOT LIKE 'bob%'"; "not like")]
#[test_case("SELECT 1 FROM u WHERE password IS NOT DISTINCT FROM 'hunter2' AND name IS DISTINCT FROM 'bob'", "SELECT 1 FROM u WHERE password IS NOT DISTINCT FROM '#' AND name IS DISTINCT FROM 'bob'"; "distinct")]
#[test_case("SELECT 1 FROM u WHERE data->>'password' = 'hunter2' AND data->>'name' = 'bob'", "SELECT 1 FROM u WHERE data->>'password' = '#' AND data->>'name' = 'bob'"; "a key of JSON")]
#[test_case("UPDATE u SET data = jsonb_set(data, '{password}', '\"hunter2\"') WHERE id = 5", "UPDATE u SET data = jsonb_set(data, '{password}', '#') WHERE id = 5"; "a path in JSON")]
#[test_case("SELECT jsonb_build_object('password', 'hunter2')", "SELECT jsonb_build_object('password', '#')"; "a JSON object")]
#[test_case("INSERT INTO u (data) VALUES (jsonb_build_object('name', 'bob', 'password', 'hunter2'))", "INSERT INTO u (data) VALUES (jsonb_build_object('#', '#', 'password', '#'))"; "a JSON object to insert")]
#[test_case("INSERT INTO settings (name, value) VALUES ('smtp_password', 'hunter2'), ('smtp_host', 'mail')", "INSERT INTO settings (name, value) VALUES ('smtp_password', '#'), ('smtp_host', 'mail')"; "beside its name")]
#[test_case("SELECT 1 FROM u WHERE 'hunter2' = password", "SELECT 1 FROM u WHERE '#' = password"; "the other way round")]
#[test_case("SELECT 'hunter2' AS password, 12345 AS pin, 1 AS one", "SELECT '#' AS password, '#' AS pin, 1 AS one"; "with a name behind it")]
#[test_case("INSERT INTO u (name, password) SELECT * FROM (VALUES ('bob', 'hunter2')) v", "INSERT INTO u (name, password) SELECT * FROM (VALUES ('#', '#')) v"; "inserted from rows")]
#[test_case("UPDATE u SET password = v.p FROM (VALUES (1, 'hunter2')) AS v (id, p) WHERE v.id = u.id AND u.kind = 'bob'", "UPDATE u SET password = v.p FROM (VALUES (1, '#')) AS v (id, p) WHERE v.id = u.id AND u.kind = 'bob'"; "set from rows")]
#[test_case("WITH d AS (SELECT 'hunter2' AS p) UPDATE u SET password = d.p FROM d", "WITH d AS (SELECT '#' AS p) UPDATE u SET password = d.p FROM d"; "set from a query")]
#[test_case("INSERT INTO u VALUES (1, 'hunter2') RETURNING password", "INSERT INTO u VALUES (1, '#') RETURNING password"; "inserted without columns")]
#[test_case("SELECT 1 FROM u WHERE digest = hmac('hunter2', password) AND name = concat('x', 'y')", "SELECT 1 FROM u WHERE digest = hmac('#', password) AND name = concat('x', 'y')"; "beside it in a function")]
#[test_case("SELECT 1 FROM u WHERE token BETWEEN 'hunter1' AND 'hunter2' AND age BETWEEN 20 AND 300", "SELECT 1 FROM u WHERE token BETWEEN '#' AND '#' AND age BETWEEN 20 AND 300"; "between")]
#[test_case("SELECT 1 FROM u WHERE name || 'x' = 'bob' AND 'x' || password = 'hunter2'", "SELECT 1 FROM u WHERE name || 'x' = 'bob' AND '#' || password = '#'"; "joined")]
#[test_case("CALL set_password('bob', 'hunter2')", "CALL set_password('#', '#')"; "given to a procedure")]
#[test_case("SELECT set_config('app.token', 'hunter2', false)", "SELECT set_config('app.token', '#', false)"; "a setting")]
#[test_case("UPDATE u SET (name, age) = ('bob', 5), (email, password) = ('e', 'hunter2')", "UPDATE u SET (name, age) = ('bob', 5), (email, password) = ('e', '#')"; "lists that are set")]
#[test_case("UPDATE u SET a = 1, (name, password) = ('bob', 'hunter2') WHERE b = 'x'", "UPDATE u SET a = 1, (name, password) = ('bob', '#') WHERE b = 'x'"; "a list behind a column")]
#[test_case("MERGE INTO u USING t ON u.id = t.id WHEN NOT MATCHED THEN INSERT (name, password) VALUES ('bob', 'hunter2')", "MERGE INTO u USING t ON u.id = t.id WHEN NOT MATCHED THEN INSERT (name, password) VALUES ('bob', '#')"; "merged")]
#[test_case("SELECT 1 FROM u WHERE password = \"hunter2\" AND u.name = \"bob\"", "SELECT 1 FROM u WHERE password = \"#\" AND u.name = \"bob\""; "in the quotes of names")]
#[test_case("INSERT INTO u (name, password) VALUES ('bob', 'password123'), ('eve', 'api_token')", "INSERT INTO u (name, password) VALUES ('bob', '#'), ('eve', '#')"; "a value that reads like a key")]
#[test_case("INSERT INTO u (name, password) SELECT 'bob', 'password123'", "INSERT INTO u (name, password) SELECT 'bob', '#'"; "selected, and reads like a key")]
#[test_case("UPDATE u SET (name, password) = ('bob', 'password123')", "UPDATE u SET (name, password) = ('bob', '#')"; "set in a list, and reads like a key")]
#[test_case("INSERT INTO settings (name, value) VALUES ('smtp_password', 'password123')", "INSERT INTO settings (name, value) VALUES ('smtp_password', '#')"; "beside its name, and reads like one")]
#[test_case("INSERT INTO u (name, password) VALUES ('bob', 'set4life'), ('eve', 'With great power 9')", "INSERT INTO u (name, password) VALUES ('bob', '#'), ('eve', '#')"; "a value that reads like a statement")]
#[test_case("INSERT INTO conns (name, secret) VALUES ('a', 'key=AKzz user=bob password=x')", "INSERT INTO conns (name, secret) VALUES ('a', '#')"; "a value with settings in it")]
#[test_case("SELECT 1 FROM u WHERE 'set4life' = password", "SELECT 1 FROM u WHERE '#' = password"; "the other way round, and begins like a statement")]
fn a_value_is_masked(statement: &str, expected: &str) {
    assert_eq!(masked(statement, 0), expected);
}

#[test_case("SELECT \"tokens\".\"id\" FROM \"tokens\" JOIN \"u\" ON \"u\".\"token\" = \"tokens\".\"token\" WHERE \"tokens\".\"user_id\" = 'u-1' ORDER BY 1 LIMIT 500"; "a join")]
#[test_case("SELECT \"token\" = $1 AS \"same\", CAST(\"token\" AS \"char\") FROM \"t\""; "an alias")]
#[test_case("SELECT name, password FROM u WHERE 1 = 1 AND created_at > now() - interval '1 day' AND id IN (SELECT id FROM t WHERE kind = 'a')"; "conditions")]
#[test_case("CREATE TABLE u (id int, name text DEFAULT 'bob', password varchar(255), token numeric(100, 2))"; "a definition")]
#[test_case("SELECT id FROM runs WHERE status IN ('pass', 'fail') AND action IN ('login', 'reset_password', 'logout') AND grant_type = 'password'"; "words that are values")]
#[test_case("SELECT concat('a', 'b'), 'It''s a password', 12345 FROM posts WHERE title = 'Reset your token'"; "no name of a secret")]
#[test_case("INSERT INTO posts (title, body) VALUES ('Reset your password', 'Bob''s token isn''t here')"; "prose")]
#[test_case("SELECT a[100], '{\"x\": 1}'::jsonb FROM t WHERE b = ANY(ARRAY['x', 'y']) AND c @> '{\"y\": 2}'"; "arrays and JSON")]
fn a_statement_stays(statement: &str) {
    assert_eq!(masked(statement, 0), statement);
}

#[test_case("INSERT INTO u (name, password) SELECT * FROM unnest($1::text[], $2::text[])\n[\"{bob}\",\"{hunter2}\"]", 2, "INSERT INTO u (name, password) SELECT * FROM unnest($1::text[], $2::text[])\n[\"#\",\"#\"]"; "inserted from arrays")]
#[test_case("UPDATE u SET password = d.p FROM unnest($1::int[], $2::text[]) AS d (id, p) WHERE d.id = u.id AND u.kind = $3\n[[1,2],[\"a,]b\",\"c\"],\"x\"]", 3, "UPDATE u SET password = d.p FROM unnest($1::int[], $2::text[]) AS d (id, p) WHERE d.id = u.id AND u.kind = $3\n[\"#\",\"#\",\"x\"]"; "set from arrays")]
#[test_case("SELECT 1 FROM u WHERE $1 = password AND name = $2\n[\"x\",\"bob\"]", 2, "SELECT 1 FROM u WHERE $1 = password AND name = $2\n[\"#\",\"bob\"]"; "the other way round")]
#[test_case("INSERT INTO u (name, password) VALUES ($1, $2), ($3, $4), (\n[\"a\",\"b\",\"c\",\"d\",\"e\",{\"bytes\":5},null]", 7, "INSERT INTO u (name, password) VALUES ($1, $2), ($3, $4), (\n[\"a\",\"#\",\"c\",\"#\",\"#\",{\"bytes\":5},null]"; "more than the statement shows")]
#[test_case("SELECT 1 FROM u WHERE id = $1 AND\n  password = 'hunter2'", 1, "SELECT 1 FROM u WHERE id = $1 AND\n  password = '#'"; "no values that were kept")]
#[test_case("SELECT 1 FROM u WHERE id = $1 AND password = ANY(ARRAY\n['hunter2'])", 1, "SELECT 1 FROM u WHERE id = $1 AND password = ANY(ARRAY\n['#'])"; "no values but what looks like them")]
fn bind_values_are_masked(body: &str, params: u32, expected: &str) {
    assert_eq!(masked(body, params), expected);
}

#[test_case("SELECT 1 FROM u WHERE name = 'it\\'s' AND password = 'hunter2'"; "where a backslash escapes")]
#[test_case("SELECT 1 FROM u WHERE name = 'it\\' AND password = 'hunter2'"; "where it does not")]
#[test_case("CREATE SUBSCRIPTION s CONNECTION 'host=db password=''hunter2'' user=x' PUBLICATION p"; "quoted in a string")]
#[test_case("SELECT dblink(E'host=db password=\\'hunter2\\' user=x')"; "quoted by a backslash")]
#[test_case("DO $$ BEGIN EXECUTE 'ALTER ROLE bob PASSWORD ''hunter2'''; END $$"; "code in a string")]
#[test_case("SELECT dblink_exec('x', 'UPDATE u SET password = ''hunter2'' WHERE name = ''it''''s''')"; "a statement for another server")]
#[test_case("DO $a$ BEGIN EXECUTE $b$ ALTER ROLE bob PASSWORD 'hunter2' $b$; END $a$"; "code in code")]
fn a_secret_in_a_string_is_found(statement: &str) {
    let text = masked(statement, 0);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains('#'), "{text}");
}

#[test]
fn however_deep_its_brackets_are_a_value_is_masked() {
    let open = "(".repeat(5_000);
    let close = ")".repeat(5_000);
    let text = masked(&format!("SELECT {open}'hunter2'{close} = password"), 0);
    assert!(!text.contains("hunter2"));
    let text = masked(
        &format!("SELECT password = {open}'a', b = 'hunter2'{close}"),
        0,
    );
    assert!(!text.contains("hunter2"));
}
