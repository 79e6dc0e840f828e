//! Filters over statements and commands of databases.

use test_case::test_case;

use super::*;

/// A statement that went well and one that was refused, a command of Redis, and a statement that runs.
fn databases() -> Vec<FoundCall> {
    let selected = crate::testing::sql_call(5, "SELECT * FROM orders WHERE id = ?");
    let mut inserted = crate::testing::sql_call(5, "INSERT INTO orders VALUES (?)");
    inserted.request.body = "INSERT INTO orders VALUES ($1)\n[7]".into();
    inserted.response.body =
        "{\"severity\":\"ERROR\",\"code\":\"23505\",\"message\":\"it is there\"}".into();
    if let Detail::Sql(sql) = &mut inserted.detail {
        sql.params = 1;
        sql.rows = None;
        sql.error = Some(SqlError {
            code: ErrorCode::read(b"23505").unwrap(),
            severity: Severity::Error,
        });
    }
    let cached = crate::testing::redis_call(5, "GET", "order:17");
    let mut running = selected.clone();
    running.response = Message::default();
    running.phases.response_last = None;
    let mut found = shop();
    for (found, call) in found.iter_mut().zip([selected, inserted, cached, running]) {
        found.call = call;
    }
    found
}

#[test_case("postgresql", &[0, 1, 3])]
#[test_case("postgresql && postgresql_query.contains(\"SELECT\")", &[0, 3])]
#[test_case("postgresql_query == \"INSERT INTO orders VALUES ($1)\"", &[1]; "without the bind values")]
#[test_case("request.body.contains(\"[7]\")", &[1]; "which stand in the body")]
#[test_case("postgresql_command == \"INSERT\"", &[1])]
#[test_case("postgresql_command != \"INSERT\"", &[0, 3]; "absent from the others")]
#[test_case("postgresql_fingerprint.startsWith(\"SELECT\")", &[0, 3])]
#[test_case("postgresql_rows == 1", &[0, 3])]
#[test_case("postgresql_database == \"shop\" && postgresql_user == \"orders\"", &[0, 1, 3])]
#[test_case("postgresql_success", &[0])]
#[test_case("!postgresql_success", &[1]; "of one that runs nothing is known")]
#[test_case("postgresql_error_code == \"23505\"", &[1])]
#[test_case("postgresql_error_message.contains(\"there\")", &[1])]
#[test_case("failed", &[]; "that a key is there already is an answer")]
#[test_case("response.json.id == 7", &[0]; "one row is one object")]
#[test_case("redis && redis_type == \"GET\"", &[2])]
#[test_case("redis_command == \"GET\" && redis_key == \"order:17\"", &[2])]
#[test_case("redis_success && redis_error_code == \"\"", &[2])]
#[test_case("route == \"order:{id}\"", &[2])]
#[test_case("method == \"SELECT\" && status == 0 && !http", &[0, 3])]
fn filters_over_databases(filter: &str, expected: &[usize]) {
    let filter = Filter::parse(filter).unwrap();
    assert_eq!(matching(&databases(), &filter), expected);
}

#[test]
fn a_statement_that_may_not_be_got_is_not_told() {
    let mut calls = databases();
    calls.iter_mut().for_each(|call| call.withheld = true);
    for filter in [
        "postgresql_query.contains(\"o\")",
        "postgresql_error_message != \"\"",
    ] {
        let filter = Filter::parse(filter).unwrap();
        assert!(matching(&calls, &filter).is_empty());
    }
}
