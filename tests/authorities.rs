//! What sidecars and hub trust each other by, as the injector keeps it in a real API server with the rights that
//! the chart gives it.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::eventually;
use crate::support::kubernetes::ApiServer;
use crate::support::process::HubPlace;
use crate::webhook::{created, installed, pod};

/// The authorities that pods of a namespace mount.
fn bundle(server: &ApiServer, namespace: &str) -> Option<String> {
    let output = server.run([
        "-n",
        namespace,
        "get",
        "configmap",
        "remora-hub-ca",
        "-o",
        "json",
    ]);
    let map: Value = serde_json::from_slice(&output.stdout).ok()?;
    map["data"]["ca.crt"].as_str().map(str::to_owned)
}

async fn published(server: &ApiServer, namespace: &str) -> String {
    eventually("the authorities", async || bundle(server, namespace)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_in_every_namespace_with_sidecars_and_in_no_other() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    let authorities = published(&server, "shop").await;
    server.ask(["create", "namespace", "late"]);
    server.ask(["label", "namespace", "late", "remora.dev/inject=enabled"]);
    assert_eq!(published(&server, "late").await, authorities);

    // The namespace says no, and one pod in it yes; one that is only tried changes nothing.
    let labelled = pod("chosen", "remora.dev/inject: enabled");
    created(&server, "default", &labelled, &["--dry-run=server"]);
    created(&server, "bank", &labelled, &[]);
    assert_eq!(published(&server, "bank").await, authorities);
    for namespace in ["default", "kube-system", "remora"] {
        assert_eq!(bundle(&server, namespace), None, "{namespace}");
    }

    // What pods may still need stays when the label goes.
    server.ask(["label", "namespace", "late", "remora.dev/inject-"]);
    created(
        &server,
        "bank",
        &pod("another", "remora.dev/inject: enabled"),
        &[],
    );
    assert_eq!(bundle(&server, "late"), Some(authorities));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_under_the_certificate_that_was_made_for_it_is_trusted() {
    let Some((server, _injectors)) = installed().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("ca.crt"), published(&server, "shop").await).unwrap();
    let secret = eventually("the hub's certificate", async || {
        let output = server.run([
            "-n",
            "remora",
            "get",
            "secret",
            "remora-hub-tls",
            "-o",
            "json",
        ]);
        serde_json::from_slice::<Value>(&output.stdout).ok()
    })
    .await;
    assert_eq!(secret["type"], "kubernetes.io/tls");
    for name in ["tls.crt", "tls.key"] {
        let text = secret["data"][name].as_str().unwrap();
        std::fs::write(file(name), STANDARD.decode(text).unwrap()).unwrap();
    }
    let place = HubPlace::new();
    let (certificate, key) = (file("tls.crt"), file("tls.key"));
    let tls = ["--ingest-tls-cert", &certificate, "--ingest-tls-key", &key];
    let hosts = ["--allowed-host", "remora-hub.remora.svc"];
    let _hub = place.start_on("127.0.0.1", &[tls.as_slice(), &hosts].concat());

    // By the name that pods call it by.
    let (name, port) = ("remora-hub.remora.svc", place.ingest_port);
    let path = "ingest/v1/control?incarnation=00000000000000000000000000000001";
    let answer = eventually("an answer", async || {
        let output = Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--cacert", &file("ca.crt")])
            .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
            .arg(format!("https://{name}:{port}/{path}"))
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout).ok()
    })
    .await;
    assert!(answer["redaction_key"]["key"].is_string(), "{answer}");
}
