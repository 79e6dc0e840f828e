//! A real PostgreSQL, and clients that nobody here wrote, through the sidecar: the statements, values, errors
//! and rows that the server itself tells of, the same bytes, and no password.

mod cluster;
mod programs;
mod told;

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::api::Client;
use crate::support::eventually;
use crate::support::process::{HubPlace, free_port, start_mapped};
use crate::support::programs::Programs;
use crate::support::spoken::Spoken;
use cluster::{Cluster, finished, psql};

const WHO: [&str; 4] = ["--workload", "shop", "--namespace", "local"];

/// Runs clients against a server of their own, through a sidecar, and compares what was recorded with what
/// the server logged and counted. Gives the calls.
async fn run(clients: impl FnOnce(u16, u16) + Send + 'static) -> Option<Vec<Value>> {
    let cluster = Cluster::start("trust", &[])?;
    cluster.ask("postgres", "CREATE DATABASE through");
    cluster.ask("postgres", "CREATE EXTENSION pg_stat_statements");
    let place = HubPlace::new();
    let _hub = place.start();
    // Made-up passwords are compared too.
    let options = [&WHO[..], &["--redact", "off"]].concat();
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", cluster.port, &options);
    let direct = cluster.port;
    spawn_blocking(move || clients(port, direct)).await.unwrap();
    let logged = told::logged(&cluster.log("through").await);
    assert!(!logged.is_empty());
    let client = Client::new();
    let calls = eventually("all statements are stored", || async {
        let calls = client.calls(&place.api()).await?;
        (told::recorded(&calls).len() >= logged.len()).then_some(calls)
    })
    .await;
    let recorded = told::recorded(&calls);
    let missing: Vec<_> = logged.iter().filter(|it| !recorded.contains(it)).collect();
    let added: Vec<_> = recorded.iter().filter(|it| !logged.contains(it)).collect();
    assert_eq!((missing, added), (vec![], vec![]), "logged, recorded");
    assert_eq!(logged.len(), recorded.len());
    let counted = "SELECT sum(rows) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
                   WHERE d.datname = 'through'";
    let counted: u64 = cluster.ask("postgres", counted).parse().unwrap();
    let rows = |call: &Value| format!("{}: {}", call["path"], call["sql"]["rows"]);
    let each: Vec<_> = calls.iter().map(rows).collect();
    assert_eq!(told::rows(&calls), counted, "{each:#?}");
    Some(calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_is_told_as_the_server_logs_it() {
    run(|port, _| drop(typed(port, "through"))).await;
}

/// What psql prints when it is given the script.
fn typed(port: u16, database: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("typed.sql");
    std::fs::write(&script, programs::TYPED).unwrap();
    let mut psql = psql(port, database, &["-f", script.to_str().unwrap()]);
    let output = psql.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let errors = text(output.stderr).replace(&folder.path().display().to_string(), "");
    (text(output.stdout), errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_prints_the_same_with_and_without_a_sidecar() {
    let Some(cluster) = Cluster::start("trust", &[]) else {
        return;
    };
    let place = HubPlace::new();
    let _hub = place.start();
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", cluster.port, &WHO);
    for database in ["direct", "through"] {
        cluster.ask("postgres", &format!("CREATE DATABASE {database}"));
    }
    let direct = typed(cluster.port, "direct");
    let through = typed(port, "through");
    assert!(direct.0.len() > 200_000, "{} bytes", direct.0.len());
    assert!(direct.1.contains("division by zero"), "{}", direct.1);
    assert_eq!(direct.1, through.1);
    assert!(direct.0 == through.0, "the output differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_is_told_as_the_server_logs_it_in_every_mode() {
    let calls = run(|port, _| {
        let pgbench = |arguments: &[&str]| {
            let mut command = std::process::Command::new("pgbench");
            command
                .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres"])
                .args(arguments)
                .arg("through");
            finished(&mut command);
        };
        pgbench(&["-i", "-q"]);
        for mode in ["simple", "extended", "prepared"] {
            pgbench(&["-n", "-c", "4", "-t", "25", "-M", mode]);
        }
    })
    .await;
    let Some(calls) = calls else {
        return;
    };
    let of = |sent: &str| {
        let selects = calls.iter().filter(|call| {
            let path = "SELECT abalance FROM pgbench_accounts WHERE aid = ?";
            call["sql"]["sent"] == sent && call["path"] == path
        });
        selects.count()
    };
    assert_eq!(["simple", "extended", "prepared"].map(of), [100; 3]);
    let copied = calls.iter().find(|call| call["method"] == "COPY").unwrap();
    assert_eq!(copied["sql"]["rows"], 100_000);
    assert!(
        copied["request"]["size"].as_u64().unwrap() > 1_000_000,
        "{copied}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_is_told_as_the_server_logs_it() {
    let Some(clients) = Programs::of_postgres() else {
        return;
    };
    let mut python = clients.python(programs::PSYCOPG);
    let calls = run(move |port, _| drop(finished(python.arg(port.to_string())))).await;
    let Some(calls) = calls else {
        return;
    };
    let is_late = |call: &&Value| call["method"] == "COMMIT" && call["error_code"] == "23505";
    assert_eq!(calls.iter().filter(is_late).count(), 1, "at its Sync");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_node_is_told_as_the_server_logs_it() {
    let Some(clients) = Programs::of_postgres() else {
        return;
    };
    let mut node = clients.node(programs::NODE);
    run(move |port, _| drop(finished(node.arg(port.to_string())))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_was_cancelled_is_told_with_the_request_to_do_so() {
    let (Some(clients), Some(cluster)) = (Programs::of_postgres(), Cluster::start("trust", &[]))
    else {
        return;
    };
    cluster.ask("postgres", "CREATE DATABASE through");
    let place = HubPlace::new();
    let _hub = place.start();
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", cluster.port, &WHO);
    let mut python = clients.python(programs::CANCEL);
    python.args([port.to_string(), cluster.port.to_string()]);
    spawn_blocking(move || finished(&mut python)).await.unwrap();
    let client = Client::new();
    let api = place.api();
    let cancelled = "postgresql_error_code == '57014' && postgresql_query.contains('pg_sleep')";
    for filter in [cancelled, "postgresql_command == 'CANCEL' && error == ''"] {
        eventually(filter, || async {
            let calls = client.matching(&api, filter).await?;
            (calls.len() == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_recorded() {
    let (Some(clients), Some(cluster)) = (
        Programs::of_postgres(),
        Cluster::start("scram-sha-256", &[]),
    ) else {
        return;
    };
    let place = HubPlace::new();
    let _hub = place.start();
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", cluster.port, &WHO);
    let mut python = clients.python(programs::PASSWORDS);
    python.arg(port.to_string());
    spawn_blocking(move || finished(&mut python)).await.unwrap();
    let client = Client::new();
    let calls = eventually("the last statement is stored", || async {
        let calls = client.calls(&place.api()).await?;
        let last = calls
            .iter()
            .any(|call| call["sql"]["statement"] == "SELECT 'the end'");
        last.then_some(calls)
    })
    .await;
    let text = serde_json::to_string(&calls).unwrap();
    assert!(
        text.contains("28P01") && text.contains("CREATE ROLE"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "a password is in {text}");
    assert!(text.contains("[redacted secret"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_encrypts_is_recorded_as_tls() {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert, certificate.cert.pem()).unwrap();
    std::fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
    cluster::hand_over(&[folder.path(), &cert, &key]);
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", cert.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let Some(cluster) = Cluster::start("trust", &settings) else {
        return;
    };
    let place = HubPlace::new();
    let _hub = place.start();
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", cluster.port, &WHO);
    let said = spawn_blocking(move || {
        let ask = |mode: &str| {
            let mut psql = psql(
                port,
                "postgres",
                &[
                    "-At",
                    "-c",
                    "SELECT 'said in ' || ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                ],
            );
            let output = finished(psql.env("PGSSLMODE", mode));
            String::from_utf8(output.stdout).unwrap()
        };
        ["require", "disable"].map(ask)
    })
    .await
    .unwrap();
    assert_eq!(said, ["said in true\n", "said in false\n"]);
    let client = Client::new();
    let calls = eventually("both connections are stored", || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() == 2).then_some(calls)
    })
    .await;
    let protocols: Vec<_> = calls.iter().map(|call| &call["protocol"]).collect();
    assert_eq!(protocols, ["tls", "postgresql"]);
}

/// Has the shop answer one request; gives what `n_plus_one` says of what it asked the database.
async fn judged(path: &str, queries: usize) -> Option<Value> {
    let clients = Programs::of_postgres()?;
    let cluster = Cluster::start("trust", &[])?;
    cluster.ask("postgres", "CREATE DATABASE through");
    let place = HubPlace::new();
    let _hub = place.start();
    let (own, behind) = (free_port(), free_port());
    let inbound = format!("inbound:127.0.0.1:{own}=127.0.0.1:{behind}");
    let options = [&WHO[..], &["--map", &inbound]].concat();
    let (_sidecar, port) = start_mapped(&place.ingest(), "outbound", cluster.port, &options);
    let mut shop = clients.python(programs::SHOP);
    let shop = Spoken::start(shop.args([behind.to_string(), port.to_string()]));
    assert_eq!(shop.receive(), "ready");
    let (client, api) = (Client::new(), place.api());
    let (status, _) = client
        .get(&format!("http://127.0.0.1:{own}/{path}"), &[])
        .await
        .unwrap();
    assert_eq!(status, 200);
    eventually("what was asked is stored", || async {
        let asked = client
            .matching(&api, "http || postgresql_command == 'SELECT'")
            .await?;
        let since = asked.iter().position(|call| call["protocol"] == "http1")?;
        // Newest first: the queries came after the request that they were for.
        (since >= queries).then_some(())
    })
    .await;
    let body = json!({"expectations": [
        {"check": "n_plus_one", "args": {"filter": {"where": "postgresql"}}},
    ]});
    let request = Request::post(format!("{api}/api/v1/verify"));
    let request = request.body(Full::from(body.to_string())).unwrap();
    let answer = client.send(request).await.unwrap();
    let verdict: Value = serde_json::from_slice(answer.body()).unwrap();
    Some(verdict["checks"][0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orm_that_loads_lazily_asks_once_for_each_row() {
    let Some(judgement) = judged("lazy", 13).await else {
        return;
    };
    assert_eq!(judgement["verdict"], "fail", "{judgement}");
    let actual = judgement["actual"].as_str().unwrap();
    let expected =
        "one call caused 12 PostgreSQL queries, 12 of them different, one after the other";
    assert!(actual.contains(expected), "{actual}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orm_that_loads_eagerly_does_not() {
    let Some(judgement) = judged("eager", 2).await else {
        return;
    };
    assert_eq!(judgement["verdict"], "pass", "{judgement}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_asked_for_again_and_again_is_told_so() {
    let Some(judgement) = judged("again", 12).await else {
        return;
    };
    let actual = judgement["actual"].as_str().unwrap();
    let expected = "one call caused 12 PostgreSQL queries, 1 of them different";
    assert!(actual.contains(expected), "{judgement}");
}
