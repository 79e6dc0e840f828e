//! `remora run`: local programs are recorded, and notice nothing of it.

mod compiled;
mod faults;
mod https;
mod programs;
mod signals;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::spawn_blocking;

use crate::support::api::Client;
use crate::support::process::{HubPlace, REMORA, Running, free_port};
use crate::support::programs::Programs;
use crate::support::{eventually, origin};

/// A hub that runs already, and programs that are recorded into it.
struct Place {
    hub: HubPlace,
    _running: Running,
}

impl Place {
    async fn start() -> Self {
        let hub = HubPlace::new();
        let running = hub.start();
        let api = hub.api();
        eventually("the hub answers", || async {
            Client::new().status(&api).await
        })
        .await;
        Self {
            hub,
            _running: running,
        }
    }

    fn remora(&self, options: &[&str], program: &Command) -> Command {
        let mut command = Command::new(REMORA);
        command
            .args([
                "run",
                "--hub",
                &self.hub.api(),
                "--ingest",
                &self.hub.ingest(),
            ])
            .args(options)
            .arg("--")
            .arg(program.get_program())
            .args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs a program to its end.
    async fn run(&self, options: &[&str], program: &Command) -> Output {
        let mut command = tokio::process::Command::from(self.remora(options, program));
        command.kill_on_drop(true).output().await.unwrap()
    }

    /// Every call of the workload, each as `LEG METHOD PATH STATUS`, sorted.
    async fn calls(&self, workload: &str) -> Vec<String> {
        let mut lines: Vec<_> = self.records(workload).await.iter().map(line).collect();
        lines.sort();
        lines
    }

    async fn records(&self, workload: &str) -> Vec<Value> {
        let filter = format!("workload == {workload:?}");
        let (client, api) = (Client::new(), self.hub.api());
        eventually("its calls are over", || client.matching(&api, &filter)).await
    }
}

fn line(call: &Value) -> String {
    let text = |field: &str| call[field].as_str().unwrap_or("-").to_owned();
    let outcome = match &call["status"] {
        Value::Null => text("error"),
        status => status.to_string(),
    };
    format!(
        "{} {} {} {outcome}",
        text("leg"),
        text("method"),
        text("path")
    )
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

#[tokio::test]
async fn what_curl_asks_is_recorded_and_what_it_says_is_its_own() {
    let place = Place::start().await;
    let port = origin::start().await;
    let url = format!("http://127.0.0.1:{port}");
    let curl = program(
        "curl",
        &["-sS", &format!("{url}/a"), &format!("{url}/b?c=d")],
    );
    let output = place.run(&[], &curl).await;
    let (out, err) = said(&output);
    assert_eq!((output.status.code(), &*out), (Some(0), "/a/b"), "{err}");
    assert!(
        err.contains(&format!("look at {}/", place.hub.api())),
        "{err}"
    );
    assert!(
        err.contains("remora: 2 calls recorded (2 outbound, 0 inbound);"),
        "{err}"
    );
    assert_eq!(
        place.calls("curl").await,
        ["outbound GET /a 200", "outbound GET /b 200"]
    );
    let records = place.records("curl").await;
    assert_eq!(records[0]["dst"]["port"], port);
    let status = Client::new().status(&place.hub.api()).await.unwrap();
    assert_eq!(status["coverage"]["proxied"], serde_json::json!(["curl"]));
}

#[tokio::test]
async fn two_runs_of_one_name_count_their_own_calls() {
    let place = Place::start().await;
    let url = format!("http://127.0.0.1:{}/", origin::start().await);
    let script = format!("curl -sS {url} && echo && cat");
    let mut command = place.remora(&["--workload", "till"], &program("sh", &["-c", &script]));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let mut long = command.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(long.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "/");
    // While that one runs:
    let curl = program("curl", &["-sS", &url, &url]);
    let output = place.run(&["--workload", "till"], &curl).await;
    let (_, err) = said(&output);
    assert!(
        err.contains("remora: 2 calls recorded (2 outbound, 0 inbound);"),
        "{err}"
    );
    drop(long.stdin.take());
    let (_, err) = said(&long.wait_with_output().await.unwrap());
    assert!(
        err.contains("remora: 1 call recorded (1 outbound, 0 inbound);"),
        "{err}"
    );
    assert_eq!(place.calls("till").await.len(), 3);
}

#[tokio::test]
async fn a_run_records_as_its_sidecar_is_told_to() {
    let place = Place::start().await;
    let url = format!("http://127.0.0.1:{}/a?colour=blue", origin::start().await);
    let options = [
        "--engine",
        "terminate",
        "--body-limit",
        "1",
        "--redact-name",
        "colour",
    ];
    let output = place.run(&options, &program("curl", &["-sS", &url])).await;
    assert_eq!(said(&output).0, "/a", "{output:?}");
    let records = place.records("curl").await;
    assert_eq!(records[0]["engine"], "terminate");
    assert_eq!(records[0]["response"]["body"], "/");
    let query = records[0]["query"].as_str().unwrap();
    assert!(
        query.starts_with("colour=") && !query.contains("blue"),
        "{query}"
    );
}

#[tokio::test]
async fn a_call_that_fails_is_recorded_as_what_failed() {
    let place = Place::start().await;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/pay");
    let output = place
        .run(&["--workload", "till"], &program("curl", &["-sSf", &url]))
        .await;
    let (_, err) = said(&output);
    assert_eq!(output.status.code(), Some(22), "{err}");
    assert!(err.contains("1 failed"), "{err}");
    assert_eq!(
        place.calls("till").await,
        ["outbound GET /pay connect_refused"]
    );
}

#[tokio::test]
async fn a_connection_that_goes_around_the_proxy_is_named_while_it_stands() {
    let place = Place::start().await;
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let asks = program(
        "python3",
        &["-c", programs::ASKS_DIRECTLY, &address.port().to_string()],
    );
    let mut command = tokio::process::Command::from(place.remora(&[], &asks));
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let named =
        format!("remora: a connection to {address} goes around the proxy and is not recorded");
    let seen = async { while lines.next_line().await.unwrap().unwrap() != named {} };
    tokio::time::timeout(Duration::from_secs(30), seen)
        .await
        .unwrap();
    // The program ends with its input.
    drop(child.stdin.take());
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn exit_codes_and_deaths_are_the_programs_own() {
    let place = Place::start().await;
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let output = place.run(&[], &program("sh", &["-c", script])).await;
        assert_eq!(output.status.code(), Some(code), "{script}: {output:?}");
    }
    let missing = place.run(&[], &program("/nowhere/program", &[])).await;
    assert_eq!(missing.status.code(), Some(127));
    assert!(said(&missing).1.contains("/nowhere/program"));
    let folder = place.run(&[], &program("/tmp", &[])).await;
    assert_eq!(folder.status.code(), Some(126));
}

#[tokio::test]
async fn nobody_has_to_read_what_is_said() {
    let place = Place::start().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.remora(&[], &program("sh", &["-c", "exit 3"]));
    command.stderr(writer);
    let mut command = tokio::process::Command::from(command);
    assert_eq!(command.status().await.unwrap().code(), Some(3));
}

#[tokio::test]
async fn input_output_and_arguments_are_the_programs_own() {
    let place = Place::start().await;
    let script = "cat; printf '%s.' \"$@\"; echo oops >&2";
    let program = program("sh", &["-c", script, "sh", "--quiet", "a b", ""]);
    let mut command = place.remora(&["--quiet"], &program);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"typed\n").unwrap();
    let output = tokio::task::spawn_blocking(|| child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        said(&output),
        ("typed\n--quiet.a b..".to_owned(), "oops\n".to_owned())
    );
}

#[tokio::test]
async fn a_server_is_recorded_at_the_mapped_port() {
    let place = Place::start().await;
    let (listen, own) = (free_port(), free_port());
    let map = format!("{listen}:{own}");
    let server = program("node", &["-e", programs::NODE_SERVER, &own.to_string()]);
    let command = place.remora(&["--workload", "web", "--listen", &map, "--quiet"], &server);
    let running = Running::of({ command }.spawn().unwrap());
    let client = Client::new();
    let url = format!("http://127.0.0.1:{listen}/orders/7");
    let (status, body) = eventually("the server answers", || client.get(&url, &[])).await;
    assert_eq!((status, &body[..]), (200, &b"node says /orders/7"[..]));
    assert_eq!(running.stop(), Some(0), "the server ends at SIGTERM");
    let calls = place.calls("web").await;
    assert!(
        calls.contains(&"inbound GET /orders/7 200".to_owned()),
        "{calls:?}"
    );
}

#[tokio::test]
async fn clients_in_python_are_recorded() {
    let Some(programs) = Programs::of_https() else {
        return;
    };
    let place = Place::start().await;
    let port = origin::start().await;
    let asks = programs.python(programs::PYTHON_CLIENTS);
    let mut asks_there = program(asks.get_program().to_str().unwrap(), &[]);
    asks_there.args(asks.get_args()).arg(port.to_string());
    let output = place.run(&["--workload", "python"], &asks_there).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        place.calls("python").await,
        [
            "outbound GET /httpx 200",
            "outbound GET /requests 200",
            "outbound GET /urllib 200",
            "outbound POST /requests 200"
        ]
    );
}

#[tokio::test]
async fn npm_is_recorded() {
    let place = Place::start().await;
    let port = origin::serve(|_| async { hyper::Response::new("{}".into()) }).await;
    let home = tempfile::tempdir().unwrap();
    let registry = format!("--registry=http://localhost:{port}/");
    let mut npm = program("npm", &["ping", &registry]);
    npm.env("HOME", home.path())
        .env("npm_config_update_notifier", "false")
        .env("npm_config_cache", home.path().join("cache"));
    let output = place.run(&[], &npm).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.calls("npm").await, ["outbound GET /-/ping 200"]);
}

#[tokio::test]
async fn node_is_recorded_where_it_honours_the_variables() {
    let Some(node) = programs::node_22() else {
        return;
    };
    let place = Place::start().await;
    let port = origin::start().await;
    let asks = program(&node, &["-e", programs::NODE_CLIENTS, &port.to_string()]);
    let output = place.run(&["--workload", "node"], &asks).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said(&output).0, "/fetch\n/http\n");
    assert_eq!(
        place.calls("node").await,
        ["outbound GET /fetch 200", "outbound GET /http 200"]
    );
}

#[tokio::test]
async fn a_hub_is_started_where_none_answers_and_nothing_of_it_stays() {
    // Whoever has the port of ingest, the API is where it was asked for.
    let _taken = std::net::TcpListener::bind("127.0.0.1:8898");
    let port = origin::start().await;
    let home = tempfile::tempdir().unwrap();
    let api = format!("http://127.0.0.1:{}", free_port());
    let url = format!("http://127.0.0.1:{port}/alone");
    let mut command = tokio::process::Command::new(REMORA);
    command
        .args(["run", "--hub", &api, "--", "curl", "-sS", &url])
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .current_dir(home.path());
    let output = command.output().await.unwrap();
    let (out, err) = said(&output);
    assert_eq!((output.status.code(), &*out), (Some(0), "/alone"), "{err}");
    assert!(
        err.contains(&format!(
            "look at {api}/ (MCP: {api}/mcp), a hub of its own"
        )),
        "{err}"
    );
    assert!(err.contains("1 call recorded"), "{err}");
    assert!(err.contains("--keep has it stay"), "{err}");
    assert_eq!(Client::new().status(&api).await, None, "the hub is gone");
    assert_eq!(files(home.path()), Vec::<String>::new());
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test]
async fn a_hub_that_is_kept_answers_until_it_is_interrupted() {
    let port = origin::start().await;
    let api = format!("http://127.0.0.1:{}", free_port());
    let url = format!("http://127.0.0.1:{port}/kept");
    let command = Command::new(REMORA)
        .args([
            "run",
            "--keep",
            "--hub",
            &api,
            "--",
            "sh",
            "-c",
            &format!("curl -sS {url}; exit 3"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = command.unwrap();
    let said = std::io::BufReader::new(child.stderr.take().unwrap());
    let running = Running::of(child);
    let client = Client::new();
    let calls = eventually("the call is recorded", || async {
        let calls = client.matching(&api, "path == \"/kept\"").await?;
        (!calls.is_empty()).then_some(calls)
    })
    .await;
    assert_eq!(line(&calls[0]), "outbound GET /kept 200");
    let (has_ended, _said) = spawn_blocking(|| {
        let mut lines = std::io::BufRead::lines(said);
        let has_ended = lines.any(|line| line.unwrap().contains("the hub stays"));
        (has_ended, lines)
    })
    .await
    .unwrap();
    assert!(has_ended, "it says that the program has ended");
    assert_eq!(running.stop(), Some(3), "the program's own exit code");
}

#[test]
fn what_makes_no_sense_is_said_before_anything_runs() {
    for (options, says) in [
        (&["--listen", "8080"][..], "such as 8080:3000"),
        (&["--hub", "8899"], "http://127.0.0.1:8899"),
        (
            &["--hub", "http://192.0.2.1.invalid:1"],
            "one can only be started on loopback",
        ),
        (&["--lisen", "1:2"], "--listen"),
    ] {
        let output = Command::new(REMORA)
            .arg("run")
            .args(options)
            .args(["--", "touch", "/nowhere"])
            .output()
            .unwrap();
        let (_, err) = said(&output);
        assert_eq!(output.status.code(), Some(125), "{err}");
        assert!(err.contains(says), "{err}");
        assert!(!err.contains("touch"), "{err}");
    }
}
