//! What must not be looked into: the client fares as it would without a sidecar, and the record says why.

use std::time::Instant;

use remora_store::call::{CallError, Protocol, TlsHandling, TlsReason};
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use test_case::test_case;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

const PASSED: TlsHandling = TlsHandling::Passthrough;

/// How long a hello that is not whole is held at least.
const HOLD: Duration = Duration::from_millis(500);

/// What a client is told about a server that it must not trust.
async fn told(street: &Street, words: &[&str]) -> [(bool, String); 2] {
    let url = format!("https://{NAME}/");
    let words = [words, &[&*url]].concat();
    let mut through = curl(street.rig.address, &words);
    let mut direct = curl(street.server, &words);
    // The authorities that an image has of its own.
    let own = street.pki.hashed();
    let ca_dir = street.pki.folder().join("ca/certs");
    direct.env("SSL_CERT_DIR", &own);
    through.env(
        "SSL_CERT_DIR",
        format!("{}:{}", ca_dir.display(), own.display()),
    );
    [output(&mut through).await, output(&mut direct).await]
}

#[test_case(Flaw::Expired, TlsReason::ServerExpired)]
#[test_case(Flaw::OtherName, TlsReason::ServerName)]
#[test_case(Flaw::SelfSigned, TlsReason::ServerUntrusted)]
#[tokio::test]
async fn a_server_that_is_not_to_be_trusted_is_not_made_so(flaw: Flaw, reason: TlsReason) {
    let street = Street::with_nginx(flaw, "auto", "").await;
    let [through, direct] = told(&street, &[]).await;
    assert_eq!(through, direct);
    assert!(!direct.0, "{direct:?}");
    // Whoever does not check is served, and from then on without a detour.
    let [through, direct] = told(&street, &["--insecure"]).await;
    assert_eq!(through, direct);
    assert!(direct.0, "{direct:?}");
    let calls = street.calls().await;
    assert_eq!(handled(&calls), [(PASSED, reason); 2]);
    assert!(calls.iter().all(|call| call.protocol == Protocol::Tls));
}

#[tokio::test]
async fn a_client_with_a_certificate_shows_it_itself() {
    let pki = Pki::new();
    let authority = pki.authority();
    let more = format!(
        "ssl_verify_client on; ssl_client_certificate {};",
        authority.display()
    );
    let identity = pki.identity(Flaw::None);
    let (certificate, key) = pki.files("client", &identity);
    let street = Street::of(pki, Flaw::None, "auto", &more).await;
    let [through, direct] = told(
        &street,
        &[
            "--cert",
            certificate.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ],
    )
    .await;
    assert_eq!(through, direct);
    assert!(through.1.contains("\"user\":\"CN=api.test"), "{through:?}");
    let reasons = handled(&street.calls().await);
    assert_eq!(reasons, [(PASSED, TlsReason::ClientCertificate)]);
}

#[tokio::test]
async fn a_client_that_refuses_loses_one_connection_and_no_more() {
    let street = Street::with_nginx(Flaw::None, "auto", "").await;
    let authority = street.pki.authority();
    let pinned = ["--cacert", authority.to_str().unwrap()];
    let [through, direct] = told(&street, &pinned).await;
    assert!(!through.0 && direct.0, "{through:?} {direct:?}");
    let [through, direct] = told(&street, &pinned).await;
    assert_eq!(through, direct);
    let calls = street.calls().await;
    let expected = [
        (TlsHandling::Intercepted, TlsReason::Refused),
        (PASSED, TlsReason::RefusedBefore),
    ];
    assert_eq!(handled(&calls), expected);
    assert_eq!(calls[0].error, Some(CallError::CertificateRefused));
    assert_eq!(calls[1].error, None);
}

#[tokio::test]
async fn whoever_names_no_server_or_another_is_left_alone() {
    let street = Street::with_nginx(Flaw::None, "auto", "").await;
    let mut nameless = Command::new("curl");
    let url = format!("https://{}/", street.rig.address);
    nameless.args(["--silent", "--insecure", &url]);
    assert!(street.run(&mut nameless).await.0);
    let mut other = curl(street.rig.address, &["--insecure"]);
    other.args(["--connect-to", &format!("::{}", street.rig.address)]);
    other.arg("https://api.example/");
    assert!(street.run(&mut other).await.0);
    let reasons = handled(&street.calls().await);
    assert_eq!(
        reasons,
        [(PASSED, TlsReason::NoName), (PASSED, TlsReason::NotAsked)]
    );
}

/// A client and a server that the test plays, both of TLS.
async fn play(alpn: &[&str]) -> (Vec<u8>, Vec<Call>) {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = pki.server(&pki.identity(Flaw::None), alpn, false);
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    let serving = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let server = TlsAcceptor::from(server.clone());
            // Of two connections one may come to nothing.
            if let Ok(mut tls) = server.accept(socket).await {
                let _ = tls.write_all(b"hello").await;
                let _ = tls.shutdown().await;
            }
        }
    });
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(pki.roots())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let socket = TcpStream::connect(rig.address).await.unwrap();
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    let name = ServerName::try_from(NAME).unwrap();
    let mut tls = within(connector.connect(name, socket)).await.unwrap();
    let mut said = Vec::new();
    within(tls.read_to_end(&mut said)).await.unwrap();
    tls.shutdown().await.unwrap();
    drop(tls);
    serving.abort();
    (said, calls_of(rig).await)
}

#[tokio::test]
async fn a_protocol_that_is_not_known_is_passed_through() {
    let (said, calls) = play(&["acme-tls/1"]).await;
    assert_eq!(said, b"hello");
    assert_eq!(handled(&calls), [(PASSED, TlsReason::Alpn)]);
}

#[tokio::test]
async fn a_protocol_that_the_server_prefers_is_passed_through_if_it_is_not_known() {
    let (said, calls) = play(&["sip/2", "http/1.1"]).await;
    assert_eq!(said, b"hello");
    assert_eq!(handled(&calls), [(PASSED, TlsReason::Alpn)]);
}

/// A ClientHello for [`NAME`], with one more extension.
pub(super) fn hello_with(extension: &[u8]) -> Vec<u8> {
    let name = [&[0, 0, NAME.len() as u8][..], NAME.as_bytes()].concat();
    let list = [&[0, name.len() as u8][..], &name].concat();
    let extensions = [
        &[0, 0, 0, list.len() as u8][..],
        &list,
        &[0, 43, 0, 3, 2, 3, 4],
        extension,
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        b"\0\0\x02\x13\x01\x01\0",
        &[0, extensions.len() as u8],
        &extensions,
    ]
    .concat();
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[0x16, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}

#[test_case(&hello_with(&[0xfe, 0x0d, 0, 3, 1, 2, 3]), TlsReason::EncryptedHello)]
#[test_case(b"\x16\x03\x01\x00\x05\x01\0\0\x01\0", TlsReason::UnreadableHello)]
#[tokio::test]
async fn a_hello_that_may_say_something_else_arrives_as_it_was_sent(
    hello: &[u8],
    reason: TlsReason,
) {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    let began = Instant::now();
    for piece in hello.chunks(hello.len().div_ceil(3)) {
        client.write_all(piece).await.unwrap();
    }
    let in_time = began.elapsed() < HOLD;
    let mut arrived = vec![0; hello.len()];
    within(server.read_exact(&mut arrived)).await.unwrap();
    assert_eq!(arrived, hello);
    server.write_all(b"answer").await.unwrap();
    within(client.read_exact(&mut [0; 6])).await.unwrap();
    drop((client, server));
    let reasons = handled(&calls_of(rig).await);
    // A machine that paused between two pieces may have left it at half a hello.
    let is_half = !in_time && reasons == [(PASSED, TlsReason::UnfinishedHello)];
    assert!(is_half || reasons == [(PASSED, reason)], "{reasons:?}");
}

#[test_case(&hello_with(&[])[..20]; "half a hello")]
#[test_case(b"\x16"; "a byte that could begin one")]
#[tokio::test]
async fn a_hello_that_does_not_go_on_is_not_held(begun: &[u8]) {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    client.write_all(begun).await.unwrap();
    // The client says no more before the server has answered.
    let mut arrived = vec![0; begun.len()];
    within(server.read_exact(&mut arrived)).await.unwrap();
    assert_eq!(arrived, begun);
    server.write_all(b"go on").await.unwrap();
    within(client.read_exact(&mut [0; 5])).await.unwrap();
    drop((client, server));
    let reasons = handled(&calls_of(rig).await);
    assert_eq!(reasons, [(PASSED, TlsReason::UnfinishedHello)]);
}

#[tokio::test]
async fn a_hello_that_breaks_off_is_passed_on_with_the_close() {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    let begun = &hello_with(&[])[..20];
    client.write_all(begun).await.unwrap();
    client.shutdown().await.unwrap();
    let mut arrived = Vec::new();
    within(server.read_to_end(&mut arrived)).await.unwrap();
    assert_eq!(arrived, begun);
    drop((client, server));
    let reasons = handled(&calls_of(rig).await);
    assert_eq!(reasons, [(PASSED, TlsReason::UnfinishedHello)]);
}

#[tokio::test]
async fn what_is_no_tls_goes_on_as_it_did() {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    // One that speaks first, and one that is asked.
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    server.write_all(b"220 mail ESMTP\r\n").await.unwrap();
    within(client.read_exact(&mut [0; 16])).await.unwrap();
    drop((client, server));
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    within(server.read_exact(&mut [0; 18])).await.unwrap();
    server
        .write_all(b"HTTP/1.0 200 OK\r\n\r\nok")
        .await
        .unwrap();
    drop(server);
    within(client.read_to_end(&mut Vec::new())).await.unwrap();
    drop(client);
    let calls = calls_of(rig).await;
    let protocols: Vec<_> = calls.iter().map(|call| call.protocol).collect();
    assert_eq!(protocols, [Protocol::Opaque, Protocol::Http1]);
    let plain = (TlsHandling::Plaintext, TlsReason::NoTls);
    assert_eq!(handled(&calls), [plain; 2]);
}

/// What a client and a server hear of each other, where the server did something else to the sidecar's hello.
async fn pass_hello(rig: &Rig, listener: &tokio::net::TcpListener, first: Option<First>) {
    let hello = hello_with(&[]);
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    client.write_all(&hello).await.unwrap();
    let mut stuck = None;
    if let Some(first) = first {
        let (mut server, _) = within(listener.accept()).await.unwrap();
        within(server.read_exact(&mut [0; 5])).await.unwrap();
        match first {
            First::Closes => drop(server),
            First::SaysNothing => stuck = Some(server),
        }
    }
    let (mut server, _) = within(listener.accept()).await.unwrap();
    let mut arrived = vec![0; hello.len()];
    within(server.read_exact(&mut arrived)).await.unwrap();
    assert_eq!(arrived, hello);
    drop(stuck);
}

#[derive(Debug, Clone, Copy)]
enum First {
    Closes,
    SaysNothing,
}

#[test_case(First::Closes)]
#[test_case(First::SaysNothing)]
#[tokio::test]
async fn a_server_that_does_not_come_to_terms_is_passed_through_and_then_remembered(first: First) {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    for first in [Some(first), Some(first), None] {
        pass_hello(&rig, &listener, first).await;
    }
    let expected = (PASSED, TlsReason::ServerHandshake);
    assert_eq!(handled(&calls_of(rig).await), [expected; 3]);
}
