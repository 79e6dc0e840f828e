//! Faults in a local program, of whatever it asks for.

use std::process::{Command, Stdio};

use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::https::Server;
use super::programs::RETRIES;
use super::{Place, line};
use crate::support::api::Client;
use crate::support::programs::Programs;
use crate::support::{eventually, origin};

/// Runs a program that tries again, with the first two of its calls failed; gives what its calls came to.
async fn retried(
    place: &Place,
    workload: &str,
    options: &[&str],
    program: &Command,
) -> Vec<String> {
    let options = [&["--workload", workload, "--allow-faults"], options].concat();
    let mut command = tokio::process::Command::from(place.remora(&options, program));
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.kill_on_drop(true).spawn().unwrap();
    let (client, api) = (Client::new(), place.hub.api());
    eventually("the sidecar is connected", || async {
        let status = client.status(&api).await?;
        let sidecars = status["coverage"]["sidecars"].as_array()?;
        let is_it = |it: &serde_json::Value| it["workload"] == workload;
        sidecars.iter().any(is_it).then_some(())
    })
    .await;
    let fault = json!({"workload": workload, "effect": {"status": 503}, "first": 2});
    eventually("the sidecar takes the fault", || async {
        let begin = Request::post(format!("{api}/api/v1/faults"));
        let begin = begin.body(Full::from(fault.to_string())).unwrap();
        let begun = client.send(begin).await?;
        (begun.status() == 201).then_some(())
    })
    .await;
    eventually("the sidecar has the fault", || async {
        let faults = client.json(&format!("{api}/api/v1/faults")).await?;
        let faults = faults["faults"].as_array()?;
        let is_there = |it: &serde_json::Value| it["workload"] == workload && it["sidecars"] == 1;
        faults.iter().any(is_there).then_some(())
    })
    .await;
    // The program begins with its input.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"go\n")
        .await
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut calls = place.records(workload).await;
    calls.sort_by_key(|call| call["time"].to_string());
    calls.iter().map(line).collect()
}

#[tokio::test]
async fn what_fails_on_purpose_is_tried_again_over_http_and_https() {
    let Some(programs) = Programs::of_https() else {
        return;
    };
    let (place, server) = (Place::start().await, Server::start().await);
    let expected = ["503", "503", "200"].map(|status| format!("outbound GET /pay {status}"));
    let plain = format!("http://127.0.0.1:{}/pay", origin::start().await);
    let mut program = programs.python(RETRIES);
    program.arg(&plain);
    assert_eq!(retried(&place, "plain", &[], &program).await, expected);
    let mut program = programs.python(RETRIES);
    program.arg(server.url("/pay"));
    let [flag, file] = server.trusted();
    assert_eq!(
        retried(&place, "secure", &[&flag, &file], &program).await,
        expected
    );
}
