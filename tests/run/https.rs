//! HTTPS of local programs: looked into without their doing, passed through where that is asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::programs::{self, HTTPS_IN_NODE, HTTPS_IN_PYTHON};
use super::{Place, files, line, program, said};
use crate::support::programs::Programs;

/// A server of HTTPS, certified by an authority that no system knows.
pub struct Server {
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a leaf of the same name for one that signed itself, and an authority for any of its name.
        let name = &mut authority.distinguished_name;
        name.push(
            DnType::CommonName,
            format!("authority in {}", folder.path().display()),
        );
        let authority_key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&authority_key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost", "api.test"].map(str::to_owned)).unwrap();
        let leaf = leaf
            .signed_by(&key, &Issuer::new(authority, authority_key))
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that trusts nobody ends the handshake.
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut asked = Vec::new();
                    while let Ok(1..) = stream.read_buf(&mut asked).await {
                        // A request may come in pieces.
                        if asked.ends_with(b"\r\n\r\n") {
                            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
                            stream.write_all(answer).await.unwrap();
                            asked.clear();
                        }
                    }
                });
            }
        });
        Self { address, folder }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Options by which the sidecar trusts the server, as it does one that the system knows.
    pub fn trusted(&self) -> [String; 2] {
        [
            "--upstream-ca".to_owned(),
            self.authority().display().to_string(),
        ]
    }
}

/// What was done about the TLS of each call, in the order of the lines.
fn handling(records: &[Value]) -> Vec<(String, String)> {
    let mut seen: Vec<_> = records
        .iter()
        .map(|call| {
            (
                line(call),
                call["tls"]["handling"].as_str().unwrap_or("-").to_owned(),
            )
        })
        .collect();
    seen.sort();
    seen
}

fn intercepted(line: &str) -> (String, String) {
    (line.to_owned(), "intercepted".to_owned())
}

#[tokio::test]
async fn bodies_of_curl_over_https_are_recorded_and_nothing_stays() {
    let (place, server) = (Place::start().await, Server::start().await);
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().display();
    // Whatever lies in the folder, the program cannot find the key there.
    let script = format!(
        "curl -sS {} && ls {folder} | wc -l && ! grep -rl PRIVATE {folder}",
        server.url("/a")
    );
    let mut shell = program("sh", &["-c", &script]);
    shell.env("TMPDIR", temporary.path());
    let [flag, file] = server.trusted();
    let output = place
        .run(&["--workload", "curl", &flag, &file], &shell)
        .await;
    let (out, err) = said(&output);
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out, "secret1\n");
    assert_eq!(files(temporary.path()), Vec::<String>::new());
    let records = place.records("curl").await;
    assert_eq!(handling(&records), [intercepted("outbound GET /a 200")]);
    assert_eq!(records[0]["response"]["body"], "secret");
    assert!(
        err.contains("1 call recorded (1 outbound, 0 inbound);"),
        "{err}"
    );
}

#[tokio::test]
async fn clients_in_python_and_node_trust_what_they_are_shown() {
    let (Some(programs), Some(node)) = (Programs::of_https(), programs::node_22()) else {
        return;
    };
    let (place, server) = (Place::start().await, Server::start().await);
    let [flag, file] = server.trusted();
    let url = server.url("");
    let mut python = programs.python(HTTPS_IN_PYTHON);
    python.arg(&url);
    let output = place
        .run(&["--workload", "python", &flag, &file], &python)
        .await;
    assert!(output.status.success(), "{output:?}");
    let node = program(&node, &["-e", HTTPS_IN_NODE, &url]);
    let output = place
        .run(&["--workload", "node", &flag, &file], &node)
        .await;
    assert!(output.status.success(), "{output:?}");
    for workload in ["python", "node"] {
        let records = place.records(workload).await;
        let expected = [
            intercepted("outbound GET /one 200"),
            intercepted("outbound GET /two 200"),
        ];
        assert_eq!(handling(&records), expected, "{workload}");
        assert_eq!(records[0]["response"]["body"], "secret");
    }
}

#[tokio::test]
async fn authorities_that_a_program_was_told_of_before_still_count() {
    let (place, server) = (Place::start().await, Server::start().await);
    let mut curl = program("curl", &["-sS", &server.url("/a")]);
    curl.env("CURL_CA_BUNDLE", server.authority());
    let output = place.run(&[], &curl).await;
    assert_eq!(said(&output).0, "secret", "{output:?}");
    let records = place.records("curl").await;
    assert_eq!(handling(&records), [intercepted("outbound GET /a 200")]);
}

#[tokio::test]
async fn a_program_that_trusts_one_authority_alone_is_told_of_no_other() {
    let place = Place::start().await;
    let (known, other) = (Server::start().await, Server::start().await);
    let script = format!(
        "grep -c BEGIN $CURL_CA_BUNDLE; curl -sS {}; curl -sS {}",
        known.url("/"),
        other.url("/")
    );
    let mut shell = program("sh", &["-c", &script]);
    shell
        .env("CURL_CA_BUNDLE", known.authority())
        .env("NODE_EXTRA_CA_CERTS", other.authority());
    // So that the program sees the servers' own certificates.
    let output = place
        .run(&["--intercept-tls", "api.example.com"], &shell)
        .await;
    let (out, err) = said(&output);
    assert_eq!(
        (&*out, output.status.code()),
        ("2\nsecret", Some(60)),
        "{err}"
    );
}

#[tokio::test]
async fn a_server_that_nobody_knows_stays_one_for_the_program() {
    let (place, server) = (Place::start().await, Server::start().await);
    let curl = program("curl", &["-sS", &server.url("/a")]);
    let output = place.run(&[], &curl).await;
    assert_eq!(
        output.status.code(),
        Some(60),
        "the certificate is not trusted: {output:?}"
    );
    let records = place.records("curl").await;
    let passed: Vec<_> = records
        .iter()
        .map(|call| &call["tls"]["handling"])
        .collect();
    assert_eq!(passed, ["passthrough"]);
}

#[tokio::test]
async fn tls_is_passed_through_where_that_is_asked_for() {
    let (place, server) = (Place::start().await, Server::start().await);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--cacert"])
        .arg(server.authority())
        .arg(server.url("/a"));
    for options in [
        &["--no-intercept"][..],
        &["--intercept-tls", "api.example.com"],
    ] {
        let output = place.run(options, &curl).await;
        let (out, err) = said(&output);
        assert_eq!((output.status.code(), &*out), (Some(0), "secret"), "{err}");
        assert!(
            err.contains("of them TLS that was not looked into"),
            "{err}"
        );
    }
    let records = place.records("curl").await;
    assert_eq!(records.len(), 2);
    for call in &records {
        assert_eq!(call["tls"]["sni"], "localhost", "{call}");
        assert_eq!(call["tls"]["handling"], "passthrough");
    }
}
