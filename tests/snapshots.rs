//! `remora snapshot` as a script uses it: start, exercise, wait, look, delete.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::api::Client;
use crate::support::process::{HubPlace, REMORA, free_port, start_sidecar};
use crate::support::{eventually, origin};

async fn snapshot(hub: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(REMORA);
    command
        .arg("snapshot")
        .args(arguments)
        .args(["--hub", hub])
        .env_remove("REMORA_LOG");
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
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

#[tokio::test(flavor = "multi_thread")]
async fn a_script_starts_waits_and_finds_what_it_did() {
    let place = HubPlace::new();
    let hub = place.start();
    let upstream = origin::start().await;
    let (_sidecar, port) = start_sidecar(&place, upstream, &["--revision", "r7"]);
    let client = Client::new();
    let api = place.api();
    eventually("the sidecar is connected", || async {
        let status = client.status(&api).await?;
        (status["coverage"]["sidecars"].as_array()?.len() == 1).then_some(())
    })
    .await;
    client
        .get(&format!("http://127.0.0.1:{port}/before"), &[])
        .await
        .unwrap();

    let (code, id, errors) = said(&snapshot(&api, &["start", "--name", "script"]).await);
    assert_eq!(code, Some(0), "{errors}");
    let id = id.trim();
    let nothing = snapshot(&api, &["wait", id, "--max-wait", "1s", "--idle", "0s"]).await;
    let (code, told, _) = said(&nothing);
    assert_eq!(code, Some(1), "nothing came: {told}");
    assert!(told.starts_with("not settled (timeout): 0 calls"), "{told}");

    for number in 0..10 {
        let uri = format!("http://127.0.0.1:{port}/during/{number}");
        client.get(&uri, &[]).await.unwrap();
    }
    let one_wait = [
        "wait",
        id,
        "--idle",
        "1100ms",
        "--where",
        "method == \"GET\"",
        "--json",
    ];
    let waited = snapshot(&api, &one_wait).await;
    let (code, told, progress) = said(&waited);
    assert_eq!(code, Some(0), "{told}{progress}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["calls"], &told["sidecars_flushed"]),
        (&10.into(), &1.into()),
        "{told}"
    );
    assert!(
        progress.contains("in flight, 1/1 sidecars flushed"),
        "{progress}"
    );

    client
        .get(&format!("http://127.0.0.1:{port}/after"), &[])
        .await
        .unwrap();
    let (_, listed, _) = said(&snapshot(&api, &["list"]).await);
    assert!(
        listed.contains(&format!("{id}\tsealed")) && listed.contains("script"),
        "{listed}"
    );
    let one = client
        .json(&format!("{api}/api/v1/snapshots/{id}"))
        .await
        .unwrap();
    assert_eq!(one["workloads"][0]["revision"], "r7", "{one}");

    // The snapshot outlives the hub.
    assert_eq!(hub.stop(), Some(0));
    let _hub = place.start();
    let inside = format!("{api}/api/v1/calls?snapshot={id}");
    let calls = eventually("the hub answers again", || client.json(&inside)).await;
    let calls = calls["calls"].as_array().unwrap().clone();
    assert_eq!(calls.len(), 10, "{calls:?}");
    assert!(
        calls
            .iter()
            .all(|call| call["path"].as_str().unwrap().starts_with("/during/"))
    );

    assert_eq!(said(&snapshot(&api, &["delete", id]).await).0, Some(0));
    let (code, _, errors) = said(&snapshot(&api, &["delete", id]).await);
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("there is no snapshot"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_asks_wrongly_is_told_so_by_the_exit_code() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for arguments in [
        &["list"][..],
        &["wait"],
        &["wait", "no id"],
        &["start", "--tll", "24h"],
        &["list", "--token-file", "/nowhere/token"],
    ] {
        let (code, _, errors) = said(&snapshot(&nobody, arguments).await);
        assert_eq!(code, Some(3), "{arguments:?}: {errors}");
        assert!(errors.contains("error:"), "{errors}");
    }
}
