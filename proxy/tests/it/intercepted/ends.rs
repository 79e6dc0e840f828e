//! How a connection that is looked into ends, and how much it holds meanwhile.

use std::sync::Arc;
use std::time::Duration;

use remora_store::call::{CallError, TlsHandling, TlsReason};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::passed::hello_with;
use super::*;

const INSIDE: (TlsHandling, TlsReason) = (TlsHandling::Intercepted, TlsReason::Asked);

/// A sidecar, and both ends of a connection that it looks into.
type Ends = (
    Rig,
    client::TlsStream<TcpStream>,
    server::TlsStream<TcpStream>,
);

async fn connect() -> Ends {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    connect_to(&listener).await
}

async fn connect_to(listener: &tokio::net::TcpListener) -> Ends {
    let pki = Pki::new();
    let server = pki.server(&pki.identity(Flaw::None), &[], false);
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    let mut roots = rustls::RootCertStore::empty();
    let ca = pki.folder().join("ca/ca.pem");
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let accepting = async {
        let (socket, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(server).accept(socket).await.unwrap()
    };
    let connecting = async {
        let socket = TcpStream::connect(rig.address).await.unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, socket).await.unwrap()
    };
    let (server, client) = within(async { tokio::join!(accepting, connecting) }).await;
    (rig, client, server)
}

#[tokio::test]
async fn an_end_that_is_announced_arrives_so_and_the_other_direction_goes_on() {
    let (rig, mut client, mut server) = connect().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    within(server.read_to_end(&mut asked)).await.unwrap();
    assert_eq!(asked, b"question");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut answered = Vec::new();
    within(client.read_to_end(&mut answered)).await.unwrap();
    assert_eq!(answered, b"answer");
    drop((client, server));
    let calls = calls_of(rig).await;
    assert_eq!(handled(&calls), [INSIDE]);
    assert_eq!(calls[0].error, None);
}

#[tokio::test]
async fn an_end_that_is_not_announced_stays_one() {
    let (rig, mut client, mut server) = connect().await;
    server
        .write_all(b"HTTP/1.0 200 OK\r\n\r\ncut")
        .await
        .unwrap();
    server.flush().await.unwrap();
    // The socket is closed, and nothing said about it inside.
    let (socket, _) = server.into_inner();
    drop(socket);
    let mut answered = Vec::new();
    let ended = within(client.read_to_end(&mut answered)).await;
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(answered.ends_with(b"cut"));
    drop(client);
    assert_eq!(handled(&calls_of(rig).await), [INSIDE]);
}

#[tokio::test]
async fn a_reset_arrives_as_one() {
    let (rig, mut client, mut server) = connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    within(server.read_exact(&mut [0; 16])).await.unwrap();
    let (socket, _) = server.into_inner();
    socket.set_zero_linger().unwrap();
    drop(socket);
    let ended = within(client.read(&mut [0; 1])).await;
    assert_eq!(
        ended.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    let calls = calls_of(rig).await;
    assert_eq!(calls[0].error, Some(CallError::ServerReset));
}

/// What a server sent just before it reset the connection still reaches a client, though the sidecar holds
/// something that the server did not take.
#[tokio::test]
async fn a_response_ahead_of_a_reset_arrives() {
    let (rig, mut client, mut server) = connect().await;
    let stuck = Duration::from_millis(300);
    while tokio::time::timeout(stuck, client.write(&[b'x'; 65536]))
        .await
        .is_ok()
    {}
    within(server.read_exact(&mut [0; 1000])).await.unwrap();
    let answer = b"HTTP/1.1 413 Too Large\r\n\r\n";
    server.write_all(answer).await.unwrap();
    server.flush().await.unwrap();
    // Closing with unread bytes resets.
    drop(server);
    let mut arrived = Vec::new();
    let ended = within(client.read_to_end(&mut arrived)).await;
    assert_eq!(
        String::from_utf8_lossy(&arrived),
        String::from_utf8_lossy(answer)
    );
    assert_eq!(
        ended.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    drop(client);
    assert_eq!(handled(&calls_of(rig).await), [INSIDE]);
}

/// More than all buffers on the way hold.
const MUCH: usize = 24 << 20;

#[tokio::test]
async fn much_that_is_read_late_arrives_whole_both_ways_at_once() {
    let (rig, client, server) = connect().await;
    let (mut from_client, mut to_server) = tokio::io::split(client);
    let (mut from_server, mut to_client) = tokio::io::split(server);
    let sent: Vec<u8> = (0..MUCH).map(|place| (place % 251) as u8).collect();
    let (up, down) = (sent.clone(), sent.clone());
    let sending = tokio::spawn(async move {
        tokio::join!(
            async {
                to_server.write_all(&up).await.unwrap();
                to_server.shutdown().await.unwrap();
            },
            async {
                to_client.write_all(&down).await.unwrap();
                to_client.shutdown().await.unwrap();
            }
        )
    });
    let (mut above, mut below) = (Vec::new(), Vec::new());
    within(async {
        let (read_up, read_down) = tokio::join!(
            from_server.read_to_end(&mut above),
            from_client.read_to_end(&mut below)
        );
        read_up.unwrap();
        read_down.unwrap();
    })
    .await;
    within(sending).await.unwrap();
    assert!(above == sent && below == sent);
    drop((from_client, from_server));
    let calls = calls_of(rig).await;
    assert_eq!(calls[0].request.body_size, MUCH as u64);
}

#[tokio::test]
async fn a_client_that_leaves_without_a_word_is_not_looked_into_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (rig, mut client, mut server) = connect_to(&listener).await;
    // As one does that checks the certificate itself, when the handshake is over.
    client.shutdown().await.unwrap();
    within(server.read_to_end(&mut Vec::new())).await.unwrap();
    server.shutdown().await.unwrap();
    within(client.read_to_end(&mut Vec::new())).await.unwrap();
    drop((client, server));
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    let hello = hello_with(&[]);
    client.write_all(&hello).await.unwrap();
    let mut arrived = vec![0; hello.len()];
    within(server.read_exact(&mut arrived)).await.unwrap();
    assert_eq!(arrived, hello);
    drop((client, server));
    let again = (TlsHandling::Passthrough, TlsReason::RefusedBefore);
    assert_eq!(handled(&calls_of(rig).await), [again]);
}
