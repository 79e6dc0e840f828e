//! `remora verify` over what curl does: it waits 1 s, 2 s and 4 s between attempts by itself, and always
//! as long with `--retry-delay`.

use std::path::Path;
use std::process::{Command, Output};

use bytes::Bytes;
use hyper::Response;
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::support::api::Client;
use crate::support::process::{HubPlace, REMORA, free_port, start_mapped};
use crate::support::{eventually, origin};

async fn curl(arguments: Vec<String>) {
    let output = spawn_blocking(|| Command::new("curl").args(arguments).output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn verify(hub: &str, directory: &Path, expectations: &str, more: &[&str]) -> Output {
    let file = directory.join("checks.yaml");
    std::fs::write(&file, expectations).unwrap();
    let mut command = Command::new(REMORA);
    command
        .arg("verify")
        .arg(file)
        .args(["--hub", hub])
        .args(more)
        .env_remove("REMORA_LOG");
    spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

const BACKOFF: &str = "\
expectations:
  - name: constant
    check: retries
    args: {filter: {src: checkout, path_prefix: /constant}, expect_retries: 3, expect_backoff: {base_ms: 1000, factor: 2}}
  - name: growing
    check: retries
    args: {filter: {src: checkout, path_prefix: /growing}, expect_delays_ms: [1000, 2000, 4000]}
  - name: nothing else
    check: no_call
    args: {filter: {src: checkout, path_prefix: /other}}
  - name: nobody else
    check: no_call
    args: {filter: {src: nobody}}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_retries_of_curl_are_judged_by_their_delays() {
    let place = HubPlace::new();
    let _hub = place.start();
    let who = ["--workload", "checkout", "--namespace", "local"];
    let (_sidecar, port) =
        start_mapped(&place.ingest(), "outbound", origin::unwell("/").await, &who);
    let attempt = |path: String, more: &[&str]| {
        let url = format!("http://127.0.0.1:{port}{path}");
        let mut arguments = vec!["--silent", "--show-error", "--fail", "--retry", "3"];
        arguments.extend(more);
        arguments.push(&url);
        curl(arguments.into_iter().map(str::to_owned).collect())
    };
    let directory = tempfile::tempdir().unwrap();
    let junit = directory.path().join("junit.xml");
    let settled = [
        "--since",
        "5m",
        "--wait",
        "30s",
        "--junit",
        junit.to_str().unwrap(),
    ];
    // On a busy machine curl waits longer than it means to: it is watched until it did not.
    let mut number = 0;
    let (backoff, told) = loop {
        number += 1;
        tokio::join!(
            attempt(format!("/{number}/constant"), &["--retry-delay", "1"]),
            attempt(format!("/{number}/growing"), &[])
        );
        let backoff = BACKOFF.replace("path_prefix: /", &format!("path_prefix: /{number}/"));
        let output = verify(&place.api(), directory.path(), &backoff, &settled).await;
        let (code, told, errors) = said(&output);
        let lines: Vec<&str> = told.lines().collect();
        let growing = "PASS         growing: expected 3 retries after 1.00 s, 2.00 s, 4.00 s";
        let is_so = code == Some(1)
            && lines[0].starts_with("FAIL")
            && lines[0].contains("constant, factor 1.0")
            && lines[0].contains("the multiplier is not applied")
            && lines[1].starts_with(growing);
        if is_so {
            break (backoff, told);
        }
        assert!(number < 5, "not once in {number} times: {told}{errors}");
    };
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[2].starts_with("PASS         nothing else"), "{told}");
    assert!(lines[3].starts_with("INCONCLUSIVE nobody else"), "{told}");
    assert!(
        lines[3].contains("no sidecar beside nobody recorded anything"),
        "{told}"
    );
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("failures=\"1\""), "{junit}");
    assert!(junit.contains("<skipped message="), "{junit}");

    let json: Value = {
        let output = verify(
            &place.api(),
            directory.path(),
            &backoff,
            &["--since", "5m", "--json"],
        )
        .await;
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(json["verdict"], "fail", "{json}");
    assert_eq!(
        json["checks"][0]["evidence"].as_array().unwrap().len(),
        4,
        "{json}"
    );

    let only = |name: &str| {
        let mut document = "expectations:\n".to_owned();
        let (_, rest) = backoff.split_once(&format!("  - name: {name}\n")).unwrap();
        document.push_str(&format!("  - name: {name}\n"));
        document.push_str(rest.split("  - name").next().unwrap());
        document
    };
    let passes = verify(&place.api(), directory.path(), &only("growing"), &[]).await;
    assert_eq!(said(&passes).0, Some(0), "{:?}", said(&passes));
    let unclear = verify(&place.api(), directory.path(), &only("nobody else"), &[]).await;
    assert_eq!(said(&unclear).0, Some(2), "{:?}", said(&unclear));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_ends_with_three_and_says_why() {
    let place = HubPlace::new();
    let _hub = place.start();
    let api = place.api();
    let client = Client::new();
    eventually("the hub answers", || client.status(&api)).await;
    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let right = "expectations: [{check: status}]";
    for (hub, expectations, more, expected) in [
        (
            &api,
            "expectations: [{check: retrys}]",
            &[][..],
            "expectations[0].check: there is no check \"retrys\"; did you mean retries?",
        ),
        (
            &api,
            "expectations: [{check: count, args: {mim: 1}}]",
            &[],
            "did you mean min?",
        ),
        (&api, "expectation: []", &[], "did you mean expectations?"),
        (&api, "- check: status", &[], "holds no object"),
        (&api, "expectations: [", &[], "neither YAML nor JSON"),
        (
            &api,
            right,
            &["--snapshot", "snp_aaaaaaaaaaaaaaaa"],
            "there is no snapshot",
        ),
        (
            &api,
            right,
            &["--wait", "1s"],
            "--wait has nothing to wait for",
        ),
        (
            &api,
            right,
            &["--since", "yesterday"],
            "invalid value 'yesterday'",
        ),
        (
            &api,
            right,
            &["--snapshot", "a", "--since", "5m"],
            "cannot be used with",
        ),
        (&nobody, right, &[], "reach"),
    ] {
        let output = verify(hub, directory.path(), expectations, more).await;
        let (code, _, errors) = said(&output);
        assert_eq!(code, Some(3), "{expectations} {more:?}: {errors}");
        assert!(
            errors.contains(expected),
            "{expectations} {more:?}: {errors}"
        );
    }
    // A gateway before a hub that is away.
    let gateway = origin::serve(|_| async {
        Response::builder()
            .status(503)
            .body(Bytes::from_static(br#"{"message": "no healthy upstream"}"#))
            .unwrap()
    })
    .await;
    let gateway = format!("http://127.0.0.1:{gateway}");
    let output = verify(&gateway, directory.path(), right, &[]).await;
    assert_eq!(said(&output).0, Some(3), "{:?}", said(&output));
    let output = Command::new(REMORA)
        .args(["verify", "/nowhere.yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let large = verify(&api, directory.path(), &" ".repeat(300 * 1024), &[]).await;
    assert!(
        said(&large).2.contains("larger than 256 KiB"),
        "{:?}",
        said(&large)
    );
}
