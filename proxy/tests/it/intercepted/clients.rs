//! Real clients: what they say and are told is recorded, as they said it.

use std::fs;
use std::path::{Path, PathBuf};

use remora_store::call::{CallError, Protocol, TlsHandling, TlsReason};
use test_case::test_case;

use super::*;

/// Asks twice, and says what came.
const REQUESTS: &str = r#"
import socket, sys, requests
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if host == "api.test" else host, *rest, **more)
with requests.Session() as session:
    for _ in range(2):
        answer = session.post(f"https://api.test:{sys.argv[1]}/pay", data="amount=7")
        print(answer.status_code, answer.text)
"#;

const HTTPX: &str = r#"
import socket, sys, httpx
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if host == "api.test" else host, *rest, **more)
with httpx.Client(http2=True) as client:
    for _ in range(2):
        answer = client.post(f"https://api.test:{sys.argv[1]}/pay", content="amount=7")
        print(answer.status_code, answer.text)
"#;

const NODE: &str = r#"
const dns = require("dns");
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host === "api.test" ? "127.0.0.1" : host, ...rest);
(async () => {
  for (let round = 0; round < 2; round++) {
    const answer = await fetch(`https://api.test:${process.argv[1]}/pay`, { method: "POST", body: "amount=7" });
    console.log(answer.status, await answer.text());
  }
})().catch((error) => { console.error(error); process.exit(1); });
"#;

const JAVA: &str = r#"
import java.net.URI;
import java.net.http.*;

public class Ask {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newHttpClient();
        for (int round = 0; round < 2; round++) {
            var request = HttpRequest.newBuilder(URI.create("https://api.test:" + args[0] + "/pay"))
                .POST(HttpRequest.BodyPublishers.ofString("amount=7")).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"#;

const GO: &str = r#"
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	transport := http.DefaultTransport.(*http.Transport)
	var dialer net.Dialer
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, "127.0.0.1:"+os.Args[1])
	}
	for round := 0; round < 2; round++ {
		answer, err := http.Post("https://api.test/pay", "text/plain", strings.NewReader("amount=7"))
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			panic(err)
		}
		answer.Body.Close()
		fmt.Println(answer.StatusCode, string(body))
	}
}
"#;

/// A program of a client, where its language is installed.
fn program(language: &str, folder: &Path, port: u16) -> Option<Command> {
    let clients = std::env::var_os("REMORA_CLIENTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/clients")),
        PathBuf::from,
    );
    let python = clients.join("https/python/bin/python");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (program, words): (PathBuf, Vec<String>) = match language {
        "requests" => (python, vec!["-c".into(), REQUESTS.into()]),
        "httpx" => (python, vec!["-c".into(), HTTPX.into()]),
        "node" => ("node".into(), vec!["-e".into(), NODE.into()]),
        "java" => {
            let hosts = write("hosts", "127.0.0.1 api.test\n");
            let hosts = format!("-Djdk.net.hosts.file={}", hosts.display());
            let source = write("Ask.java", JAVA).display().to_string();
            ("java".into(), vec![hosts, source])
        }
        _ => {
            let source = write("ask.go", GO).display().to_string();
            ("go".into(), vec!["run".into(), source])
        }
    };
    let mut command = client(&program);
    command.args(words).arg(port.to_string());
    let found = std::process::Command::new(&program).arg("--help").output();
    if found.is_ok() {
        return Some(command);
    }
    let required = std::env::var_os("REMORA_REQUIRE").is_some_and(|what| what == "all");
    assert!(
        !required,
        "REMORA_REQUIRE=all, and {} is missing",
        program.display()
    );
    eprintln!("skipped: {} is missing", program.display());
    None
}

#[test_case("requests", Protocol::Http1, false)]
#[test_case("httpx", Protocol::Http2, false)]
#[test_case("httpx", Protocol::Http2, true; "httpx apart")]
#[test_case("node", Protocol::Http1, false)]
#[test_case("java", Protocol::Http2, false)]
#[test_case("go", Protocol::Http2, false)]
#[test_case("go", Protocol::Http2, true; "go apart")]
#[tokio::test]
async fn what_a_client_says_is_recorded_if_it_is_told_whom_to_trust(
    language: &str,
    protocol: Protocol,
    is_apart: bool,
) {
    let street = Street::with_nginx(Flaw::None, "auto", "").await;
    let port = street.rig.address.port();
    let Some(mut command) = program(language, street.pki.folder(), port) else {
        return;
    };
    let (went_well, said) = match is_apart {
        false => street.run(&mut command).await,
        true => street.run_apart(&mut command).await,
    };
    assert!(went_well, "{said}");
    assert_eq!(said.matches("200 {\"uri\":\"/pay\"").count(), 2, "{said}");
    let calls = street.calls().await;
    assert_eq!(
        handled(&calls),
        [(TlsHandling::Intercepted, TlsReason::Asked); 2]
    );
    for call in &calls {
        assert_eq!(call.protocol, protocol);
        assert_eq!(&call.request.body[..], b"amount=7");
        assert!(call.response.body.starts_with(b"{\"uri\":\"/pay\""));
    }
}

#[tokio::test]
async fn curl_in_an_image_of_its_own_trusts_what_it_is_shown() {
    let street = Street::with_nginx(Flaw::None, "auto", "").await;
    let url = format!("https://{NAME}/");
    let mut curl = curl(street.rig.address, &[&url]);
    let (went_well, said) = street.run_apart(&mut curl).await;
    assert!(went_well, "{said}");
    let calls = street.calls().await;
    assert_eq!(
        handled(&calls),
        [(TlsHandling::Intercepted, TlsReason::Asked)]
    );
}

/// Without the variables each of them refuses, and is then left alone.
#[test_case("requests")]
#[test_case("node")]
#[test_case("java")]
#[test_case("go")]
#[tokio::test]
async fn a_client_that_is_not_told_loses_few_connections(language: &str) {
    let street = Street::with_nginx(Flaw::None, "auto", "").await;
    let port = street.rig.address.port();
    for _ in 0..3 {
        let Some(mut command) = program(language, street.pki.folder(), port) else {
            return;
        };
        // The server's own authority is none that it knows either.
        let (went_well, said) = output(&mut command).await;
        assert!(!went_well, "{said}");
    }
    let calls = street.calls().await;
    let passed = (TlsHandling::Passthrough, TlsReason::RefusedBefore);
    assert_eq!(handled(&calls).last(), Some(&passed));
    let lost = calls.iter().filter(|call| call.tls_handling() != passed);
    let lost: Vec<_> = lost.map(|call| call.error).collect();
    // Node and Java leave without a word, and the first time may have had no use for the connection.
    let expected = match language {
        "node" | "java" => &[Some(CallError::TlsFailed); 2][..],
        _ => &[Some(CallError::CertificateRefused)],
    };
    assert_eq!(lost, expected);
}

#[test_case("--http1.1", "auto", Protocol::Http1)]
#[test_case("--http2", "auto", Protocol::Http2)]
#[test_case("--http1.1", "terminate", Protocol::Http1; "by the engine that acts")]
#[test_case("--http2", "terminate", Protocol::Http2; "by the engine that acts, in streams")]
#[tokio::test]
async fn what_curl_says_is_recorded(version: &str, engine: &str, protocol: Protocol) {
    let street = Street::with_nginx(Flaw::None, engine, "").await;
    let url = format!("https://{NAME}/pay?n=1");
    let mut curl = curl(street.rig.address, &[version, "--data", "amount=7", &url]);
    let (went_well, said) = street.run(&mut curl).await;
    assert!(went_well, "{said}");
    assert!(said.contains("/pay?n=1"), "{said}");
    let calls = street.calls().await;
    assert_eq!(
        handled(&calls),
        [(TlsHandling::Intercepted, TlsReason::Asked)]
    );
    let call = &calls[0];
    assert_eq!(call.protocol, protocol);
    assert_eq!(&call.request.body[..], b"amount=7");
    assert_eq!(String::from_utf8_lossy(&call.response.body), said);
    let secure = call.secure.as_deref().unwrap();
    assert_eq!(secure.hello.sni.as_deref(), Some(NAME));
    assert_eq!(secure.version, Some(0x0304));
    let certificate = secure.certificate.as_ref().unwrap();
    assert!(
        certificate.subject.contains(&format!("CN={NAME}")),
        "{certificate:?}"
    );
}
