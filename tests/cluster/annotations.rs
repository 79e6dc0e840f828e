//! What annotations of a pod switch on: the engine that acts, faults, and looking into TLS.

use http_body_util::Full;
use hyper::Request;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use super::{Asked, SHOP, apply, encoded, in_shop, kubectl};
use crate::support::eventually;

/// Where the server of HTTPS is found.
const VAULT: &str = "https://vault:8443/";

/// A server of HTTPS behind a Service, certified by an authority that only a `ConfigMap` knows, and a pod that calls it.
fn manifests(app: &str) -> String {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "corporate");
    let key = KeyPair::generate().unwrap();
    let corporate = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["vault".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let metadata = |name: &str| json!({"name": name, "namespace": SHOP});
    let mut vault = metadata("vault");
    vault["labels"] = json!({"app": "vault", "remora.dev/inject": "disabled"});
    let mut clerk = metadata("clerk");
    clerk["annotations"] = json!({
        "remora.dev/engine": "terminate",
        "remora.dev/faults": "allowed",
        "remora.dev/intercept-tls": "vault",
        "remora.dev/upstream-ca": "corporate",
    });
    let serve = "exec openssl s_server -accept 8443 -cert /tls/tls.crt -key /tls/tls.key -www";
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("corporate"), "data": {"ca.crt": corporate}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("vault"), "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": leaf.pem(), "tls.key": key.serialize_pem()}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata("vault"),
            "spec": {"selector": {"app": "vault"}, "ports": [{"port": 8443}]}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": vault, "spec": {
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "tls", "secret": {"secretName": "vault"}}],
            "containers": [{"name": "app", "image": app, "command": ["sh", "-c", serve],
                "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
                "volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}]}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": clerk, "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": app, "command": ["sleep", "infinity"]}]}}),
    ];
    let documents = objects.map(|object| object.to_string());
    documents.join("\n---\n")
}

/// What a command in the clerk's own container says.
fn in_clerk(command: &[&str]) -> String {
    in_shop(&[&["exec", "clerk", "-c", "app", "--"], command].concat())
}

/// Status of the answer to a request of the clerk.
fn status(url: &str) -> String {
    in_clerk(&[
        "curl",
        "-s",
        "-m",
        "10",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        url,
    ])
}

impl Asked {
    /// The clerk's calls to a server, oldest first, once there are so many.
    async fn clerks(&self, server: &str, count: usize) -> Vec<Value> {
        let filter = encoded(&format!(
            "src.workload == \"clerk\" && dst.workload == \"{server}\" && leg == \"outbound\""
        ));
        let path = format!("/api/v1/calls?order=oldest&filter={filter}");
        eventually("every call of the clerk", async || {
            let calls = self.get(&path).await?["calls"].as_array()?.clone();
            (calls.len() == count).then_some(calls)
        })
        .await
    }

    async fn begin(&self, fault: &Value) -> (u16, Value) {
        let request = Request::post(format!("{}/api/v1/faults", self.api))
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::from(fault.to_string()))
            .unwrap();
        let answer = self.client.send(request).await.unwrap();
        let json = serde_json::from_slice(answer.body()).unwrap();
        (answer.status().as_u16(), json)
    }
}

/// Shows them on a cluster that has the chart, where the orders are served.
pub async fn hold(asked: &Asked, app: &str) {
    apply(&manifests(app));
    for pod in ["pod/vault", "pod/clerk"] {
        in_shop(&["wait", "--for=condition=ready", pod, "--timeout=120s"]);
    }
    look_into_tls(asked).await;
    fail_on_purpose(asked).await;
}

async fn look_into_tls(asked: &Asked) {
    // The container was told whom to trust, and nothing that it could sign with.
    assert!(in_clerk(&["curl", "-sS", "-m", "10", VAULT]).contains("s_server"));
    let calls = asked.clerks("vault", 1).await;
    assert_eq!(calls[0]["tls"]["handling"], "intercepted", "{calls:?}");
    assert_eq!(
        (&calls[0]["engine"], &calls[0]["status"]),
        (&json!("terminate"), &json!(200))
    );
    let keys = "grep -rl 'PRIVATE KEY' /var/run/remora; echo none";
    assert_eq!(in_clerk(&["sh", "-c", keys]), "none\n");
}

async fn fail_on_purpose(asked: &Asked) {
    let fault = json!({"workload": "clerk", "namespace": SHOP, "effect": {"status": 503}, "first": 2,
        "filter": {"path_prefix": "/hostname"}});
    let (refused, why) = asked.begin(&fault).await;
    assert_eq!(refused, 403, "{why}");
    let account = &format!("--serviceaccount={SHOP}:assistant");
    let role = "--clusterrole=remora-fault-maker";
    in_shop(&["create", "rolebinding", "it-faults", role, account]);
    // What was decided about the token is remembered for a while.
    let begun = eventually("the right to make faults", async || {
        let (status, begun) = asked.begin(&fault).await;
        (status == 201).then_some(begun)
    })
    .await;
    assert_eq!(
        (&begun["sidecars"], &begun["not_covered"]),
        (&json!(1), &json!(0))
    );
    let got = [(); 3].map(|()| status("http://orders/hostname"));
    assert_eq!(got, ["503", "503", "200"]);
    let calls = asked.clerks("orders", 3).await;
    let marks: Vec<_> = calls.iter().map(|call| &call["fault"]["id"]).collect();
    assert_eq!(marks, [&begun["id"], &begun["id"], &Value::Null]);
    kubectl(&["delete", "pod", "clerk", "vault", "--namespace", SHOP]);
}
