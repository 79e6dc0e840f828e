//! The stand-in and clients that nobody here wrote.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use test_case::test_case;

use super::query::Query;
use super::*;
use crate::demo::ledger::Ledger;

async fn stand_in() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let order = |id| Order {
        id,
        customer: id % 3,
        total: id * 100,
    };
    tokio::spawn(serve(listener, (0..9).map(order).collect()));
    address
}

/// Says in one line that a program is missing; a failure where every test is required.
fn left_out(program: &str) {
    let required = std::env::var("REMORA_REQUIRE").as_deref() == Ok("all");
    assert!(!required, "{program} is not installed");
    eprintln!("left out: {program} is not installed");
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_takes_the_stand_in_for_postgresql() {
    if Command::new("psql").arg("--version").output().is_err() {
        return left_out("psql");
    }
    let uri = format!("postgresql://shop@{}/shop", stand_in().await);
    for (statement, expected) in [
        (
            "SELECT id, total FROM orders WHERE customer = 2",
            "2|200\n5|500\n8|800\n",
        ),
        ("SELECT total FROM orders WHERE id='7';", "700\n"),
        ("SELECT total FROM orders WHERE id = 99", ""),
        ("BEGIN; SELECT 1; COMMIT", "BEGIN\n1\nCOMMIT\n"),
    ] {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-c", statement, &uri]);
        let output = run(psql).await;
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expected,
            "{output:?}"
        );
    }
    let mut psql = Command::new("psql");
    psql.args(["-X", "-c", "DROP TABLE orders", &uri]);
    let said = String::from_utf8(run(psql).await.stderr).unwrap();
    assert!(said.contains("this database knows SELECT"), "{said}");
}

/// Extended queries, prepared ones, an error in the midst, and a transaction.
const PSYCOPG: &str = r#"
import sys, psycopg
with psycopg.connect(host="127.0.0.1", port=sys.argv[1], user="shop", dbname="shop", prepare_threshold=1) as db:
    for number in range(5):
        rows = db.execute("SELECT id, total FROM orders WHERE customer = %s", [1]).fetchall()
        assert rows == [(1, 100), (4, 400), (7, 700)], rows
    assert db.execute("SELECT total FROM orders WHERE id = %s", [8], binary=True).fetchone() == (800,)
    try:
        db.execute("DELETE FROM orders WHERE id = %s", [8])
        raise SystemExit("it was deleted")
    except psycopg.errors.FeatureNotSupported:
        db.rollback()
    assert db.execute("SELECT 1").fetchone() == (1,)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_takes_the_stand_in_for_postgresql() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let clients = std::env::var_os("REMORA_CLIENTS");
    let clients = clients.map_or_else(|| root.join("target/clients"), PathBuf::from);
    let python = clients.join("redis/python/bin/python");
    if !python.is_file() {
        return left_out("psycopg (tests/redis/install.sh)");
    }
    let mut psycopg = Command::new(python);
    psycopg.args(["-c", PSYCOPG, &stand_in().await.port().to_string()]);
    let output = run(psycopg).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn the_shop_asks_and_is_refused() {
    let client = Postgres::new(stand_in().await, Ledger::default());
    let asked = client
        .query("SELECT id, total FROM orders WHERE id = $1", 3)
        .await;
    assert_eq!(asked.unwrap(), [["3", "300"]]);
    let refused = client
        .query("SELECT name FROM orders WHERE id = $1", 3)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("no column \"name\""),
        "{refused}"
    );
    assert!(
        client
            .query("SELECT id FROM orders WHERE id = $1", 99)
            .await
            .unwrap()
            .is_empty()
    );
}

#[test_case("SELECT id FROM orders WHERE id = 'x'"; "no number")]
#[test_case("SELECT id total FROM orders"; "no comma")]
#[test_case("SELECT * FROM orders"; "all columns")]
#[test_case("SELECT id FROM customers"; "another table")]
#[test_case("UPDATE orders SET total = 1"; "a change")]
fn what_is_not_understood_is_refused(statement: &str) {
    assert!(Query::read(statement).is_err());
}
