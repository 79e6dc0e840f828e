//! Whatever stands around it, a secret behind its name is masked, and nothing makes reading a statement fail.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// What a secret is compared with, set to or given to; `{}` is its value.
const PLACES: &[&str] = &[
    "password = {}",
    "{} = u.password",
    "(\"password\") <> {}",
    "lower(password::varchar(20)) = lower({})",
    "password NOT IN ('x', {})",
    "password IS DISTINCT FROM {}",
    "data->>'password' = {}",
    "crypt({}, password) = password",
    "CASE WHEN id = 1 THEN password ELSE 'x' END = {}",
    "password BETWEEN 'a' AND {}",
    "password = ANY(ARRAY['x', {}])",
    "hmac({}, password) = 'x'",
];

const AROUND: &[(&str, &str)] = &[
    ("SELECT 1 FROM u WHERE ", " LIMIT 5"),
    (
        "SELECT 1 FROM u WHERE name = 'bob' AND (",
        ") OR id IN (1, 2)",
    ),
    (
        "SELECT a, (SELECT max(b) FROM t WHERE ",
        ") FROM u ORDER BY 1",
    ),
    (
        "WITH w AS (SELECT a FROM t WHERE ",
        ") UPDATE u SET b = 'x' WHERE c = 5",
    ),
    (
        "INSERT INTO t (a, b) SELECT a, 'x' FROM u WHERE ",
        " ON CONFLICT DO NOTHING",
    ),
    ("DO $$ BEGIN IF ", " THEN NULL; END IF; END $$"),
    ("SELECT CASE WHEN ", " THEN 'yes' ELSE 'no' END FROM u"),
    (
        "DELETE FROM u USING t WHERE u.a = t.a AND NOT ",
        " RETURNING u.a",
    ),
];

proptest! {
    #[test]
    fn a_secret_is_masked_wherever_its_condition_stands(
        place in select(PLACES),
        (before, behind) in select(AROUND),
        (open, close) in select(&[("'", "'"), ("E'", "'"), ("$q$", "$q$"), ("'\u{e4}", " '")][..]),
        depth in 0_usize..200,
    ) {
        let condition = place.replace("{}", &format!("{open}mark7er{close}"));
        let (left, right) = ("(".repeat(depth), ")".repeat(depth));
        let text = masked(&format!("{before}{left}{condition}{right}{behind}"), 0);
        prop_assert!(!text.contains("mark7er"), "{}", text);
    }

    #[test]
    fn a_bind_value_is_masked_wherever_its_condition_stands(
        place in select(PLACES),
        (before, behind) in select(AROUND.get(..5).unwrap()),
    ) {
        let condition = place.replace("{}", "$1");
        let text = masked(&format!("{before}{condition}{behind}\n[\"mark7er\"]"), 1);
        prop_assert!(!text.contains("mark7er"), "{}", text);
    }

    #[test]
    fn pieces_in_any_order_are_read(pieces in proptest::collection::vec(select(&[
        "SELECT ", "SET ", "INSERT INTO t ", "VALUES ", "CASE ", "END ", "(", ")", ",", ".", "::", "[", "]", ";",
        "=", "->>", "*", "password ", "name ", "'x' ", "'password' ", "'it''s ", "\\'", "$$", "$1 ", "123 ",
        "\"q\" ", "AND ", "FROM ", "AS ", "DISTINCT ", "BETWEEN ", "varchar", "COLLATE ", "\n[", "\u{e4}",
    ][..]), 0..60), params in 0_u32..3) {
        // That it neither fails nor takes long is all there is to say.
        redacted(&pieces.concat(), params);
    }
}
